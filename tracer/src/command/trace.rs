//! `tlscope trace`: attach, decode, stream.

use anyhow::Result;

use super::{Outcome, arguments::TraceArgs, live, reader, stream::Stream};
use crate::pipeline::Pipeline;

/// Streams the exchanges of running processes.
pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let options = reader::options(&arguments.show)?;
    live::run(&arguments.live, |header| {
        Ok(Box::new(Stream(Pipeline::new(header, options))))
    })
}
