//! Where a program of Go keeps its table of functions, and where its code begins.

use memchr::memmem;

use super::pclntab::{Header, Pclntab, quantum_of};
use crate::elf::address::{Access, Vaddr};
use crate::elf::image::Image;

/// Finds the table of functions; `None` if there is none that can be read.
pub(super) fn find<'data>(image: &Image<'data>) -> Option<Pclntab<'data>> {
    let mut named = SECTIONS.iter().filter_map(|name| image.section_at(name));
    if let Some((address, table)) = named.next() {
        return read(image, address, table);
    }
    if image.has_sections() {
        let (address, bytes) = image.section_at(LINKED)?;
        return search(image, address, bytes);
    }
    let mut data = image.segments().iter().filter(|segment| segment.file_size != 0);
    data.find_map(|segment| search(image, segment.address, image.bytes_from(segment.address)?))
}

/// Finds the table among other data.
fn search<'data>(image: &Image<'data>, begin: Vaddr, bytes: &'data [u8]) -> Option<Pclntab<'data>> {
    let mark = [0xff, 0xff, 0xff, 0, 0, quantum_of(image.machine()), 8];
    let begins = memmem::find_iter(bytes, &mark).filter_map(|at| at.checked_sub(1));
    let mut begins = begins.filter(|at| at.is_multiple_of(8));
    let table = |at: usize| {
        let address = begin.checked_add(u64::try_from(at).ok()?)?;
        read(image, address, bytes.get(at..)?)
    };
    begins.find_map(table)
}

fn read<'data>(image: &Image<'data>, address: Vaddr, table: &'data [u8]) -> Option<Pclntab<'data>> {
    let header = Header::parse(table, image.machine())?;
    let text = if header.needs_text() {
        // The dynamic linker may put it there.
        let own = address
            .checked_add(TEXT_IN_HEADER)
            .and_then(|place| image.pointer_at(place));
        own.or_else(|| text(image, address))?
    } else {
        header.text.unwrap_or(Vaddr(0))
    };
    Pclntab::parse(table, header, text)
}

/// Reads where the code begins off what the runtime knows of the program (`moduledata` of go1.27.3,
/// `src/runtime/symtab.go`).
fn text(image: &Image<'_>, table: Vaddr) -> Option<Vaddr> {
    if let Some((module, _)) = image.section_at(b".go.module") {
        return text_of(image, module, table);
    }
    if image.has_sections() {
        return None;
    }
    let data = image.segments().iter().filter(|segment| segment.access == Access::Data);
    let word = table.0.to_le_bytes();
    let places = data.flat_map(|segment| {
        let bytes = image.bytes_from(segment.address).unwrap_or_default();
        let places = memmem::find_iter(bytes, &word).filter_map(|at| u64::try_from(at).ok());
        places
            .filter_map(|at| segment.address.checked_add(at))
            .collect::<Vec<_>>()
    });
    places.into_iter().find_map(|module| text_of(image, module, table))
}

fn text_of(image: &Image<'_>, module: Vaddr, table: Vaddr) -> Option<Vaddr> {
    let field = |offset| image.pointer_at(module.checked_add(offset)?);
    let text = field(TEXT).filter(|_| field(0) == Some(table))?;
    let segment = image.segments().containing(text)?;
    (segment.access == Access::Code).then_some(text)
}

/// The sections that hold the table: in an executable whose address is chosen as it is loaded, up to Go 1.25, the second.
const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];

/// Where the C linker puts what Go calls by the second name.
const LINKED: &[u8] = b".data.rel.ro";

/// From the header of a table to where the code begins.
const TEXT_IN_HEADER: u64 = 24;

/// From the runtime's record of a program to where the code begins; the first word leads to the table of functions.
const TEXT: u64 = 176;
