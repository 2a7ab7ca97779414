//! The functions of an image without names whose code leads to places in rustls's source.
//!
//! A panic names its place in the source, by a structure in the image's data (`core::panic::Location`) that the code of the
//! function leads to; strip leaves these.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Found;
use crate::code::loads::target_of_lea;
use crate::elf::address::{Access, Vaddr};
use crate::elf::image::{Frames, Image};
use crate::elf::survey::SymbolSource;
use crate::limits;

/// A part of rustls's source that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What calls the object that encrypts.
    RecordLayer,
    /// What makes such objects.
    Algorithms,
}

const PARTS: [(&[u8], Part); 5] = [
    (b"/src/record_layer.rs", Part::RecordLayer),
    (b"/src/crypto/ring/tls13.rs", Part::Algorithms),
    (b"/src/crypto/ring/tls12.rs", Part::Algorithms),
    (b"/src/crypto/aws_lc_rs/tls13.rs", Part::Algorithms),
    (b"/src/crypto/aws_lc_rs/tls12.rs", Part::Algorithms),
];

/// The functions whose code leads to places in the source, by parts of it.
pub(super) struct References<'data> {
    functions: BTreeSet<(Part, Vaddr)>,
    /// Those that store the first value of the counters of a connection, as they begin.
    pub(super) counting: Vec<Found>,
    frames: Frames<'data>,
}

impl<'data> References<'data> {
    pub(super) fn find(image: &Image<'data>) -> Option<Self> {
        let places = places(image);
        let mut references = Self {
            functions: BTreeSet::new(),
            counting: Vec::new(),
            frames: image.frames(),
        };
        let code = image.segments().iter().filter(|segment| segment.access == Access::Code);
        for segment in code {
            let Some(bytes) = image.bytes_from(segment.address) else {
                continue;
            };
            for at in memchr::memchr_iter(LEA, bytes) {
                let part = target_of_lea(bytes, segment.address, at).and_then(|place| places.get(&place));
                let function = part.and_then(|_| references.around(segment.address, at));
                references.functions.extend(part.copied().zip(function));
            }
            for at in memchr::memchr_iter(STORE, bytes).filter(|at| is_counter(bytes, *at)) {
                let function = references
                    .around(segment.address, at)
                    .and_then(|begin| references.found(begin));
                let begins = |found: &Found| {
                    segment
                        .address
                        .0
                        .checked_add(u64::try_from(at).ok()?)?
                        .checked_sub(found.address.0)
                };
                let near = function.filter(|found| begins(found).is_some_and(|distance| distance < PROLOGUE));
                references.counting.extend(near);
            }
            if references.functions.len().max(references.counting.len()) > limits::RUSTLS_REFERENCES {
                return None;
            }
        }
        Some(references)
    }

    fn around(&self, segment: Vaddr, at: usize) -> Option<Vaddr> {
        let address = segment.checked_add(u64::try_from(at).ok()?)?;
        self.frames.around(address).map(|(begin, _)| begin)
    }

    pub(super) fn found(&self, begin: Vaddr) -> Option<Found> {
        let (address, end) = self.frames.around(begin)?;
        Some(Found {
            address,
            size: end.0.checked_sub(address.0).filter(|size| *size <= LARGEST_FUNCTION)?,
            source: SymbolSource::Panics,
        })
    }

    /// Lists the functions that lead to a part.
    pub(super) fn of(&self, part: Part) -> impl Iterator<Item = Found> {
        let functions = self.functions.iter().filter(move |(of, _)| *of == part);
        functions.filter_map(|(_, begin)| self.found(*begin))
    }
}

/// Finds the structures that name a place in the source, with its part.
fn places(image: &Image<'_>) -> BTreeMap<Vaddr, Part> {
    let part = |(place, file): (Vaddr, Vaddr)| {
        let length = image.bytes_from(place.checked_add(8)?)?.first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .filter(|length| *length < limits::FILE_NAME)?;
        let path = image.bytes_from(file)?.get(..length)?;
        let is_of =
            |(end, _): &&(&[u8], Part)| path.ends_with(end) && memchr::memmem::find(path, b"/rustls-").is_some();
        Some((place, PARTS.iter().find(is_of)?.1))
    };
    image.pointers().filter_map(part).collect()
}

/// Returns whether an instruction stores 32 to a byte behind the first argument: how often a peer may ask for new keys until
/// data of the application comes (`TemperCounters`, rustls 0.23).
fn is_counter(code: &[u8], at: usize) -> bool {
    matches!(code.get(at..), Some([STORE, 0x87, _, _, 0, 0, 0x20, ..]))
}

const LEA: u8 = 0x8d;
const STORE: u8 = 0xc6;
/// How far into a function its first store is, in bytes.
const PROLOGUE: u64 = 32;
/// The largest function that is looked at, in bytes.
const LARGEST_FUNCTION: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_gets_its_first_value_behind_the_first_argument() {
        // movb [rdi+0x32e],0x20
        let code = [0xc6, 0x87, 0x2e, 3, 0, 0, 0x20];
        assert!(is_counter(&code, 0));
        assert!(!is_counter(&code[..6], 0) && !is_counter(&code, 1));
        // movb [rsi+0x32e],0x20; movb [rdi+0x32e],0x21
        assert!(!is_counter(&[0xc6, 0x86, 0x2e, 3, 0, 0, 0x20], 0));
        assert!(!is_counter(&[0xc6, 0x87, 0x2e, 3, 0, 0, 0x21], 0));
    }
}
