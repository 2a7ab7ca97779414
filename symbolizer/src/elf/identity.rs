//! What tells one image from another: the key of a cache of plans.
//!
//! The key is the GNU note if there is one, else a hash of the first executable segment. An image can state any
//! identifier it likes, so it is a key among honest images and no defence; a hash that resists forgery would therefore
//! add nothing.

use std::fmt;

use crate::elf::address::Access;
use crate::elf::image::Image;
use crate::limits;

/// Identifies a build of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    kind: BuildIdKind,
    bytes: Vec<u8>,
}

/// Says where a [`BuildId`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildIdKind {
    /// The link editor left it in a GNU note.
    GnuNote,
    /// It is a hash of the code, made here.
    CodeHash,
}

impl BuildIdKind {
    /// Returns a short lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GnuNote => "gnu",
            Self::CodeHash => "code-hash",
        }
    }
}

impl BuildId {
    pub(crate) fn of(image: &Image<'_>) -> Self {
        match image.gnu_build_id() {
            Some(id) if (1..=limits::BUILD_ID).contains(&id.len()) => Self {
                kind: BuildIdKind::GnuNote,
                bytes: id.to_vec(),
            },
            _ => Self {
                kind: BuildIdKind::CodeHash,
                bytes: hash(code(image)).to_be_bytes().to_vec(),
            },
        }
    }

    /// Returns where it comes from.
    #[must_use]
    pub const fn kind(&self) -> BuildIdKind {
        self.kind
    }

    /// Returns its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Returns the first executable segment; hashing all would let overlapping segments cost their sum.
fn code<'data>(image: &Image<'data>) -> &'data [u8] {
    let segment = image.segments().iter().find(|segment| segment.access == Access::Code);
    segment
        .and_then(|segment| image.bytes_from(segment.address))
        .unwrap_or_default()
}

/// Computes FNV-1a with 128 bits (draft-eastlake-fnv).
fn hash(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes
        .iter()
        .fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn an_identifier_is_shown_in_hexadecimal() {
        let id = BuildId {
            kind: BuildIdKind::GnuNote,
            bytes: vec![0x0a, 0xff],
        };
        assert_eq!(id.to_string(), "0aff");
    }
}
