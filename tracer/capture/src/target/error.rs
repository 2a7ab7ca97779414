//! Why a process or a file could not be looked at.

use std::{io, path::PathBuf};

use procfs::ProcError;
use thiserror::Error as ThisError;

use super::Denial;
use crate::limits::MAX_IMAGE_BYTES;

/// Why a process could not be looked at.
#[derive(Debug, ThisError)]
pub enum Error {
    /// There is no such process.
    #[error("no process {0}")]
    NoSuchProcess(u32),
    /// There is no such process here, but one in another PID namespace bears that number.
    #[error(
        "no process {pid} in this PID namespace; {inside} another one calls its process so: give its number here, -p {outer}"
    )]
    OnlyInside {
        /// The number that was given.
        pid: u32,
        /// Whether one or several namespaces have it.
        inside: &'static str,
        /// The numbers here.
        outer: String,
    },
    /// It is a thread of a process.
    #[error("{tid} is a thread of process {pid}; give the process, -p {pid}")]
    Thread {
        /// The number that was given.
        tid: u32,
        /// The process it belongs to.
        pid: u32,
    },
    /// No process bears the name.
    #[error("no process is named {name}{near}")]
    NoSuchName {
        /// The name.
        name: String,
        /// Names of processes that are like it, in words.
        near: String,
    },
    /// No process lives in the container.
    #[error("no process is in a control group of container {0}; --wait waits for one")]
    NoSuchContainer(String),
    /// No process runs as the user.
    #[error("no process runs as user {0}; --wait waits for one")]
    NoProcessOfUser(String),
    /// It is not ours to examine.
    #[error("process {pid} may not be examined: permission denied{denial}")]
    Denied {
        /// The process.
        pid: u32,
        /// What is known of why.
        denial: Denial,
    },
    /// It is a kernel thread or has ended.
    #[error("process {0} maps no files: a kernel thread, or it has ended")]
    NoMaps(u32),
    /// Its entry under /proc could not be read.
    #[error("process {pid} could not be read")]
    Proc {
        /// The process.
        pid: u32,
        /// Why.
        source: ProcError,
    },
    /// A file is larger than any program.
    #[error("{path}: {bytes} bytes are more than the limit of {MAX_IMAGE_BYTES}", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file could not be read.
    #[error("{path} could not be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
