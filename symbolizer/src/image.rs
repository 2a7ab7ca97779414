//! One ELF image: its segments, notes, symbol tables and the bytes at an address.
//!
//! In: the bytes of a file. Out: [`Image`], and everything the other modules ask of ELF. This is the only file
//! that names the `object` crate. Refused: what is not a 64-bit little-endian x86-64 or aarch64 executable or
//! shared object (a [`Reason`]), and tables that do not fit the file or the limits (an [`Error`]).

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{
    FileHeader as _, NoteIterator, ProgramHeader as _, SectionHeader as _, Sym as _, VerdefIterator,
};

use crate::address::{Access, FileOffset, Segment, Segments, Vaddr};
use crate::dynamic;
use crate::error::Error;
use crate::limits;
use crate::reason::Reason;

type Header = elf::FileHeader64<LittleEndian>;
type ProgramHeader = elf::ProgramHeader64<LittleEndian>;
type SectionHeader = elf::SectionHeader64<LittleEndian>;
type RawSymbol = elf::Sym64<LittleEndian>;

const LE: LittleEndian = LittleEndian;

/// Names a machine whose images are planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64 with 64-bit pointers.
    X86_64,
    /// aarch64, little-endian.
    Aarch64,
}

impl Machine {
    /// Returns its usual lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

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
}

impl<'data> Image<'data> {
    /// Reads the headers of an image.
    pub fn parse(data: &'data [u8]) -> Result<Result<Self, Reason>, Error> {
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
        bytes_from(self.data, &self.segments, address)
    }

    /// Iterates over one symbol table; a table that is absent is empty.
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
            (None, Table::Symtab) => Ok(Symbols::default()),
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

    /// Returns the identifier the link editor left in a GNU note.
    #[must_use]
    pub fn gnu_build_id(&self) -> Option<&'data [u8]> {
        self.headers
            .iter()
            .filter_map(|header| header.notes(LE, self.data).ok().flatten())
            .find_map(|notes| build_id_among(notes))
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
        version_names(versions, self.linked_strings(section)?)
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
        let dynamic = self.headers.iter().find(|header| header.p_type(LE) == elf::PT_DYNAMIC);
        let Some(dynamic) = dynamic.and_then(|header| header.data(LE, self.data).ok()) else {
            return Ok(Symbols::default());
        };
        match dynamic::find_symbols(dynamic, |address| self.bytes_from(address))? {
            Some(tables) => Symbols::new(tables.symbols, tables.strings),
            None => Ok(Symbols::default()),
        }
    }
}

/// Says what a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Code that is called at the symbol's address (`STT_FUNC`).
    Function,
    /// Code that only chooses the function to call (`STT_GNU_IFUNC`).
    Resolver,
    /// Anything else.
    Other,
}

/// Says whether the image holds what a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The image holds it.
    Defined,
    /// Another object has to provide it.
    Imported,
}

/// Describes one entry of a symbol table.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'data> {
    /// Where it lies, if it is defined.
    pub address: Vaddr,
    /// How many bytes it covers; zero if the table does not say.
    pub size: u64,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Whether the image holds it.
    pub presence: Presence,
    strings: &'data [u8],
}

impl<'data> Symbol<'data> {
    /// Returns the name if it is at most `limit` bytes long.
    ///
    /// The limit is what keeps a table of many long names from costing their product.
    #[must_use]
    pub fn name_within(&self, limit: usize) -> Option<&'data [u8]> {
        let window = self.strings.get(..=limit).unwrap_or(self.strings);
        window.get(..memchr::memchr(0, window)?)
    }
}

/// Iterates over the entries of a symbol table.
#[derive(Clone, Debug, Default)]
pub struct Symbols<'data> {
    entries: std::slice::Iter<'data, RawSymbol>,
    strings: &'data [u8],
}

