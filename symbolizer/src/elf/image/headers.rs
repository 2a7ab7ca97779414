//! The headers of an ELF file, in place, and the segments to load.
//!
//! A file for another machine or of another class is sound, and has a [`Reason`]. Tables that are cut short, malformed
//! or over the limits are an [`Error`].

use object::elf;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};

use super::raw::{Header, LE, ProgramHeader, SectionHeader};
use crate::elf::address::{Access, FileOffset, Segment, Segments, Vaddr};
use crate::error::Error;
use crate::limits;
use crate::reason::Reason;

/// Judges an image by the 20 bytes that mean the same in every ELF file.
pub(super) fn refuse_by_identification(data: &[u8]) -> Result<Option<Reason>, Error> {
    if !data.starts_with(&elf::ELFMAG) {
        return Err(Error::NotElf);
    }
    let cut = || Error::CutShort { part: "header" };
    let class = *data.get(4).ok_or_else(cut)?;
    let order = *data.get(5).ok_or_else(cut)?;
    let machine = data
        .get(18..20)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(cut)?;
    match (class, order) {
        (elf::ELFCLASS32, _) => Ok(Some(Reason::ThirtyTwoBit)),
        (elf::ELFCLASS64, elf::ELFDATA2LSB) => Ok(None),
        (elf::ELFCLASS64, elf::ELFDATA2MSB) => Ok(Some(Reason::MachineUnsupported {
            machine: u16::from_be_bytes(machine),
        })),
        _ => Err(Error::Malformed { part: "header" }),
    }
}

pub(super) fn program_headers<'data>(header: &Header, data: &'data [u8]) -> Result<&'data [ProgramHeader], Error> {
    let end = table_end(
        header.e_phoff(LE),
        header.e_phnum(LE).into(),
        size_of::<ProgramHeader>(),
    );
    let headers = header
        .program_headers(LE, data)
        .map_err(|_unsaid| cut_or_malformed(data, end, "program headers"))?;
    within(headers, limits::PROGRAM_HEADERS, "program header table")
}

pub(super) fn section_headers<'data>(header: &Header, data: &'data [u8]) -> Result<&'data [SectionHeader], Error> {
    let count = usize::from(header.e_shnum(LE)).max(1);
    let end = table_end(header.e_shoff(LE), count, size_of::<SectionHeader>());
    let headers = header
        .section_headers(LE, data)
        .map_err(|_unsaid| cut_or_malformed(data, end, "section headers"))?;
    within(headers, limits::SECTIONS, "section header table")
}

/// Finds the names of the sections; without them no section is found by name, and no more is lost.
pub(super) fn section_names<'data>(header: &Header, sections: &[SectionHeader], data: &'data [u8]) -> &'data [u8] {
    let index = header
        .shstrndx(LE, data)
        .ok()
        .and_then(|index| usize::try_from(index).ok());
    let section = index.and_then(|index| sections.get(index));
    section
        .and_then(|section| section.data(LE, data).ok())
        .unwrap_or_default()
}

pub(super) fn loadable(headers: &[ProgramHeader]) -> Segments {
    let loaded = headers.iter().filter(|header| header.p_type(LE) == elf::PT_LOAD);
    let segment = |header: &ProgramHeader| Segment {
        address: Vaddr(header.p_vaddr(LE)),
        offset: FileOffset(header.p_offset(LE)),
        file_size: header.p_filesz(LE),
        access: if header.p_flags(LE) & elf::PF_X == 0 {
            Access::Data
        } else {
            Access::Code
        },
    };
    Segments::new(loaded.map(segment).collect())
}

fn table_end(offset: u64, count: usize, entry: usize) -> usize {
    usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .saturating_add(count.saturating_mul(entry))
}

pub(super) fn cut_or_malformed(data: &[u8], end: usize, part: &'static str) -> Error {
    if data.len() < end {
        Error::CutShort { part }
    } else {
        Error::Malformed { part }
    }
}

fn within<'data, T>(entries: &'data [T], limit: usize, part: &'static str) -> Result<&'data [T], Error> {
    if entries.len() > limit {
        Err(Error::OverLimit { part, limit })
    } else {
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::image::Image;

    const HEADER: usize = size_of::<Header>();

    /// Builds a file whose tables have the lengths given and whose first program header is to be loaded.
    fn with_tables(programs: usize, sections: usize) -> Vec<u8> {
        let section_table = HEADER + programs * size_of::<ProgramHeader>();
        let mut image = vec![0; section_table + sections * size_of::<SectionHeader>()];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &elf::ET_DYN.to_le_bytes());
        put(18, &elf::EM_X86_64.to_le_bytes());
        put(32, &HEADER.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &u16::try_from(programs).unwrap().to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        put(HEADER, &elf::PT_LOAD.to_le_bytes());
        if sections > 0 {
            put(40, &section_table.to_le_bytes());
            // A count of zero says that the size field of the first section header holds it.
            put(section_table + 32, &sections.to_le_bytes());
        }
        image
    }

    fn limit_hit(image: &[u8]) -> Option<usize> {
        match Image::parse(image) {
            Err(Error::OverLimit { limit, .. }) => Some(limit),
            other => other.unwrap().map(|_| None).unwrap(),
        }
    }

    #[test]
    fn the_program_headers_may_fill_their_limit_and_no_more() {
        assert_eq!(limit_hit(&with_tables(limits::PROGRAM_HEADERS, 0)), None);
        assert_eq!(
            limit_hit(&with_tables(limits::PROGRAM_HEADERS + 1, 0)),
            Some(limits::PROGRAM_HEADERS)
        );
    }

    #[test]
    fn the_section_headers_may_fill_their_limit_and_no_more() {
        assert_eq!(limit_hit(&with_tables(1, limits::SECTIONS)), None);
        assert_eq!(limit_hit(&with_tables(1, limits::SECTIONS + 1)), Some(limits::SECTIONS));
    }

    #[test]
    fn a_file_without_loadable_segments_is_refused() {
        let mut image = with_tables(1, 0);
        image[HEADER] = 0;
        assert_eq!(Image::parse(&image).unwrap().unwrap_err(), Reason::NotLoadable);
    }
}
