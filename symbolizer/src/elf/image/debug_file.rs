//! The file of its own in which the symbols of a stripped image are kept, and how the image names it.
//!
//! GDB's manual ("Debugging Information in Separate Files") describes both ways: by the build identifier, and by a
//! `.gnu_debuglink` section, which holds the name of a file and a checksum of its bytes.

use object::elf;
use object::read::elf::SectionHeader as _;

use super::raw::LE;
use super::{Image, Table};
use crate::limits;

/// Says which file holds the symbols of an image that has none itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugLink {
    /// The identifier that both have in a GNU note.
    pub build_id: Option<Vec<u8>>,
    /// The name of the file, without a folder, and the CRC-32 of all its bytes.
    pub file: Option<(Vec<u8>, u32)>,
}

impl DebugLink {
    pub(crate) fn of(image: &Image<'_>) -> Option<Self> {
        let id = image.gnu_build_id();
        let link = Self {
            build_id: id
                .filter(|id| (2..=limits::BUILD_ID).contains(&id.len()))
                .map(<[u8]>::to_vec),
            file: image.section(b".gnu_debuglink").ok().flatten().and_then(named_file),
        };
        (link.build_id.is_some() || link.file.is_some()).then_some(link)
    }

    /// Returns the identifier in hexadecimal, as names of files and addresses of servers state it.
    #[must_use]
    pub fn id_in_hex(&self) -> Option<String> {
        let id = self.build_id.as_ref()?;
        Some(id.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")))
    }

    /// Returns whether a file has the identifier of the image. Its symbols are another build's if not.
    #[must_use]
    pub fn has_same_id(&self, debug_file: &[u8]) -> bool {
        let Ok(Ok(debug_file)) = Image::parse(debug_file) else {
            return false;
        };
        self.build_id.is_some() && debug_file.gnu_build_id() == self.build_id.as_deref()
    }
}

/// Reads a `.gnu_debuglink` section: the name, which ends with a zero, up to three more to a multiple of four bytes, and the
/// checksum.
fn named_file(section: &[u8]) -> Option<(Vec<u8>, u32)> {
    let window = section.get(..limits::FILE_NAME).unwrap_or(section);
    let end = memchr::memchr(0, window)?;
    let name = section.get(..end)?;
    let checksum = section.get(end.checked_add(1)?.next_multiple_of(4)..)?.first_chunk()?;
    let is_one_name = !name.is_empty() && !name.contains(&b'/') && name != b"." && name != b"..";
    is_one_name.then(|| (name.to_vec(), u32::from_le_bytes(*checksum)))
}

impl<'data> Image<'data> {
    /// Returns whether the image has a full symbol table of its own.
    pub(crate) fn has_symtab(&self) -> bool {
        self.section_of_kind(elf::SHT_SYMTAB)
            .is_some_and(|section| section.sh_size(LE) != 0)
    }

    /// Returns whether the full symbol table lies in a file of its own.
    pub(crate) const fn has_debug_file(&self) -> bool {
        self.debug_file.is_some()
    }

    /// Takes the full symbol table from a file of its own. The caller has made sure that it belongs to the image; a file
    /// that cannot be read, or is for another machine, leaves the image as it is.
    #[must_use]
    pub(crate) fn with_debug_file(mut self, debug_file: &'data [u8]) -> Self {
        let Ok(Ok(debug_file)) = Image::parse(debug_file) else {
            return self;
        };
        let is_readable = debug_file.symbols(Table::Symtab).is_ok();
        if is_readable && debug_file.has_symtab() && debug_file.machine() == self.machine && !self.has_symtab() {
            self.debug_file = Some(Box::new(debug_file));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_link_is_a_name_and_a_checksum_behind_its_padding() {
        let of =
            |section: &[u8]| named_file(section).map(|(name, checksum)| (String::from_utf8(name).unwrap(), checksum));
        assert_eq!(of(b"ab\0\0\x01\x02\x03\x04"), Some(("ab".into(), 0x0403_0201)));
        assert_eq!(of(b"abc\0\x01\0\0\0"), Some(("abc".into(), 1)));
        assert_eq!(of(b"abcd\0\0\0\0\x02\0\0\0"), Some(("abcd".into(), 2)));
        // Cut short, without an end, and names that would lead elsewhere.
        for refused in [
            &b""[..],
            b"abc\0\x01\0\0",
            b"abcdefgh",
            b"\0\0\0\0\x01\0\0\0",
            b"..\0\0\x01\0\0\0",
            b"a/b\0\x01\0\0\0",
        ] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
        let name = vec![b'a'; limits::FILE_NAME];
        assert_eq!(
            of(&[&name[1..], &[0, 1, 0, 0, 0]].concat()).map(|(_, checksum)| checksum),
            Some(1)
        );
        assert_eq!(of(&[&name[..], &[0; 8]].concat()), None);
    }
}
