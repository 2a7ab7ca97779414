//! Which functions of an image refer to something, by the form of their instructions alone.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Found;
use crate::code::loads::target_of_lea;
use crate::elf::address::{Access, Vaddr};
use crate::elf::image::Image;
use crate::elf::survey::SymbolSource;
use crate::limits;

/// Lists the functions that may call one, as far as it is known where functions begin.
pub(super) fn callers(image: &Image<'_>, callee: Vaddr) -> Vec<Found> {
    let slots: BTreeSet<_> = image.places_of(&BTreeSet::from([callee])).into_iter().collect();
    let calls = [CALL, INDIRECT];
    functions(image, SymbolSource::Callers, calls, |bytes, segment, at| {
        match bytes.get(at..) {
            Some([CALL, ..]) => place(bytes, segment, at.checked_add(1)?).filter(|to| *to == callee),
            Some(&[INDIRECT, THROUGH_PLACE, ..]) => {
                place(bytes, segment, at.checked_add(2)?).filter(|slot| slots.contains(slot))
            }
            Some(_) | None => None,
        }
    })
}

/// Lists the functions that load one of some addresses.
pub(super) fn loading(image: &Image<'_>, wanted: &BTreeSet<Vaddr>) -> Vec<Found> {
    functions(image, SymbolSource::Table, [LEA; 2], |bytes, segment, at| {
        target_of_lea(bytes, segment, at).filter(|to| wanted.contains(to))
    })
}

/// Lists the functions that have an instruction which refers to something, and begins with one of two bytes.
fn functions(
    image: &Image<'_>,
    source: SymbolSource,
    [one, two]: [u8; 2],
    refers: impl Fn(&[u8], Vaddr, usize) -> Option<Vaddr>,
) -> Vec<Found> {
    let frames = image.frames();
    let mut found = BTreeMap::new();
    let code = image.segments().iter().filter(|segment| segment.access == Access::Code);
    for segment in code {
        let Some(bytes) = image.bytes_from(segment.address) else {
            continue;
        };
        let places = memchr::memchr2_iter(one, two, bytes);
        let places = places.filter(|at| refers(bytes, segment.address, *at).is_some());
        let functions = places.filter_map(|at| frames.around(segment.address.checked_add(u64::try_from(at).ok()?)?));
        for (begin, end) in functions {
            if found.len() < limits::RUSTLS_REFERENCES {
                found.insert(begin, end.0.saturating_sub(begin.0));
            }
        }
    }
    let found = found.into_iter();
    found.map(|(address, size)| Found { address, size, source }).collect()
}

/// Returns the place that a distance leads to which is counted from its own end.
fn place(code: &[u8], segment: Vaddr, at: usize) -> Option<Vaddr> {
    let distance = code.get(at..)?.first_chunk()?;
    let next = segment.checked_add(u64::try_from(at.checked_add(size_of::<i32>())?).ok()?)?;
    Some(Vaddr(next.0.wrapping_add_signed(i32::from_le_bytes(*distance).into())))
}

/// A call of a fixed place.
const CALL: u8 = 0xe8;
/// A call of what an address in the image's data leads to.
const INDIRECT: u8 = 0xff;
const THROUGH_PLACE: u8 = 0x15;
const LEA: u8 = 0x8d;
