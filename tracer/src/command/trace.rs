//! `tlscope trace`: attach, decode, stream.

use anyhow::Result;
use tracer_ebpf::SettingFlags;

use super::{Outcome, arguments::TraceArgs, live, reader, stream::Stream};
use crate::pipeline::Pipeline;

/// Streams the exchanges of running processes.
pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let kernel = live::check()?;
    let options = reader::options(&arguments.show)?;
    let told = if arguments.show.connections {
        SettingFlags::CONNECTIONS
    } else {
        SettingFlags::default()
    };
    live::run(&kernel, &arguments.live, told, |header| {
        Ok(Box::new(Stream(Pipeline::new(header, options))))
    })
}
