//! Sinks, which print lines as JSON, as text for people, as an access log or as a HAR document.
//!
//! A [`Sink`] accepts [`Redacted`]`<`[`Line`]`>` and nothing else. Whatever a traced process or its peer sent, it cannot
//! break a line, control the terminal or end a string.

mod json;
mod text;
mod summary;
mod har;
mod ecs;
mod nothing;
mod line;
mod combined;
mod style;
mod columns;
mod waiting;
mod escape;
mod fork;
#[cfg(any(test, feature = "fuzz"))]
#[cfg_attr(not(test), expect(dead_code, reason = "fuzz targets need a few of them"))]
pub(crate) mod sample;

use std::{
    io::{self, Write},
    time::SystemTime,
};

pub use combined::Combined;
pub use ecs::Ecs;
pub use escape::{Shown, write_json};
pub use fork::Fork;
pub use har::Har;
pub use json::{Json, JsonLines, SCHEMA};
pub use line::{OneLine, short_duration};
pub use nothing::Nothing;
pub use style::{Style, Zone};
pub use text::Text;

pub(crate) use columns::{cut, cut_begin, padding};
pub(crate) use style::Paint;

use crate::{
    correlate::{ActiveRequests, FunctionRecords},
    health::{Figures, Subject},
    redact::{Line, Redacted},
};

/// The result of writing a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// It is written or queued.
    Yes,
    /// It was dropped because the reader of the output stalled.
    Dropped,
}

/// A destination of formatted lines. Any writer is one that blocks and drops nothing.
pub trait Lines {
    /// Writes a line, or drops all of it.
    fn line(&mut self, line: &[u8]) -> io::Result<Written>;

    /// Flushes the lines.
    fn flush(&mut self) -> io::Result<()>;

    /// Writes the end of the output, and waits until everything is written.
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

/// Formats and writes lines.
///
/// ```compile_fail,E0308
/// use tracer_observe::{correlate::Observed, output::Sink};
/// fn forget_to_redact(sink: &mut dyn Sink, observed: &Observed) {
///     let _ = sink.write(observed);
/// }
/// ```
pub trait Sink {
    /// Writes a line, which may stay in a buffer until the next flush.
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error>;

    /// Takes note that the time of the records is `now`, after the lines of a batch and before their flush.
    fn tick(&mut self, _now: SystemTime) -> Result<(), Error> {
        Ok(())
    }

    /// Adds what was dropped since the last call by what does not block and has a bound of its own.
    fn add_health(&mut self, _health: &mut Vec<(Subject, Figures)>) {}

    /// Takes note of the figures of a ring or table, and of what was dropped since the previous call. Lines have them only when
    /// they change a state.
    fn note_health(&mut self, _subject: &Subject, _figures: &Figures) {}

    /// Returns whether the fields of heads and trailers are of use. Lines may come without them if they are not: printing them is
    /// most of what a line costs.
    fn wants_fields(&self) -> bool {
        true
    }

    /// Returns whether [`note_active`](Self::note_active) is of use.
    fn wants_active(&self) -> bool {
        false
    }

    /// Takes note of the requests whose responses have not ended, all of them, about once a second of the records' time.
    fn note_active(&mut self, _active: &[ActiveRequests]) {}

    /// Takes note of how many records of data the hooks of each function have brought since the start, after each batch.
    fn note_records(&mut self, _records: &[FunctionRecords]) {}

    /// Flushes the output.
    fn flush(&mut self) -> Result<(), Error>;

    /// Writes the end of the output, and waits until everything is written.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Writes lines one by one. They are dropped if one of them is.
fn write_each<T>(
    lines: impl Iterator<Item = T>,
    mut write: impl FnMut(T) -> Result<Written, Error>,
) -> Result<Written, Error> {
    let mut all = Written::Yes;
    for line in lines {
        if write(line)? == Written::Dropped {
            all = Written::Dropped;
        }
    }
    Ok(all)
}

/// The format of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// In the manner of curl -v.
    Text,
    /// One line an exchange, as wide as the terminal.
    Line,
    /// An access log in NCSA combined format.
    Combined,
    /// One HTTP Archive (HAR 1.2).
    Har,
    /// One document of the Elastic Common Schema (ECS 8) a line.
    Ecs,
    /// Nothing: exports get all.
    None,
}

impl Format {
    /// Creates a sink of this format that writes to `lines`. Formats for programs have no style.
    pub fn open(self, lines: impl Lines + Send + 'static, style: Style) -> Box<dyn Sink + Send> {
        match self {
            Self::Json => Box::new(Json::new(lines)),
            Self::Text => Box::new(Text::new(lines, style)),
            Self::Line => Box::new(OneLine::new(lines, style)),
            Self::Combined => Box::new(Combined::new(lines, style)),
            Self::Har => Box::new(Har::new(lines)),
            Self::Ecs => Box::new(Ecs::new(lines)),
            Self::None => Box::new(Nothing::new(lines)),
        }
    }
}

/// Why a line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reader closed the output. This ends the run, but is not a failure.
    #[error("nobody reads the output any more")]
    BrokenPipe,
    /// Writing failed.
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

impl serde::ser::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Write(io::Error::other(message.to_string()))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

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
    fn a_closed_output_is_a_broken_pipe() {
        for format in Format::value_variants()
            .iter()
            .filter(|format| **format != Format::None)
        {
            let mut sink = format.open(Closed, Style::default());
            let written = sink.write(&sample::exchange()).and_then(|_| sink.flush());
            assert!(matches!(written, Err(Error::BrokenPipe)), "{format:?}");
        }
    }
}
