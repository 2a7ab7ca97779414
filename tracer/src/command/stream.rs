//! A pipeline as a consumer: what it notes is said, and a reader that went away is a quiet end.

use anyhow::Result;

use super::{say, session::Consumer};
use crate::{
    output,
    pipeline::{Flow, Pipeline, Summary},
    source::{Batch, Totals},
};

/// Writes what the pipeline makes of batches.
pub(super) struct Stream(pub(super) Pipeline);

impl Consumer for Stream {
    fn batch(&mut self, batch: Batch) -> Result<Flow> {
        let flow = self.0.batch(batch);
        for note in self.0.take_notes() {
            say(&note);
        }
        match flow {
            Ok(flow) => Ok(flow),
            Err(output::Error::BrokenPipe) => Ok(Flow::Done),
            Err(error @ output::Error::Write(_)) => Err(error.into()),
        }
    }

    fn finish(self: Box<Self>, _totals: Totals) -> Result<Option<Summary>> {
        Ok(Some(self.0.finish()?))
    }
}