impl<'data> Symbols<'data> {
    fn new(bytes: &'data [u8], strings: &'data [u8]) -> Result<Self, Error> {
        let count = bytes.len() / size_of::<RawSymbol>();
        if count > limits::SYMBOLS {
            return Err(Error::OverLimit {
                part: "symbol table",
                limit: limits::SYMBOLS,
            });
        }
        let malformed = |()| Error::Malformed { part: "symbol table" };
        let (entries, _rest) = object::pod::slice_from_bytes(bytes, count).map_err(malformed)?;
        Ok(Self {
            entries: entries.iter(),
            strings,
        })
    }
}

impl<'data> Iterator for Symbols<'data> {
    type Item = Symbol<'data>;

    fn next(&mut self) -> Option<Self::Item> {
        let raw = self.entries.next()?;
        let name = usize::try_from(raw.st_name(LE)).unwrap_or(usize::MAX);
        Some(Symbol {
            address: Vaddr(raw.st_value(LE)),
            size: raw.st_size(LE),
            kind: match raw.st_type() {
                elf::STT_FUNC => SymbolKind::Function,
                elf::STT_GNU_IFUNC => SymbolKind::Resolver,
                _ => SymbolKind::Other,
            },
            presence: if raw.st_shndx(LE) == elf::SHN_UNDEF {
                Presence::Imported
            } else {
                Presence::Defined
            },
            strings: self.strings.get(name..).unwrap_or_default(),
        })
    }
}

/// Judges an image by the 20 bytes that mean the same in every ELF file.
fn refuse_by_identification(data: &[u8]) -> Result<Option<Reason>, Error> {
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

fn program_headers<'data>(header: &Header, data: &'data [u8]) -> Result<&'data [ProgramHeader], Error> {
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

fn section_headers<'data>(header: &Header, data: &'data [u8]) -> Result<&'data [SectionHeader], Error> {
    let count = usize::from(header.e_shnum(LE)).max(1);
    let end = table_end(header.e_shoff(LE), count, size_of::<SectionHeader>());
    let headers = header
        .section_headers(LE, data)
        .map_err(|_unsaid| cut_or_malformed(data, end, "section headers"))?;
    within(headers, limits::SECTIONS, "section header table")
}

/// Finds the names of the sections; without them no section is found by name, and no more is lost.
fn section_names<'data>(header: &Header, sections: &[SectionHeader], data: &'data [u8]) -> &'data [u8] {
    let index = header
        .shstrndx(LE, data)
        .ok()
        .and_then(|index| usize::try_from(index).ok());
    let section = index.and_then(|index| sections.get(index));
    section
        .and_then(|section| section.data(LE, data).ok())
        .unwrap_or_default()
}

fn loadable(headers: &[ProgramHeader]) -> Segments {
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

fn bytes_from<'data>(data: &'data [u8], segments: &Segments, address: Vaddr) -> Option<&'data [u8]> {
    let segment = segments.containing(address)?;
    let start = usize::try_from(segments.offset_of(address)?.0).ok()?;
    let end = usize::try_from(segment.offset.0.checked_add(segment.file_size)?).ok()?;
    data.get(start..end.min(data.len()))
}

fn build_id_among(mut notes: NoteIterator<'_, Header>) -> Option<&[u8]> {
    for _ in 0..limits::NOTES {
        let note = notes.next().ok().flatten()?;
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
            return Some(note.desc());
        }
    }
    None
}

fn version_names<'data>(
    versions: VerdefIterator<'data, Header>,
    strings: &'data [u8],
) -> Result<Vec<&'data [u8]>, Error> {
    let mut names = Vec::new();
    for version in versions {
        let malformed = |_unsaid| Error::Malformed {
            part: "symbol version table",
        };
        let (_, mut auxiliary) = version.map_err(malformed)?;
        let Some(first) = auxiliary.next().map_err(malformed)? else {
            continue;
        };
        if names.len() == limits::SYMBOL_VERSIONS {
            return Err(Error::OverLimit {
                part: "symbol version table",
                limit: limits::SYMBOL_VERSIONS,
            });
        }
        names.extend(string_at(strings, first.vda_name.get(LE)));
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

fn table_end(offset: u64, count: usize, entry: usize) -> usize {
    usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .saturating_add(count.saturating_mul(entry))
}

fn cut_or_malformed(data: &[u8], end: usize, part: &'static str) -> Error {
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
