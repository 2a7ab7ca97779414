//! Why there is no [`Redactor`](super::Redactor): a rule that cannot be kept ends the program before it prints.

use std::{io, path::PathBuf};

/// A rule of the user's that cannot be kept; going on without it would leak.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// No field or parameter can have this name.
    #[error("not the name of a field or parameter")]
    Name,
    /// The pattern is not a regular expression, or too large a one.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
    /// The pattern matches nothing at all, which leaves nothing to mask.
    #[error("it matches the empty string")]
    EmptyMatch,
}

/// The key of the fingerprints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file could not be read.
    #[error("--fingerprint: {}", path.display())]
    KeyFile {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key is so short that fingerprints could be reversed by guessing it.
    #[error("--fingerprint: the key has {length} bytes, at least {least} are needed")]
    ShortKey {
        /// How long it is.
        length: usize,
        /// How long it must be.
        least: usize,
    },
    /// The system gave no random bytes for a key.
    #[error("--fingerprint: no random key")]
    Random(#[source] getrandom::Error),
}
