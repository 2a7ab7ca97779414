//! A pipeline as a consumer: what it notes is said, and a reader that went away is a quiet end.

use anyhow::Result;
use tracer_observe::{
    batch::{Batch, Totals},
    output,
    pipeline::{Flow, Pipeline, Summary},
};

use crate::{consumer::Consumer, messages::say};

/// Writes what the pipeline makes of batches.
pub(crate) struct Stream(pub(crate) Pipeline);

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

    fn conclude(&mut self, _totals: Totals) -> Result<()> {
        self.0.conclude()?;
        for note in self.0.take_notes() {
            say(&note);
        }
        Ok(())
    }

    fn summary(&self) -> Option<Summary> {
        Some(self.0.summary())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
