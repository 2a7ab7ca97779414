//! Builds small ELF images in memory, with one data and one code segment, so that each test shows the one thing it is
//! about.

use object::Endianness;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Writer};

/// Where the segments are mapped; a file offset plus this is an address.
pub(crate) const DATA_BASE: u64 = 0x40_0000;
/// Where the code is mapped.
pub(crate) const CODE_BASE: u64 = 0x80_0000;

/// The symbol table a name goes into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// `.dynsym`
    Dynsym,
    /// `.symtab`
    Symtab,
}

/// Where a symbol points to.
#[derive(Clone)]
enum Place {
    Code(Vec<u8>),
    Data,
    Address(u64),
    Import,
}

#[derive(Clone)]
struct Named {
    table: Table,
    name: &'static str,
    kind: u8,
    place: Place,
}

/// Describes an image to build.
#[derive(Clone)]
pub(crate) struct Elf {
    /// Its machine by ELF number.
    pub(crate) machine: u16,
    /// Its type by ELF number.
    pub(crate) kind: u16,
    /// The bytes of its data segment.
    pub(crate) data: Vec<u8>,
    /// How many other notes precede the build identifier.
    pub(crate) other_notes: usize,
    /// Its GNU build identifier.
    pub(crate) build_id: Option<Vec<u8>>,
    /// The name of its one section, which has the bytes of its data segment, unless that is `.gnu_debugdata`.
    pub(crate) section: &'static [u8],
    /// Its `.gnu_debugdata` section.
    pub(crate) debugdata: Option<Vec<u8>>,
    symbols: Vec<Named>,
}

impl Elf {
    /// Describes a shared object for x86-64 with nothing in it.
    pub(crate) fn new() -> Self {
        Self {
            machine: elf::EM_X86_64,
            kind: elf::ET_DYN,
            data: b"\0".to_vec(),
            other_notes: 0,
            build_id: None,
            section: b".comment",
            debugdata: None,
            symbols: Vec::new(),
        }
    }

    /// Describes an image in which one table names `SSL_read` and `SSL_write`, with the same code.
    pub(crate) fn with_tls(table: Table, code: &[u8]) -> Self {
        Self::new()
            .function(table, "SSL_read", code)
            .function(table, "SSL_write", code)
    }

    /// Adds a function.
    pub(crate) fn function(self, table: Table, name: &'static str, code: &[u8]) -> Self {
        self.symbol(table, name, elf::STT_FUNC, Place::Code(code.to_vec()))
    }

    /// Adds a resolver of a function.
    pub(crate) fn resolver(self, table: Table, name: &'static str, code: &[u8]) -> Self {
        self.symbol(table, name, elf::STT_GNU_IFUNC, Place::Code(code.to_vec()))
    }

    /// Adds a function that lies in the data segment.
    pub(crate) fn function_in_data(self, name: &'static str) -> Self {
        self.symbol(Table::Dynsym, name, elf::STT_FUNC, Place::Data)
    }

    /// Adds a function at an address of its own.
    pub(crate) fn function_at(self, name: &'static str, address: u64) -> Self {
        self.symbol(Table::Dynsym, name, elf::STT_FUNC, Place::Address(address))
    }

    /// Adds a function that another object has to provide.
    pub(crate) fn import(self, name: &'static str) -> Self {
        self.symbol(Table::Dynsym, name, elf::STT_FUNC, Place::Import)
    }

    /// Adds a string, with the zero bytes that make it stand alone.
    pub(crate) fn string(mut self, text: &str) -> Self {
        self.data.extend_from_slice(text.as_bytes());
        self.data.push(0);
        self
    }

    fn symbol(mut self, table: Table, name: &'static str, kind: u8, place: Place) -> Self {
        self.symbols.push(Named {
            table,
            name,
            kind,
            place,
        });
        self
    }

    /// Builds the image.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut image = Vec::new();
        let mut writer = Writer::new(Endianness::Little, true, &mut image);
        Offsets::reserve(self, &mut writer).write(self, &mut writer);
        image
    }

    fn code(&self) -> Vec<u8> {
        let code = self.symbols.iter().filter_map(|symbol| match &symbol.place {
            Place::Code(code) => Some(code.as_slice()),
            Place::Data | Place::Address(_) | Place::Import => None,
        });
        code.collect::<Vec<_>>().concat()
    }

    fn note(&self) -> Vec<u8> {
        let Some(id) = &self.build_id else { return Vec::new() };
        let other = [4, 0, 0, u32::from_le_bytes(*b"GNU\0")].map(u32::to_le_bytes).concat();
        let words = [4, u32::try_from(id.len()).unwrap(), elf::NT_GNU_BUILD_ID];
        let header = words.into_iter().flat_map(u32::to_le_bytes);
        let others = other.repeat(self.other_notes).into_iter();
        others
            .chain(header)
            .chain(*b"GNU\0")
            .chain(id.iter().copied())
            .collect()
    }
}

/// Holds the file offset of each part of the image.
struct Offsets {
    data: u64,
    note: u64,
    code: u64,
    debugdata: u64,
}

impl Offsets {
    fn reserve(elf: &Elf, writer: &mut Writer<'_>) -> Self {
        let debugdata = elf.debugdata.as_deref().unwrap_or_default();
        writer.reserve_file_header();
        writer.reserve_program_headers(3);
        let mut place = |bytes: &[u8]| u64::try_from(writer.reserve(bytes.len(), 8)).unwrap();
        let (data, note) = (place(&elf.data), place(&elf.note()));
        let (code, debugdata) = (place(&elf.code()), place(debugdata));
        Self {
            data,
            note,
            code,
            debugdata,
        }
    }

