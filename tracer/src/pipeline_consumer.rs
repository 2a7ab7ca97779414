//! The consumer that prints exchanges.

use anyhow::Result;
use tracer_observe::{
    batch::{Batch, Totals},
    output,
    pipeline::{Flow, Pipeline, Summary},
    redact::{Line, Redacted},
};

use crate::{consumer::Consumer, messages::say};

/// Runs a pipeline and prints its notes. A reader of the output that goes away ends the trace without an error.
pub(crate) struct PipelineConsumer(pub(crate) Pipeline);

impl Consumer for PipelineConsumer {
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

    #[cfg(feature = "live")]
    fn skips(&self) -> &[tracer_observe::skip::Skip] {
        self.0.skips()
    }

    fn audit(&mut self, line: &Redacted<Line<'static>>) -> Result<()> {
        Ok(self.0.audit(line)?)
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
