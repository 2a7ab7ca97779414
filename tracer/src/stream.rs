//! A pipeline as a consumer: what it notes is said, and a reader that went away is a quiet end.

use anyhow::Result;

use super::{say, work::Consumer, writer::Queue};
use crate::{
    output,
    pipeline::{Flow, Pipeline, Summary},
    source::{Batch, Totals},
};

/// Writes what the pipeline makes of batches.
pub(super) struct Stream {
    pub(super) pipeline: Pipeline,
    /// Where its lines wait to be written.
    pub(super) lines: Option<Queue>,
}

impl Consumer for Stream {
    fn batch(&mut self, batch: Batch) -> Result<Flow> {
        let flow = self.pipeline.batch(batch);
        for note in self.pipeline.take_notes() {
            say(&note);
        }
        match flow {
            Ok(flow) => Ok(flow),
            Err(output::Error::BrokenPipe) => Ok(Flow::Done),
            Err(error @ output::Error::Write(_)) => Err(error.into()),
        }
    }

    fn conclude(&mut self, _totals: Totals) -> Result<()> {
        self.pipeline.conclude()?;
        for note in self.pipeline.take_notes() {
            say(&note);
        }
        Ok(())
    }

    fn summary(&self) -> Option<Summary> {
        Some(self.pipeline.summary())
    }

    fn lines(&self) -> Option<Queue> {
        self.lines.clone()
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.pipeline.close()?)
    }
}
