//! Errors in the rules. Each ends the program before it prints anything.

use std::{io, path::PathBuf};

/// A rule of the user that cannot be applied. Ignoring it would leak.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// No field or parameter can have this name.
    #[error("not the name of a field or parameter")]
    Name,
    /// The pattern is not a regular expression, or is too large.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
    /// The pattern matches the empty string, so a match may leave nothing to mask.
    #[error("it matches the empty string")]
    EmptyMatch,
}

/// The key of the fingerprints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file could not be read.
    #[error("--fingerprint: {}", path.display())]
    KeyFile {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The key is so short that it could be guessed, and the secrets with it.
    #[error("--fingerprint: the key has {length} bytes, at least {least} are needed")]
    ShortKey {
        /// Its length in bytes.
        length: usize,
        /// The minimum length in bytes.
        least: usize,
    },
    /// The system gave no random bytes for a key.
    #[error("--fingerprint: no random key")]
    Random(#[source] getrandom::Error),
}
