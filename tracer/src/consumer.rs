//! What takes batches, from a running kernel or from a tape.

use anyhow::Result;
use tracer_observe::{
    batch::{Batch, Totals},
    pipeline::{Flow, Summary},
};

/// Takes batches; of a session in a thread of its own.
pub(crate) trait Consumer: Send + 'static {
    /// Takes one batch.
    fn batch(&mut self, batch: Batch) -> Result<Flow>;

    /// Takes what was lost in all; nothing more will come.
    fn conclude(&mut self, totals: Totals) -> Result<()>;

    /// What came out so far, if that is exchanges.
    fn summary(&self) -> Option<Summary>;

    /// Ends, and waits until everything is written.
    fn close(self: Box<Self>) -> Result<()>;
}
