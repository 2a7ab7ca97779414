//! The structures of a 64-bit little-endian ELF file, as the `object` crate names them.

use object::elf;
use object::endian::LittleEndian;

pub(super) type Header = elf::FileHeader64<LittleEndian>;
pub(super) type ProgramHeader = elf::ProgramHeader64<LittleEndian>;
pub(super) type SectionHeader = elf::SectionHeader64<LittleEndian>;
pub(super) type Symbol = elf::Sym64<LittleEndian>;
pub(super) type Relocation = elf::Rela64<LittleEndian>;

pub(super) const LE: LittleEndian = LittleEndian;
