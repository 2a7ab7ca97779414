//! The sink of `tlscope top`.

use std::{thread::JoinHandle, time::SystemTime};

use tracer_observe::{
    output::{Error, Sink, Written},
    redact::{Line, Redacted},
    top::{Board, Top},
};

/// Adds to the board. Dropping it waits until the user interface has given the terminal back.
pub(crate) struct TopSink {
    top: Top,
    board: Board,
    interface: Option<JoinHandle<()>>,
}

impl TopSink {
    /// Creates a sink for a board that the thread of a user interface looks at.
    pub(super) fn new(board: Board, interface: JoinHandle<()>) -> Self {
        Self {
            top: Top::new(board.clone()),
            board,
            interface: Some(interface),
        }
    }
}

impl Sink for TopSink {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        self.top.write(line)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), Error> {
        self.top.tick(now)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.top.flush()
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for TopSink {
    fn drop(&mut self) {
        self.board.finish();
        if let Some(interface) = self.interface.take() {
            // A panic of its own has been printed.
            let _panicked = interface.join().is_err();
        }
    }
}
