//! The name of a TLS library.

use std::fmt::{self, Debug, Display, Formatter};

use serde::{Serialize, Serializer};

/// Maximum length of a name.
const MAX_BYTES: usize = 16;

/// The name of a TLS library, such as `openssl`.
///
/// The names are defined where probes are placed. Here, any short word of lower-case letters, digits and hyphens is a name,
/// so that a new library needs no change, and a forged tape cannot print anything else.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct LibraryName {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl LibraryName {
    /// The name of a library whose name is not known.
    pub const UNKNOWN: Self = Self {
        bytes: *b"unknown\0\0\0\0\0\0\0\0\0",
        length: 7,
    };

    /// In place of a name, for connections that carry no TLS.
    pub const NONE: Self = Self {
        bytes: *b"none\0\0\0\0\0\0\0\0\0\0\0\0",
        length: 4,
    };

    /// In place of the names of libraries that are counted together.
    pub(super) const OTHER: Self = Self {
        bytes: *b"other\0\0\0\0\0\0\0\0\0\0\0",
        length: 5,
    };

    /// Converts a name; [`Self::UNKNOWN`] if it is not valid.
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

    /// Returns the name.
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
        if serializer.is_human_readable() {
            return serializer.serialize_str(self.as_str());
        }
        // The writer of lines need not search it for characters to escape: it has none.
        serializer.serialize_bytes(self.bytes.get(..self.length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_a_short_word_is_unknown() {
        for name in ["openssl", "aws-lc", "s2n", "sixteen-letters-"] {
            assert_eq!(LibraryName::new(name).as_str(), name);
        }
        for name in ["", "OpenSSL", "a b", "seventeen-letters", "\u{1b}[31m", "ö"] {
            assert_eq!(LibraryName::new(name), LibraryName::UNKNOWN);
        }
        assert_eq!(LibraryName::UNKNOWN.to_string(), "unknown");
        assert_eq!(LibraryName::new("none"), LibraryName::NONE);
    }
}
