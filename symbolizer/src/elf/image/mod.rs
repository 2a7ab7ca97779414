//! One ELF image: its segments, notes, symbol tables and the bytes at an address.
//!
//! This folder alone names the `object` crate. It reads executables and shared objects for 64-bit little-endian x86-64
//! and aarch64; for others there is a [`Reason`].

mod debug_file;
mod frames;
mod headers;
mod notes;
mod raw;
mod relocations;
mod symbols;

pub use debug_file::DebugLink;
pub(crate) use frames::Frames;
pub use symbols::{Presence, Symbol, SymbolKind, Symbols};

use std::collections::{BTreeSet, HashMap};

use object::elf;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, VerdauxIterator};

use crate::elf::address::{Access, Segment, Segments, Vaddr};
use crate::elf::dynamic;
use crate::elf::machine::Machine;
use crate::elf::unread::Unread;
use crate::error::Error;
use crate::limits;
use crate::reason::Reason;

use raw::{Header, LE, ProgramHeader, SectionHeader};

use headers::{cut_or_malformed, loadable, program_headers, refuse_by_identification, section_headers, section_names};

/// Names a symbol table that lies in the image as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// What the dynamic linker sees; survives `strip`.
    Dynsym,
    /// What the link editor left for debuggers; `strip` removes it.
    Symtab,
}

/// Gives access to one ELF image.
#[derive(Debug)]
pub struct Image<'data> {
    data: &'data [u8],
    machine: Machine,
    headers: &'data [ProgramHeader],
    sections: &'data [SectionHeader],
    section_names: &'data [u8],
    segments: Segments,
    unread: Option<&'data Unread>,
    /// The file of its own that holds the full symbol table, if the image has none.
    debug_file: Option<Box<Self>>,
}

impl<'data> Image<'data> {
    /// Reads the headers of an image.
    pub fn parse(data: &'data [u8]) -> Result<Result<Self, Reason>, Error> {
        Self::parse_partly(data, None)
    }

    /// Reads the headers of an image of which parts were not read from its file.
    pub(crate) fn parse_partly(
        data: &'data [u8],
        unread: Option<&'data Unread>,
    ) -> Result<Result<Self, Reason>, Error> {
        if let Some(reason) = refuse_by_identification(data)? {
            return Ok(Err(reason));
        }
        let header = Header::parse(data).map_err(|_unsaid| cut_or_malformed(data, size_of::<Header>(), "header"))?;
        let machine = match header.e_machine(LE) {
            elf::EM_X86_64 => Machine::X86_64,
            elf::EM_AARCH64 => Machine::Aarch64,
            machine => return Ok(Err(Reason::MachineUnsupported { machine })),
        };
        let headers = program_headers(header, data)?;
        let segments = loadable(headers);
        if !matches!(header.e_type(LE), elf::ET_EXEC | elf::ET_DYN) || segments.iter().next().is_none() {
            return Ok(Err(Reason::NotLoadable));
        }
        let sections = section_headers(header, data)?;
        let section_names = section_names(header, sections, data);
        Ok(Ok(Self {
            data,
            machine,
            headers,
            sections,
            section_names,
            segments,
            unread,
            debug_file: None,
        }))
    }

