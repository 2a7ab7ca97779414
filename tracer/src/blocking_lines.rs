//! Output of commands that may block on it: stdout, or the file of `-w`.

use std::io::{self, BufWriter, Stdout, Write as _, stdout};

use tracer_observe::output::{Lines, Written};

use crate::log_file::{LogFile, Lost};

/// Lines that are written by whoever sends them.
pub(crate) enum BlockingLines {
    /// They go to stdout.
    Stdout(BufWriter<Stdout>),
    /// They go to a file.
    File(Box<BufferedLog>),
}

/// A file, and the lines that are to be written to it at once.
pub(crate) struct BufferedLog {
    log: LogFile,
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

/// Bytes that are written at once.
const AT_ONCE: usize = 64 * 1024;

impl BlockingLines {
    /// Opens a file, or stdout; also returns the count of lines for which a file has no room.
    pub(crate) fn open(log: Option<LogFile>) -> (Self, Option<Lost>) {
        let Some(log) = log else {
            return (Self::Stdout(BufWriter::new(stdout())), None);
        };
        let lost = log.lost();
        let buffered = BufferedLog {
            log,
            bytes: Vec::new(),
            lengths: Vec::new(),
        };
        (Self::File(Box::new(buffered)), Some(lost))
    }
}

impl BufferedLog {
    fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.bytes.is_empty() && self.bytes.len() + line.len() > AT_ONCE {
            self.write()?;
        }
        self.bytes.extend_from_slice(line);
        self.lengths.push(line.len());
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.log.write(&self.bytes, &self.lengths);
        self.bytes.clear();
        self.lengths.clear();
        written
    }
}

impl Lines for BlockingLines {
    fn line(&mut self, line: &[u8]) -> io::Result<Written> {
        match self {
            Self::Stdout(stdout) => stdout.write_all(line)?,
            Self::File(log) => log.add(line)?,
        }
        Ok(Written::Yes)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => io::Write::flush(stdout),
            Self::File(log) => log.write(),
        }
    }

    fn finish(&mut self, last: &[u8]) -> io::Result<()> {
        if !last.is_empty() {
            self.line(last)?;
        }
        Lines::flush(self)
    }
}
