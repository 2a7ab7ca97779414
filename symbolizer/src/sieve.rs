//! Which bytes of an image matter to a plan.
//!
//! Programs carry tens of megabytes of constants and debugging information, of which a plan needs a few texts. So
//! whoever reads the file finds the large sections of data by its headers, reads them piece by piece, keeps what
//! surrounds the [`marks`], and puts zeros in the place of the rest, of which a plan says what else it needs
//! ([`Unread`](crate::Unread)). Where the headers do not say which sections those are, all bytes matter.

use std::ops::Range;

use memchr::memmem;

use crate::libraries::{named, traces, version};

/// Bytes of the header, and of a section's.
pub const HEADER_BYTES: usize = 64;
const SECTION_BYTES: usize = 64;

/// Smaller sections are kept whole: functions are analysed with the tables in them that they jump by.
const LARGE: u64 = 4 << 20;

/// How much around a mark matters: the longest text that begins with one, and what leads up to it.
const AROUND: usize = 512;

/// How much of the end of a piece has to be seen again with the next one: a mark may lie across, or what follows it.
pub const OVERLAP: usize = 2 * AROUND;

const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOTE: u32 = 7;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;

/// Where Go keeps its table of functions.
const GO_FUNCTIONS: [&[u8]; 2] = [b".gopclntab\0", b".data.rel.ro.gopclntab\0"];

/// The compressed symbol table, which is no debugging information.
const DEBUGDATA: &[u8] = b".gnu_debugdata\0";

/// Finds the table of section headers by the first [`HEADER_BYTES`] of an image.
#[must_use]
pub fn section_table(header: &[u8]) -> Option<Range<u64>> {
    let elf64 = header.starts_with(b"\x7fELF\x02\x01");
    let sized = word16(header, 58)? == u16::try_from(SECTION_BYTES).ok()?;
    let count = u64::from(word16(header, 60)?);
    let start = word64(header, 40)?;
    let bytes = count * u64::try_from(SECTION_BYTES).ok()?;
    (elf64 && sized && count > 0).then_some(start..start.checked_add(bytes)?)
}

/// Finds the names of the sections by the header and the table of section headers.
#[must_use]
pub fn section_names(header: &[u8], table: &[u8]) -> Option<Range<u64>> {
    let index = usize::from(word16(header, 62)?);
    table.chunks_exact(SECTION_BYTES).nth(index).and_then(place)
}

/// Finds the large sections of which only what [`marks`] finds matters, in the order of the file; none overlaps another
/// section.
#[must_use]
pub fn data_sections(table: &[u8], names: &[u8]) -> Vec<Range<u64>> {
    let sections = || table.chunks_exact(SECTION_BYTES);
    let is_alone = |own: usize, place: &Range<u64>| {
        let mut others = sections().enumerate().filter(|(index, _)| *index != own);
        let overlaps = |other: Range<u64>| other.start < place.end && place.start < other.end;
        !others.any(|(_, other)| self::place(other).is_some_and(overlaps))
    };
    let large = sections().enumerate().filter_map(|(index, section)| {
        let place = place(section).filter(|place| place.end - place.start >= LARGE)?;
        (is_data(section, names)? && is_alone(index, &place)).then_some(place)
    });
    let mut large: Vec<_> = large.collect();
    large.sort_by_key(|place| place.start);
    large
}

/// Finds what of a [debug file](crate::DebugLink) matters: the symbol tables, the names in them, and the notes.
#[must_use]
pub fn symbol_sections(table: &[u8]) -> Vec<Range<u64>> {
    let sections = table.chunks_exact(SECTION_BYTES);
    let of_symbols = sections.filter(|section| matches!(word32(section, 4), Some(SHT_SYMTAB | SHT_STRTAB | SHT_NOTE)));
    of_symbols.filter_map(place).collect()
}

/// Hands over where in a piece of such a section there is something that matters.
pub fn marks(piece: &[u8], mut found: impl FnMut(Range<usize>)) {
    for mark in version::MARKS.iter().chain(&traces::MARKS).chain(&named::MARKS) {
        for at in memmem::find_iter(piece, mark) {
            let end = at.saturating_add(AROUND).min(piece.len());
            found(at.saturating_sub(AROUND)..end);
        }
    }
}