    /// Returns the machine whose code the image holds.
    #[must_use]
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    /// Returns the loadable segments.
    #[must_use]
    pub const fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Returns every byte of the image.
    #[must_use]
    pub const fn data(&self) -> &'data [u8] {
        self.data
    }

    /// Returns the bytes from an address to the end of its segment.
    #[must_use]
    pub fn bytes_from(&self, address: Vaddr) -> Option<&'data [u8]> {
        if let Some(unread) = self.unread {
            unread.ask(self.segments.offset_of(address)?);
        }
        bytes_from(self.data, &self.segments, address)
    }

    /// Iterates over one symbol table; a table that is absent is empty. The full one may lie in a file of its own.
    pub fn symbols(&self, table: Table) -> Result<Symbols<'data>, Error> {
        let kind = match table {
            Table::Dynsym => elf::SHT_DYNSYM,
            Table::Symtab => elf::SHT_SYMTAB,
        };
        match (self.section_of_kind(kind), table) {
            (Some(section), _) => {
                let bytes = self.section_bytes(section, "symbol table")?;
                Symbols::new(bytes, self.linked_strings(section)?)
            }
            (None, Table::Dynsym) => self.symbols_without_sections(),
            (None, Table::Symtab) => match &self.debug_file {
                Some(debug_file) => debug_file.symbols(Table::Symtab),
                None => Ok(Symbols::default()),
            },
        }
    }

    /// Returns the bytes of a section by its name.
    pub fn section(&self, name: &[u8]) -> Result<Option<&'data [u8]>, Error> {
        let named = |section: &&SectionHeader| {
            string_is(self.section_names, section.sh_name(LE), name) && section.sh_type(LE) != elf::SHT_NOBITS
        };
        self.sections
            .iter()
            .find(named)
            .map(|section| self.section_bytes(section, "section"))
            .transpose()
    }

    /// Returns whether the image has section headers.
    #[must_use]
    pub const fn has_sections(&self) -> bool {
        !self.sections.is_empty()
    }

    /// Returns the bytes of a section by its name, and where they are loaded.
    #[must_use]
    pub fn section_at(&self, name: &[u8]) -> Option<(Vaddr, &'data [u8])> {
        let named = |section: &&SectionHeader| string_is(self.section_names, section.sh_name(LE), name);
        let section = self.sections.iter().find(named)?;
        let bytes = self.section_bytes(section, "section").ok()?;
        Some((Vaddr(section.sh_addr(LE)), bytes))
    }

    /// Returns the names of the symbol versions the image defines.
    pub fn defined_versions(&self) -> Result<Vec<&'data [u8]>, Error> {
        let Some(section) = self.section_of_kind(elf::SHT_GNU_VERDEF) else {
            return Ok(Vec::new());
        };
        let malformed = |_unsaid| Error::Malformed {
            part: "symbol version table",
        };
        let Some((versions, _)) = section.gnu_verdef(LE, self.data).map_err(malformed)? else {
            return Ok(Vec::new());
        };
        version_names(versions.map(name_offset), self.linked_strings(section)?)
    }

    /// Returns the name of the symbol whose address the dynamic linker puts at an address.
    pub fn linked_name(&self, slot: Vaddr) -> Result<Option<&'data [u8]>, Error> {
        let symbol = self.linked_symbol(slot)?;
        Ok(symbol.and_then(|symbol| symbol.name_within(limits::SYMBOL_NAME)))
    }

    /// Returns the symbol whose address the dynamic linker puts at an address.
    pub fn linked_symbol(&self, slot: Vaddr) -> Result<Option<Symbol<'data>>, Error> {
        let tables = self
            .sections
            .iter()
            .filter(|section| section.sh_type(LE) == elf::SHT_RELA);
        for section in tables {
            let bytes = self.section_bytes(section, "relocation table")?;
            if let Some(index) = relocations::symbol_at(bytes, self.machine, slot)? {
                return Ok(self.symbols(Table::Dynsym)?.nth(index));
            }
        }
        Ok(None)
    }

    /// Returns the places at which the dynamic linker puts addresses of symbols, with the symbols' indices in the dynamic
    /// table: as many as the limit.
    pub(crate) fn linked_places(&self) -> Result<HashMap<Vaddr, usize>, Error> {
        let mut linked = HashMap::new();
        let tables = self.sections.iter();
        for section in tables.filter(|section| section.sh_type(LE) == elf::SHT_RELA) {
            let bytes = self.section_bytes(section, "relocation table")?;
            let room = limits::LINKED_SYMBOLS.saturating_sub(linked.len());
            linked.extend(relocations::linked(bytes, self.machine, room)?);
        }
        Ok(linked)
    }

    /// Returns the address that stands at a place once the dynamic linker is done, before it moves the image.
    #[must_use]
    pub fn pointer_at(&self, place: Vaddr) -> Option<Vaddr> {
        let stored = u64::from_le_bytes(*self.bytes_from(place)?.first_chunk()?);
        if stored != 0 {
            return Some(Vaddr(stored));
        }
        let mut tables = self
            .sections
            .iter()
            .filter(|section| section.sh_type(LE) == elf::SHT_RELA);
        tables.find_map(|section| {
            let bytes = self.section_bytes(section, "relocation table").ok()?;
            relocations::relative_at(bytes, self.machine, place).ok().flatten()
        })
    }

    /// Lists the places in the image's data that hold addresses of its code once the dynamic linker is done, and these
    /// addresses. What looks like one and is none is among them.
    #[must_use]
    pub fn code_pointers(&self) -> Vec<(Vaddr, Vaddr)> {
        let is_code = |segment: &Segment| segment.access == Access::Code;
        let leads_to_code = |target| self.segments.containing(target).is_some_and(is_code);
        self.pointers().filter(|(_, target)| leads_to_code(*target)).collect()
    }

    /// Lists the places in the image's data that hold one of some addresses once the dynamic linker is done.
    pub(crate) fn places_of(&self, targets: &BTreeSet<Vaddr>) -> Vec<Vaddr> {
        let found = self.pointers().filter(|(_, target)| targets.contains(target));
        found.map(|(place, _)| place).collect()
    }

    /// Iterates over the words of the image's data, and over what the dynamic linker puts there.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = (Vaddr, Vaddr)> {
        let data = self.segments.iter().filter(|segment| segment.access == Access::Data);
        let stored = data.filter_map(|segment| Some((segment.address, self.bytes_from(segment.address)?)));
        let stored = stored.flat_map(|(address, bytes)| words(address, bytes));
        let tables = self
            .sections
            .iter()
            .filter(|section| section.sh_type(LE) == elf::SHT_RELA);
        let tables = tables.filter_map(|section| self.section_bytes(section, "relocation table").ok());
        let linked = tables.filter_map(|bytes| relocations::relatives(bytes, self.machine).ok());
        stored.chain(linked.flatten())
    }

    /// Returns where functions begin, as far as the image's table for unwinding says it.
    pub(crate) fn frames(&self) -> Frames<'data> {
        let header = self
            .headers
            .iter()
            .find(|header| header.p_type(LE) == elf::PT_GNU_EH_FRAME);
        let table = header.and_then(|header| {
            let section = header.data(LE, self.data).ok()?;
            Frames::parse(section, Vaddr(header.p_vaddr(LE)))
        });
        table.unwrap_or_default()
    }

    /// Returns the name by which other images ask for this one.
    #[must_use]
    pub fn own_name(&self) -> Option<&'data [u8]> {
        self.dynamic_names(dynamic::DT_SONAME).pop()
    }

    /// Returns the names of the images this one needs.
    #[must_use]
    pub fn needed_names(&self) -> Vec<&'data [u8]> {
        self.dynamic_names(dynamic::DT_NEEDED)
    }

    /// Returns the folders in which the dynamic linker searches first for the images this one needs: `DT_RUNPATH`, or
    /// `DT_RPATH` where there is none; unexpanded.
    #[must_use]
    pub fn search_paths(&self) -> Vec<&'data [u8]> {
        let by = |tag| self.dynamic_names(tag).pop();
        let paths = by(dynamic::DT_RUNPATH).or_else(|| by(dynamic::DT_RPATH));
        let folders = paths.into_iter().flat_map(|paths| paths.split(|byte| *byte == b':'));
        folders.filter(|folder| !folder.is_empty()).collect()
    }

    fn dynamic_names(&self, tag: u64) -> Vec<&'data [u8]> {
        self.dynamic()
            .map(|dynamic| dynamic::names(dynamic, tag, |address| self.bytes_from(address)))
            .unwrap_or_default()
    }

    fn dynamic(&self) -> Option<&'data [u8]> {
        let dynamic = self.headers.iter().find(|header| header.p_type(LE) == elf::PT_DYNAMIC);
        dynamic.and_then(|header| header.data(LE, self.data).ok())
    }

    fn section_of_kind(&self, kind: u32) -> Option<&'data SectionHeader> {
        self.sections.iter().find(|section| section.sh_type(LE) == kind)
    }

    fn section_bytes(&self, section: &SectionHeader, part: &'static str) -> Result<&'data [u8], Error> {
        section.data(LE, self.data).map_err(|_unsaid| Error::CutShort { part })
    }

    fn linked_strings(&self, section: &SectionHeader) -> Result<&'data [u8], Error> {
        let malformed = Error::Malformed {
            part: "string table link",
        };
        let link = usize::try_from(section.sh_link(LE))
            .ok()
            .and_then(|link| self.sections.get(link));
        self.section_bytes(link.ok_or(malformed)?, "string table")
    }

    fn symbols_without_sections(&self) -> Result<Symbols<'data>, Error> {
        let Some(dynamic) = self.dynamic() else {
            return Ok(Symbols::default());
        };
        match dynamic::find_symbols(dynamic, |address| self.bytes_from(address))? {
            Some(tables) => Symbols::new(tables.symbols, tables.strings),
            None => Ok(Symbols::default()),
        }
    }
}

