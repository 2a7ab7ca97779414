//! Where the thread of a queue writes.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileTypeExt as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::log_file::LogFile;

/// Maximum size of an atomic write to a pipe (`PIPE_BUF`). A process that exits during a write leaves whole lines.
const PIPE_BYTES: usize = 4096;

/// Maximum size of a write to anything else.
pub(super) const FILE_BYTES: usize = 64 * 1024;

/// Where lines go.
#[derive(Debug)]
pub(super) enum Destination {
    /// A stream, such as stdout.
    Stream(File),
    /// The file of `-w`.
    Log {
        /// Only the thread that writes locks it.
        log: Box<Mutex<LogFile>>,
        reopens: bool,
        /// How often it wants a tick.
        interval: Option<Duration>,
    },
}

impl Destination {
    pub(super) fn log(log: LogFile) -> Self {
        Self::Log {
            reopens: log.reopens(),
            interval: log.interval(),
            log: Box::new(Mutex::new(log)),
        }
    }

    /// Returns whether the reader takes more at this moment.
    pub(super) fn takes_more(&self) -> bool {
        let Self::Stream(to) = self else {
            return true;
        };
        let mut to = [PollFd::new(to, PollFlags::OUT)];
        poll(&mut to, Some(&Timespec::default())).is_ok_and(|ready| ready != 0)
    }

    /// Returns whether it is a file that can be opened anew.
    pub(super) const fn reopens(&self) -> bool {
        matches!(self, Self::Log { reopens: true, .. })
    }

    /// Returns how often [`Self::tick`] wants to be called while there are no lines; `None` if never.
    pub(super) const fn interval(&self) -> Option<Duration> {
        match self {
            Self::Stream(_) => None,
            Self::Log { interval, .. } => *interval,
        }
    }

    /// Lets a file do what is due, lines or not.
    pub(super) fn tick(&self) {
        if let Self::Log { log, .. } = self {
            log.lock().unwrap_or_else(PoisonError::into_inner).tick();
        }
    }

    /// Returns how many bytes may be written at a time.
    pub(super) fn at_once(&self) -> usize {
        let Self::Stream(to) = self else {
            return FILE_BYTES;
        };
        to.metadata().map_or(PIPE_BYTES, |metadata| {
            let kind = metadata.file_type();
            if kind.is_fifo() || kind.is_socket() {
                PIPE_BYTES
            } else {
                FILE_BYTES
            }
        })
    }

    /// Writes lines of these lengths.
    pub(super) fn write(&self, lines: &[u8], lengths: &[usize]) -> io::Result<()> {
        match self {
            Self::Stream(to) => {
                let mut to = to;
                to.write_all(lines)
            }
            Self::Log { log, .. } => log.lock().unwrap_or_else(PoisonError::into_inner).write(lines, lengths),
        }
    }

    pub(super) fn reopen(&self) {
        if let Self::Log { log, .. } = self {
            log.lock().unwrap_or_else(PoisonError::into_inner).reopen();
        }
    }
}
