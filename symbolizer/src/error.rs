//! Why the bytes of an image could not be read.
//!
//! An [`enum@Error`] says that we failed on these bytes. That there is nothing to trace in a sound image is a
//! [`Reason`](crate::Reason) and no error.

use thiserror::Error;

/// Says why the bytes of an image could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not begin as an ELF file does.
    #[error("this is not an ELF file")]
    NotElf,
    /// The bytes end inside something that the headers announce.
    #[error("the file is cut short inside its {part}")]
    CutShort {
        /// The part that is not all there.
        part: &'static str,
    },
    /// The bytes contradict the ELF format or each other.
    #[error("the {part} of the file is malformed")]
    Malformed {
        /// The part that makes no sense.
        part: &'static str,
    },
    /// The image asks for more work or memory than is granted.
    #[error("the {part} of the file is over the limit of {limit}")]
    OverLimit {
        /// The part that is too large.
        part: &'static str,
        /// The limit it exceeds, from [`limits`](crate::limits).
        limit: usize,
    },
    /// The compressed symbol table does not decompress.
    #[error("the .gnu_debugdata section does not decompress")]
    DebugData(#[source] std::io::Error),
}
