//! The sink that writes nothing.

use super::{Error, Lines, Sink, Written};
use crate::redact::{Line, Redacted};

/// Takes all lines and writes none of them, for runs of which only the exports are wanted.
pub struct Nothing<L: Lines>(L);

impl<L: Lines> Nothing<L> {
    /// Creates a sink that ends `lines` when it ends.
    pub fn new(lines: L) -> Self {
        Self(lines)
    }
}

impl<L: Lines> Sink for Nothing<L> {
    fn write(&mut self, _line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        Ok(Written::Yes)
    }

    fn wants_fields(&self) -> bool {
        false
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.0.finish(b"")?)
    }
}
