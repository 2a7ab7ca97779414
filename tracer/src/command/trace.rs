//! `tlscope trace`: attach, decode, stream.

use anyhow::Result;

use super::{Outcome, arguments::TraceArgs, live, reader, session::Consumer};
use crate::{
    output,
    pipeline::{Flow, Pipeline, Summary},
    source::{Batch, Totals},
};

/// Streams the exchanges of running processes.
pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let options = reader::options(&arguments.show)?;
    live::run(&arguments.live, |header| {
        Ok(Box::new(Stream(Pipeline::new(header, options))))
    })
}

/// Writes what the pipeline makes of batches.
struct Stream(Pipeline);

impl Consumer for Stream {
    fn batch(&mut self, batch: Batch) -> Result<Flow> {
        match self.0.batch(batch) {
            Ok(flow) => Ok(flow),
            Err(output::Error::BrokenPipe) => Ok(Flow::Done),
            Err(error @ output::Error::Write(_)) => Err(error.into()),
        }
    }

    fn finish(self: Box<Self>, _totals: Totals) -> Result<Option<Summary>> {
        Ok(Some(self.0.finish()?))
    }
}
