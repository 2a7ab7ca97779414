//! Where lines go.
//!
//! In: [`Redacted`]`<`[`Line`]`>` and nothing else. Out: bytes, in the form the user chose. Refuses to interpret: what a
//! traced process sent cannot break a line, move a cursor or end a string here.

mod json;
mod text;
mod summary;
mod har;
mod escape;
#[cfg(any(test, feature = "fuzz"))]
#[cfg_attr(not(test), expect(dead_code, reason = "fuzz targets need a few of them"))]
pub(crate) mod sample;

use std::io::{self, Write};

pub use escape::{Shown, write_json};
pub use har::Har;
pub use json::{Json, SCHEMA};
pub use text::Text;

use crate::redact::{Line, Redacted};

/// What became of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// It is written, or will be.
    Yes,
    /// It was dropped: its reader has stalled.
    Dropped,
}

/// Where the bytes of lines go. Whatever can be written to takes every line, and keeps its caller waiting.
pub trait Lines {
    /// Takes a whole line, or drops it as a whole.
    fn line(&mut self, line: &[u8]) -> io::Result<Written>;

    /// Makes visible what was taken.
    fn flush(&mut self) -> io::Result<()>;

    /// Takes what belongs at the end, and waits until everything is written.
    fn finish(&mut self, last: &[u8]) -> io::Result<()>;
}

impl<W: Write> Lines for W {
    fn line(&mut self, line: &[u8]) -> io::Result<Written> {
        self.write_all(line)?;
        Ok(Written::Yes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }

    fn finish(&mut self, last: &[u8]) -> io::Result<()> {
        self.write_all(last)?;
        Write::flush(self)
    }
}

/// Takes lines that were redacted.
///
/// ```compile_fail,E0308
/// use tracer_observe::{correlate::Observed, output::Sink};
/// fn forget_to_redact(sink: &mut dyn Sink, observed: &Observed) {
///     let _ = sink.write(observed);
/// }
/// ```
pub trait Sink {
    /// Writes a line; it may wait in a buffer until the next flush.
    fn write(&mut self, line: &Redacted<Line>) -> Result<Written, Error>;

    /// Makes visible what was written.
    fn flush(&mut self) -> Result<(), Error>;

    /// Writes what belongs at the end, and flushes.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// The form of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// In the manner of curl -v.
    Text,
    /// One HTTP Archive (HAR 1.2).
    Har,
}

impl Format {
    /// Opens a sink that hands its lines to `lines`.
    pub fn open(self, lines: impl Lines + Send + 'static) -> Box<dyn Sink + Send> {
        match self {
            Self::Json => Box::new(Json::new(lines)),
            Self::Text => Box::new(Text::new(lines)),
            Self::Har => Box::new(Har::new(lines)),
        }
    }
}

/// Why a line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody reads any more: a quiet end, not a failure.
    #[error("nobody reads the output any more")]
    BrokenPipe,
    /// The system refused.
    #[error("the output could not be written")]
    Write(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Write(error)
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_told_apart() {
        for format in [Format::Json, Format::Text, Format::Har] {
            let mut sink = format.open(Closed);
            let written = sink.write(&sample::exchange()).and_then(|_| sink.flush());
            assert!(matches!(written, Err(Error::BrokenPipe)), "{format:?}");
        }
    }
}
