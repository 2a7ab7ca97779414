//! Errors of loading programs, attaching probes and reading maps.

use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use thiserror::Error as ThisError;
use tracer_ebpf::MAX_SITES;

/// An error of the BPF programs, their probes or their maps.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The kernel refused the BPF object.
    #[error("the kernel refused the BPF programs")]
    Load(#[source] Box<EbpfError>),
    /// The kernel refused a BPF program.
    #[error("the kernel refused the BPF program {name}")]
    Program {
        /// Name of the program.
        name: &'static str,
        /// The error, with the verifier's log.
        source: Box<ProgramError>,
    },
    /// The kernel refused an operation on a BPF map.
    #[error("the kernel refused the BPF map {name}")]
    Map {
        /// Name of the map.
        name: &'static str,
        /// The error.
        source: Box<MapError>,
    },
    /// A hash map cannot be read as a whole.
    #[error("the BPF map {name} cannot be read")]
    Table {
        /// Name of the map.
        name: &'static str,
        /// The error.
        source: io::Error,
    },
    /// The BPF object lacks a program or map that this binary expects.
    #[error("the BPF object lacks {0}")]
    Missing(&'static str),
    /// The kernel refused a probe.
    #[error(
        "no probe at {function} in {path}, offset {offset:#x}; if the kernel log says `ref_ctr_offset mismatch`, \
         another tool holds the same place",
        path = path.display()
    )]
    Probe {
        /// Name of the function.
        function: String,
        /// Path of the file.
        path: PathBuf,
        /// Offset of the probed instruction in the file.
        offset: u64,
        /// The error.
        source: Box<ProgramError>,
    },
    /// A file's descriptor cannot be duplicated.
    #[error("{path} cannot be held open", path = path.display())]
    Handle {
        /// Path of the file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// There are more hooks than [`MAX_SITES`].
    #[error("more than {MAX_SITES} functions to probe")]
    TooManySites,
    /// The list of online CPUs cannot be read.
    #[error("{path} cannot be read")]
    Cpus {
        /// Path of the list.
        path: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an error of mapping a ring.
    pub(super) fn ring(name: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |errno| Self::Map {
            name,
            source: Box::new(MapError::IoError(errno.into())),
        }
    }

    /// Wraps an error of a map.
    pub(super) fn map(name: &'static str) -> impl Fn(MapError) -> Self {
        move |source| Self::Map {
            name,
            source: Box::new(source),
        }
    }

    /// Wraps an error of a program.
    pub(super) fn program(name: &'static str) -> impl Fn(ProgramError) -> Self {
        move |source| Self::Program {
            name,
            source: Box::new(source),
        }
    }
}
