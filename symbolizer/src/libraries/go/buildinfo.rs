//! What Go's linker says of a program: the version of Go, and how the program was built.
//!
//! `strip` leaves it. Since Go 1.18 both texts follow the header, each behind its length; before, the header has pointers
//! to two strings (go1.27.3, `src/debug/buildinfo/buildinfo.go`).

use memchr::memmem;

use crate::elf::address::{Access, Vaddr};
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::limits;

/// What is known of the build of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    /// The version of Go, with what follows it.
    pub(super) version: String,
    /// Whether a profile of the running program guided the compiler, which then inlines more.
    pub(super) is_profiled: bool,
}

impl Build {
    /// Reads the version as two numbers, such as 1 and 21; `None` for a version in development that has none.
    pub(super) fn numbers(&self) -> Option<(u16, u16, u16)> {
        let at = self.version.find("go1.")?;
        let rest = self.version.get(at.checked_add(2)?..)?;
        let digits = |text: &str| {
            let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
            text.get(..end).and_then(|digits| digits.parse::<u16>().ok())
        };
        let mut parts = rest.split('.');
        let (major, minor) = (digits(parts.next()?)?, digits(parts.next()?)?);
        Some((major, minor, parts.next().and_then(digits).unwrap_or(0)))
    }

    /// Returns whether functions take their arguments in registers on a machine.
    pub(super) fn has_register_arguments(&self, machine: Machine) -> Option<bool> {
        let (major, minor, _) = self.numbers()?;
        let first = match machine {
            Machine::X86_64 => (1, 17),
            Machine::Aarch64 => (1, 18),
        };
        Some((major, minor) >= first && !self.version.contains("noregabi"))
    }
}

/// Finds what the linker left; `None` if the image is no program of Go.
pub(super) fn find(image: &Image<'_>) -> Option<Build> {
    if let Some(section) = image.section(b".go.buildinfo").ok().flatten() {
        return read(image, section);
    }
    if image.has_sections() {
        return None;
    }
    let data = image.segments().iter().filter(|segment| segment.access == Access::Data);
    data.filter_map(|segment| image.bytes_from(segment.address))
        .find_map(|bytes| read(image, bytes))
}

fn read(image: &Image<'_>, bytes: &[u8]) -> Option<Build> {
    let header = bytes.get(memmem::find(bytes, MAGIC)?..)?;
    parse(header, |address| image.bytes_from(address))
}

/// Reads the header and what it leads to.
pub(super) fn parse<'data>(header: &'data [u8], at: impl Fn(Vaddr) -> Option<&'data [u8]>) -> Option<Build> {
    header.strip_prefix(MAGIC)?;
    let (pointer, flags) = (*header.get(14)?, *header.get(15)?);
    let (version, settings) = if flags & INLINE != 0 {
        let (version, rest) = counted(header.get(HEADER..)?)?;
        (version, counted(rest).map_or(&b""[..], |(settings, _)| settings))
    } else if pointer == 8 && flags & BIG_ENDIAN == 0 {
        let string = |offset: usize| {
            let [address, length] = words(at(Vaddr(words::<1>(header.get(offset..)?)?[0]))?)?;
            at(Vaddr(address))?.get(..usize::try_from(length).ok()?)
        };
        (string(16)?, string(24).unwrap_or_default())
    } else {
        return None;
    };
    let version = std::str::from_utf8(version.get(..limits::VERSION_TEXT).unwrap_or(version)).ok()?;
    Some(Build {
        version: version.to_owned(),
        is_profiled: memmem::find(settings, PROFILE).is_some(),
    })
}

/// Reads bytes behind their number, which is written in groups of seven bits.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index.checked_add(1)?..)?.split_at_checked(length);
        }
    }
    None
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let words = bytes.as_chunks::<8>().0.get(..N)?;
    words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect::<Vec<_>>()
        .try_into()
        .ok()
}

/// Begins the header.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// How many bytes the header has.
const HEADER: usize = 32;
/// Bits of the flags.
const BIG_ENDIAN: u8 = 1;
const INLINE: u8 = 2;
/// A line of the settings that names a profile.
const PROFILE: &[u8] = b"build\t-pgo=";

#[cfg(test)]
mod tests {
    use super::*;

    fn build(version: &str) -> Build {
        Build {
            version: version.to_owned(),
            is_profiled: false,
        }
    }

    fn inline(version: &[u8], settings: &[u8]) -> Vec<u8> {
        let header = [MAGIC, &[8, INLINE], &[0; 16]].concat();
        let length = |text: &[u8]| {
            let length = u8::try_from(text.len() & 0x7f).unwrap();
            vec![length | 0x80, u8::try_from(text.len() >> 7).unwrap()]
        };
        [&header, &length(version)[..], version, &length(settings), settings].concat()
    }

    #[test]
    fn both_forms_are_read_and_no_cut_of_them_is_misread() {
        let section = inline(b"go1.27.3", b"path\tx\nbuild\t-pgo=default.pgo\n");
        let nothing = |_| None;
        let expected = Build {
            version: "go1.27.3".to_owned(),
            is_profiled: true,
        };
        assert_eq!(parse(&section, nothing), Some(expected));
        for cut in 0..HEADER + 2 + 8 {
            assert_eq!(parse(&section[..cut], nothing), None, "{cut}");
        }
        let string = [0x3000_u64, 8].map(u64::to_le_bytes).concat();
        let text = b"go1.16.4 and more";
        let at = |address| match address {
            Vaddr(0x2000) => Some(&string[..]),
            Vaddr(0x3000) => Some(&text[..]),
            _ => None,
        };
        let pointers = [MAGIC, &[8, 0][..], &0x2000_u64.to_le_bytes(), &[0; 8]].concat();
        assert_eq!(parse(&pointers, at), Some(build("go1.16.4")));
        assert_eq!(parse(&pointers[..20], at), None);
    }

    #[test]
    fn a_version_says_where_arguments_are() {
        let registers = |version| build(version).has_register_arguments(Machine::X86_64);
        assert_eq!(registers("go1.16.15"), Some(false));
        assert_eq!(registers("go1.17"), Some(true));
        assert_eq!(registers("go1.18 X:noregabi"), Some(false));
        assert_eq!(registers("devel go1.28-0123abc Mon Jan 1"), Some(true));
        assert_eq!(registers("devel +0123abc"), None);
        let on_aarch64 = |version| build(version).has_register_arguments(Machine::Aarch64);
        assert_eq!(on_aarch64("go1.17.13"), Some(false));
        assert_eq!(on_aarch64("go1.18"), Some(true));
        assert_eq!(build("go1.21rc2").numbers(), Some((1, 21, 0)));
        assert_eq!(build("go1.23.9 X:boringcrypto").numbers(), Some((1, 23, 9)));
    }
}