/// Returns whether a section holds constants or debugging information.
fn is_data(section: &[u8], names: &[u8]) -> Option<bool> {
    let (kind, flags) = (word32(section, 4)?, word64(section, 8)?);
    let name = usize::try_from(word32(section, 0)?).ok().and_then(|at| names.get(at..));
    let is_symbols = name.is_none_or(|name| name.starts_with(DEBUGDATA));
    let is_go = name.is_some_and(|name| GO_FUNCTIONS.iter().any(|own| name.starts_with(own)));
    Some(!is_go && kind == SHT_PROGBITS && flags & SHF_EXECINSTR == 0 && (flags & SHF_ALLOC != 0 || !is_symbols))
}

/// Where a section lies in the file, if it does.
fn place(section: &[u8]) -> Option<Range<u64>> {
    let (kind, start, bytes) = (word32(section, 4)?, word64(section, 24)?, word64(section, 32)?);
    let end = start.checked_add(bytes)?;
    (kind != SHT_NOBITS && bytes > 0).then_some(start..end)
}

fn word16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: u32, kind: u32, flags: u64, start: u64, bytes: u64) -> Vec<u8> {
        let words = [name.to_le_bytes(), kind.to_le_bytes()].concat();
        let places = [flags, 0, start, bytes, 0, 0, 0].map(u64::to_le_bytes).concat();
        [words, places].concat()[..SECTION_BYTES].to_vec()
    }

    const NAMES: &[u8] = b"\0.gnu_debugdata\0.debug_info\0";

    #[test]
    fn large_sections_of_data_are_found_and_code_and_symbols_are_not() {
        let table = [
            section(0, 0, 0, 0, 0),
            section(0, SHT_PROGBITS, SHF_ALLOC, 3 * LARGE, LARGE),
            section(0, SHT_PROGBITS, SHF_ALLOC, 5 * LARGE, LARGE - 1),
            section(0, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 6 * LARGE, LARGE),
            section(0, SHT_NOBITS, SHF_ALLOC, 0, 100 * LARGE),
            section(0, 2, 0, 8 * LARGE, LARGE),
            section(1, SHT_PROGBITS, 0, 10 * LARGE, LARGE),
            section(16, SHT_PROGBITS, 0, LARGE, LARGE),
        ]
        .concat();
        let of = |names| {
            let found = data_sections(&table, names).into_iter();
            found
                .map(|place| (place.start / LARGE, place.end / LARGE))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(NAMES), [(1, 2), (3, 4)]);
        assert_eq!(of(b""), [(3, 4)], "its name is not known");
    }

    #[test]
    fn a_section_that_overlaps_another_is_left_whole() {
        let table = [
            section(0, SHT_PROGBITS, SHF_ALLOC, 0, 2 * LARGE),
            section(0, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, LARGE, 10),
        ]
        .concat();
        assert!(data_sections(&table, NAMES).is_empty());
        let beyond = section(0, SHT_PROGBITS, SHF_ALLOC, u64::MAX - 5, 2 * LARGE);
        assert!(data_sections(&beyond, NAMES).is_empty());
    }

    #[test]
    fn the_tables_are_found_by_the_header_or_not_at_all() {
        let mut header = vec![0; HEADER_BYTES];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[40..48].copy_from_slice(&1000_u64.to_le_bytes());
        header[58..64].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
        assert_eq!(section_table(&header), Some(1000..1192));
        let table = [section(0, 0, 0, 0, 0), section(0, 3, 0, 77, 5)].concat();
        assert_eq!(section_names(&header, &table), Some(77..82));
        for cut in 0..HEADER_BYTES {
            assert_eq!(section_names(&header[..cut], &table), None);
        }
        header[60] = 0;
        assert_eq!(section_table(&header), None);
    }

    #[test]
    fn whatever_is_searched_for_is_a_mark_with_what_surrounds_it() {
        for text in [
            "OpenSSL 3.0.2 15 Mar 2022",
            "../ssl/ssl_lib.c",
            "/rustls-0.23/src/a.rs",
            "key expansion",
            "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",
            "unknown type in record hdr",
            "Error encountered in lib/tls/s2n_recv.c:1",
        ] {
            let piece = [&[7; 1000][..], text.as_bytes(), &[0; 1000]].concat();
            let mut kept = vec![0; piece.len()];
            marks(&piece, |range| kept[range.clone()].copy_from_slice(&piece[range]));
            let at = memmem::find(&kept, text.as_bytes());
            assert_eq!(at, Some(1000), "{text}");
            assert!(kept[..400].iter().all(|byte| *byte == 0), "{text}");
        }
    }
}
