//! Why probes could not be placed, or their maps not be used.

use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use thiserror::Error as ThisError;
use tracer_ebpf::MAX_SITES;

/// Why probes could not be placed.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The kernel refused the BPF object.
    #[error("the kernel refused the BPF programs")]
    Load(#[source] Box<EbpfError>),
    /// The kernel refused a program.
    #[error("the kernel refused the BPF program {name}")]
    Program {
        /// The program.
        name: &'static str,
        /// Why, with the verifier's log.
        source: Box<ProgramError>,
    },
    /// The kernel refused a map.
    #[error("the kernel refused the BPF map {name}")]
    Map {
        /// The map.
        name: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// A table of the programs cannot be read.
    #[error("the BPF map {name} cannot be read")]
    Table {
        /// The map.
        name: &'static str,
        /// Why.
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
        /// The function.
        function: String,
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// Why.
        source: Box<ProgramError>,
    },
    /// No second handle of a file could be had.
    #[error("{path} cannot be held open", path = path.display())]
    Handle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are more functions than sites.
    #[error("more than {MAX_SITES} functions to probe")]
    TooManySites,
    /// It is not known which CPUs there are.
    #[error("{path} cannot be read")]
    Cpus {
        /// The file that tells.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Names the ring that could not be read.
    pub(super) fn ring(name: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |errno| Self::Map {
            name,
            source: Box::new(MapError::IoError(errno.into())),
        }
    }

    /// Names the map that the kernel refused.
    pub(super) fn map(name: &'static str) -> impl Fn(MapError) -> Self {
        move |source| Self::Map {
            name,
            source: Box::new(source),
        }
    }

    /// Names the program that the kernel refused.
    pub(super) fn program(name: &'static str) -> impl Fn(ProgramError) -> Self {
        move |source| Self::Program {
            name,
            source: Box::new(source),
        }
    }
}
