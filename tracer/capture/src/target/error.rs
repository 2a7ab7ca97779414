//! Errors of finding processes and reading their files.

use std::{io, path::PathBuf};

use procfs::ProcError;
use thiserror::Error as ThisError;

use super::Denial;
use crate::limits::MAX_IMAGE_BYTES;

/// Why a process or file cannot be used.
#[derive(Debug, ThisError)]
pub enum Error {
    /// There is no such process.
    #[error("no process {0}")]
    NoSuchProcess(u32),
    /// There is no such process in this PID namespace, but in an inner one.
    #[error("no process {pid} in this PID namespace, but {inside} one with this id: give its id here, -p {outer}")]
    OnlyInside {
        /// The process id that was given.
        pid: u32,
        /// `an inner one has` or `several inner ones have`.
        inside: &'static str,
        /// The ids of those processes in this namespace.
        outer: String,
    },
    /// It is a thread.
    #[error("{tid} is a thread of process {pid}; give the process, -p {pid}")]
    Thread {
        /// The thread id that was given.
        tid: u32,
        /// The process it belongs to.
        pid: u32,
    },
    /// No process has the name.
    #[error("no process is named {name}{hint}")]
    NoSuchName {
        /// The name.
        name: String,
        /// A hint with similar names of processes, or nothing.
        hint: String,
    },
    /// The container has no process.
    #[error("no process is in a control group of container {0}; --wait waits for one")]
    NoSuchContainer(String),
    /// No process runs as the user.
    #[error("no process runs as user {0}; --wait waits for one")]
    NoProcessOfUser(String),
    /// No process listens on the port.
    #[error("no process listens on TCP port {0}; --wait waits for one")]
    NoListener(u16),
    /// The kernel denies access to it.
    #[error("process {pid} may not be examined: permission denied{denial}")]
    Denied {
        /// The process.
        pid: u32,
        /// The likely reason.
        denial: Denial,
    },
    /// It is a kernel thread or a zombie.
    #[error("process {0} maps no files: a kernel thread, or it has ended")]
    NoMaps(u32),
    /// Its entry in `/proc` cannot be read.
    #[error("process {pid} could not be read")]
    Proc {
        /// The process.
        pid: u32,
        /// The cause.
        source: ProcError,
    },
    /// A file is larger than [`MAX_IMAGE_BYTES`].
    #[error("{path}: {bytes} bytes are more than the limit of {MAX_IMAGE_BYTES}", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file cannot be read.
    #[error("{path} could not be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}
