//! The sink that adds to a board.

use std::time::SystemTime;

use super::Board;
use crate::{
    output::{Error, Sink, Written},
    redact::{Line, Redacted},
};

/// Adds lines to a board. Once that is closed, the output is: nobody reads it any more.
pub struct Top(Board);

impl Top {
    /// Creates a sink that adds to `board`.
    pub const fn new(board: Board) -> Self {
        Self(board)
    }
}

impl Sink for Top {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        self.0.write(line);
        Ok(Written::Yes)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), Error> {
        self.0.tick(now);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.0.is_closed() {
            Err(Error::BrokenPipe)
        } else {
            Ok(())
        }
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.0.finish();
        Ok(())
    }
}