fn bytes_from<'data>(data: &'data [u8], segments: &Segments, address: Vaddr) -> Option<&'data [u8]> {
    let segment = segments.containing(address)?;
    let start = usize::try_from(segments.offset_of(address)?.0).ok()?;
    let end = usize::try_from(segment.offset.0.checked_add(segment.file_size)?).ok()?;
    data.get(start..end.min(data.len()))
}

/// Returns the words of some data, and where they lie.
fn words(address: Vaddr, data: &[u8]) -> impl Iterator<Item = (Vaddr, Vaddr)> {
    let places = (address.0..).step_by(size_of::<u64>()).map(Vaddr);
    let words = data.as_chunks().0.iter();
    places.zip(words.map(|word| Vaddr(u64::from_le_bytes(*word))))
}

/// Reads where the name of each version begins.
fn name_offset(
    version: object::Result<(&elf::Verdef<object::endian::LittleEndian>, VerdauxIterator<'_, Header>)>,
) -> Result<Option<u32>, Error> {
    let malformed = |_unsaid| Error::Malformed {
        part: "symbol version table",
    };
    let (_, mut names) = version.map_err(malformed)?;
    Ok(names.next().map_err(malformed)?.map(|name| name.vda_name.get(LE)))
}

fn version_names(
    offsets: impl Iterator<Item = Result<Option<u32>, Error>>,
    strings: &[u8],
) -> Result<Vec<&[u8]>, Error> {
    let mut names = Vec::new();
    for offset in offsets {
        let Some(offset) = offset? else { continue };
        if names.len() == limits::SYMBOL_VERSIONS {
            return Err(Error::OverLimit {
                part: "symbol version table",
                limit: limits::SYMBOL_VERSIONS,
            });
        }
        names.extend(string_at(strings, offset));
    }
    Ok(names)
}

fn string_at(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let tail = strings.get(usize::try_from(offset).ok()?..)?;
    let window = tail.get(..limits::VERSION_TEXT).unwrap_or(tail);
    window.get(..memchr::memchr(0, window)?)
}

fn string_is(strings: &[u8], offset: u32, name: &[u8]) -> bool {
    let tail = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
    tail.and_then(|tail| tail.strip_prefix(name))
        .is_some_and(|rest| rest.first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_versions_may_fill_their_limit_and_no_more() {
        let versions =
            |count| version_names((0..count).map(|_| Ok(Some(0))), b"OPENSSL_3.0.0\0").map(|names| names.len());
        assert_eq!(versions(limits::SYMBOL_VERSIONS).unwrap(), limits::SYMBOL_VERSIONS);
        let over = versions(limits::SYMBOL_VERSIONS + 1);
        assert!(matches!(
            over,
            Err(Error::OverLimit {
                limit: limits::SYMBOL_VERSIONS,
                ..
            })
        ));
    }

    #[test]
    fn a_section_name_is_compared_to_its_end() {
        let names = b"\0.gnu_debugdata\0.gnu_debugdata2";
        assert!(string_is(names, 1, b".gnu_debugdata"));
        assert!(!string_is(names, 16, b".gnu_debugdata"));
        assert!(!string_is(names, u32::MAX, b".gnu_debugdata"));
    }
}
