//! Why there is no [`Redactor`](super::Redactor): a rule that cannot be kept ends the program before it prints.

use std::{io, path::PathBuf};

/// A redaction rule, or the key of the fingerprints, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No field or parameter can have this name.
    #[error("--redact '{0}': not the name of a field or parameter")]
    Name(String),
    /// The pattern is not a regular expression, or too large a one.
    #[error("--redact-pattern '{pattern}': {reason}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pattern matches nothing at all, which leaves nothing to mask.
    #[error("--redact-pattern '{0}': it matches the empty string")]
    EmptyMatch(String),
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

/// Says in one line what is wrong with a regular expression; the library draws a picture of several.
pub(crate) fn describe_pattern(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pattern_is_described_in_one_line() {
        let unclosed = regex::Regex::new(&["a", "("].concat()).unwrap_err();
        assert_eq!(describe_pattern(&unclosed), "unclosed group");
        let large = regex::Regex::new(r"\w{1000}{1000}").unwrap_err();
        assert_eq!(describe_pattern(&large).lines().count(), 1);
    }
}
