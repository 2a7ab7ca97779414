//! The interface between a source of batches, which is a running kernel or a tape, and what uses them.

use anyhow::Result;
use tracer_observe::{
    batch::{Batch, Totals},
    pipeline::{Flow, Summary},
    redact::{Line, Redacted},
};

/// Consumes batches. A live session runs it in a thread of its own.
pub(crate) trait Consumer: Send + 'static {
    /// Consumes one batch; [`Flow::Done`] if it needs no more.
    fn batch(&mut self, batch: Batch) -> Result<Flow>;

    /// Returns which bytes need not be captured, as the last batch has shown.
    #[cfg(feature = "live")]
    fn skips(&self) -> &[tracer_observe::skip::Skip] {
        &[]
    }

    /// Writes an audit line to the output, if that has a place for it.
    fn audit(&mut self, _line: &Redacted<Line<'static>>) -> Result<()> {
        Ok(())
    }

    /// Takes the loss totals after the last batch.
    fn conclude(&mut self, totals: Totals) -> Result<()>;

    /// Returns the counts so far, if the consumer prints exchanges.
    fn summary(&self) -> Option<Summary>;

    /// Waits until all output is written.
    fn close(self: Box<Self>) -> Result<()>;
}
