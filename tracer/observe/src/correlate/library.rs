//! The name of a TLS library, as it travels from the site of a probe to a line.

use std::fmt::{self, Debug, Display, Formatter};

use serde::{Serialize, Serializer};

/// Longer than the name of any TLS library.
const MAX_BYTES: usize = 16;

/// The name of a TLS library in one word: `openssl`. Which names there are is known to whoever places probes; here a
/// name is any word of a few lower-case letters, digits and hyphens, so that a tape cannot bring anything else to a line.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct LibraryName {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl LibraryName {
    /// What stands for a library of which there is no name.
    pub const UNKNOWN: Self = Self {
        bytes: *b"unknown\0\0\0\0\0\0\0\0\0",
        length: 7,
    };

    /// Takes a name; [`Self::UNKNOWN`] for what cannot be one.
    pub fn new(name: &str) -> Self {
        let is_word = name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let mut bytes = [0; MAX_BYTES];
        match bytes.get_mut(..name.len()) {
            Some(room) if is_word && !name.is_empty() => room.copy_from_slice(name.as_bytes()),
            Some(_) | None => return Self::UNKNOWN,
        }
        Self {
            bytes,
            length: name.len(),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let word = self.bytes.get(..self.length).unwrap_or_default();
        str::from_utf8(word).unwrap_or_default()
    }
}

impl Display for LibraryName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Debug for LibraryName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.as_str(), formatter)
    }
}

impl Serialize for LibraryName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_word_and_anything_else_is_unknown() {
        for name in ["openssl", "aws-lc", "s2n", "sixteen-letters-"] {
            assert_eq!(LibraryName::new(name).as_str(), name);
        }
        for name in ["", "OpenSSL", "a b", "seventeen-letters", "\u{1b}[31m", "ö"] {
            assert_eq!(LibraryName::new(name), LibraryName::UNKNOWN);
        }
        assert_eq!(LibraryName::UNKNOWN.to_string(), "unknown");
    }
}