    fn write<'a>(&self, elf: &'a Elf, writer: &mut Writer<'a>) {
        writer.reserve_null_section_index();
        writer.reserve_null_symbol_index();
        writer.reserve_null_dynamic_symbol_index();
        let symbols = self.name_symbols(elf, writer);
        let name: &[u8] = if elf.debugdata.is_some() {
            b".gnu_debugdata"
        } else {
            elf.section
        };
        let name = writer.add_section_name(name);
        reserve_tables(writer);
        self.write_contents(elf, writer);
        write_tables(writer, &symbols);
        writer.write_null_section_header();
        writer.write_section_header(&self.debugdata_header(name, elf));
        writer.write_symtab_section_header(1);
        writer.write_strtab_section_header();
        writer.write_dynsym_section_header(0, 1);
        writer.write_dynstr_section_header(0);
        writer.write_shstrtab_section_header();
    }

    fn debugdata_header(&self, name: StringId, elf: &Elf) -> SectionHeader {
        SectionHeader {
            name: Some(name),
            sh_type: elf::SHT_PROGBITS,
            sh_flags: 0,
            sh_addr: 0,
            sh_offset: if elf.debugdata.is_some() {
                self.debugdata
            } else {
                self.data
            },
            sh_size: elf.debugdata.as_ref().unwrap_or(&elf.data).len().try_into().unwrap(),
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 1,
            sh_entsize: 0,
        }
    }

    fn name_symbols(&self, elf: &Elf, writer: &mut Writer<'_>) -> Vec<(Table, Sym)> {
        let mut next_code = CODE_BASE + self.code;
        let mut place = |place: &Place| match place {
            Place::Code(code) => {
                let size = u64::try_from(code.len()).unwrap();
                next_code += size;
                (elf::SHN_ABS, next_code - size, size)
            }
            Place::Data => (elf::SHN_ABS, DATA_BASE + self.data, 1),
            Place::Address(address) => (elf::SHN_ABS, *address, 1),
            Place::Import => (elf::SHN_UNDEF, 0, 0),
        };
        let mut sym = |named: &Named| {
            let (st_shndx, st_value, st_size) = place(&named.place);
            let name = match named.table {
                Table::Symtab => {
                    writer.reserve_symbol_index(None);
                    writer.add_string(named.name.as_bytes())
                }
                Table::Dynsym => {
                    writer.reserve_dynamic_symbol_index();
                    writer.add_dynamic_string(named.name.as_bytes())
                }
            };
            let st_info = elf::STB_GLOBAL << 4 | named.kind;
            (
                named.table,
                Sym {
                    name: Some(name),
                    section: None,
                    st_info,
                    st_other: 0,
                    st_shndx,
                    st_value,
                    st_size,
                },
            )
        };
        elf.symbols.iter().map(&mut sym).collect()
    }

    fn write_contents(&self, elf: &Elf, writer: &mut Writer<'_>) {
        let header = FileHeader {
            os_abi: elf::ELFOSABI_SYSV,
            abi_version: 0,
            e_type: elf.kind,
            e_machine: elf.machine,
            e_entry: 0,
            e_flags: 0,
        };
        writer.write_file_header(&header).unwrap();
        let (code, note) = (elf.code(), elf.note());
        writer.write_align_program_headers();
        writer.write_program_header(&segment(elf::PT_LOAD, elf::PF_R, self.data, DATA_BASE, &elf.data));
        writer.write_program_header(&segment(
            elf::PT_LOAD,
            elf::PF_R | elf::PF_X,
            self.code,
            CODE_BASE,
            &code,
        ));
        writer.write_program_header(&segment(elf::PT_NOTE, elf::PF_R, self.note, DATA_BASE, &note));
        for bytes in [&elf.data, &note, &code, elf.debugdata.as_ref().unwrap_or(&Vec::new())] {
            writer.write_align(8);
            writer.write(bytes);
        }
    }
}

fn reserve_tables(writer: &mut Writer<'_>) {
    writer.reserve_section_index();
    writer.reserve_symtab_section_index();
    writer.reserve_strtab_section_index();
    writer.reserve_dynsym_section_index();
    writer.reserve_dynstr_section_index();
    writer.reserve_shstrtab_section_index();
    writer.reserve_symtab();
    writer.reserve_strtab();
    writer.reserve_dynsym();
    writer.reserve_dynstr();
    writer.reserve_shstrtab();
    writer.reserve_section_headers();
}

fn write_tables(writer: &mut Writer<'_>, symbols: &[(Table, Sym)]) {
    let of_table = |wanted| symbols.iter().filter(move |(table, _)| *table == wanted);
    writer.write_null_symbol();
    of_table(Table::Symtab).for_each(|(_, symbol)| writer.write_symbol(symbol));
    writer.write_strtab();
    writer.write_null_dynamic_symbol();
    of_table(Table::Dynsym).for_each(|(_, symbol)| writer.write_dynamic_symbol(symbol));
    writer.write_dynstr();
    writer.write_shstrtab();
}

fn segment(p_type: u32, p_flags: u32, offset: u64, base: u64, bytes: &[u8]) -> ProgramHeader {
    let size = bytes.len().try_into().unwrap();
    let (p_offset, p_vaddr) = (offset, base + offset);
    ProgramHeader {
        p_type,
        p_flags,
        p_offset,
        p_vaddr,
        p_paddr: 0,
        p_filesz: size,
        p_memsz: size,
        p_align: 4,
    }
}
