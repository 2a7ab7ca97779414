//! What the dynamic linker puts where, by a relocation table with addends.
//!
//! Entries that mean anything but the plain address of a symbol, or of a place in the image, are passed over.

use object::elf;

use super::raw::{LE, Relocation};
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::error::Error;
use crate::limits;

/// Finds the symbol whose address goes to `place`, by its index in the dynamic table.
pub(super) fn symbol_at(table: &[u8], machine: Machine, place: Vaddr) -> Result<Option<usize>, Error> {
    let links = |kind| is_address(machine, kind);
    let found = entry_at(table, place, links)?;
    Ok(found.and_then(|entry| usize::try_from(entry.r_sym(LE, false)).ok()))
}

/// Finds the address within the image that goes to `place`.
pub(super) fn relative_at(table: &[u8], machine: Machine, place: Vaddr) -> Result<Option<Vaddr>, Error> {
    let found = entry_at(table, place, |kind| is_relative(machine, kind))?;
    let addend = found.and_then(|entry| u64::try_from(entry.r_addend.get(LE)).ok());
    Ok(addend.map(Vaddr))
}

/// Lists the places to which addresses within the image go, and these.
pub(super) fn relatives(table: &[u8], machine: Machine) -> Result<impl Iterator<Item = (Vaddr, Vaddr)>, Error> {
    let relative = entries(table)?
        .iter()
        .filter(move |entry| is_relative(machine, entry.r_type(LE, false)));
    Ok(relative.filter_map(|entry| {
        let target = u64::try_from(entry.r_addend.get(LE)).ok()?;
        Some((Vaddr(entry.r_offset.get(LE)), Vaddr(target)))
    }))
}

/// Returns the places that get addresses of symbols, with the symbols' indices in the dynamic table: the first so many.
pub(super) fn linked(table: &[u8], machine: Machine, count: usize) -> Result<Vec<(Vaddr, usize)>, Error> {
    let links = entries(table)?.iter();
    let links = links.filter(|entry| is_address(machine, entry.r_type(LE, false)));
    let links = links.filter_map(|entry| {
        let index = usize::try_from(entry.r_sym(LE, false)).ok()?;
        Some((Vaddr(entry.r_offset.get(LE)), index))
    });
    Ok(links.take(count).collect())
}

fn entry_at(table: &[u8], place: Vaddr, is_kind: impl Fn(u32) -> bool) -> Result<Option<&Relocation>, Error> {
    let is_it = |entry: &&Relocation| entry.r_offset.get(LE) == place.0 && is_kind(entry.r_type(LE, false));
    Ok(entries(table)?.iter().find(is_it))
}

fn entries(table: &[u8]) -> Result<&[Relocation], Error> {
    let part = "relocation table";
    let count = table.len() / size_of::<Relocation>();
    if count > limits::RELOCATIONS {
        return Err(Error::OverLimit {
            part,
            limit: limits::RELOCATIONS,
        });
    }
    let malformed = |()| Error::Malformed { part };
    let (entries, _rest) = object::pod::slice_from_bytes::<Relocation>(table, count).map_err(malformed)?;
    Ok(entries)
}

const fn is_relative(machine: Machine, kind: u32) -> bool {
    match machine {
        Machine::X86_64 => kind == elf::R_X86_64_RELATIVE,
        Machine::Aarch64 => kind == elf::R_AARCH64_RELATIVE,
    }
}

const fn is_address(machine: Machine, kind: u32) -> bool {
    match machine {
        Machine::X86_64 => matches!(kind, elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT),
        Machine::Aarch64 => matches!(kind, elf::R_AARCH64_GLOB_DAT | elf::R_AARCH64_JUMP_SLOT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(place: u64, symbol: u64, kind: u32) -> Vec<u8> {
        let info = symbol << 32 | u64::from(kind);
        [place, info, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn symbol_in(table: &[u8], place: u64) -> Option<usize> {
        symbol_at(table, Machine::X86_64, Vaddr(place)).unwrap()
    }

    #[test]
    fn every_place_that_gets_an_address_of_the_image_is_listed() {
        let mut table = [
            entry(0x4000, 0, elf::R_X86_64_RELATIVE),
            entry(0x4008, 7, elf::R_X86_64_GLOB_DAT),
            entry(0x4010, 0, elf::R_X86_64_RELATIVE),
        ]
        .concat();
        table[16..24].copy_from_slice(&0x1230_u64.to_le_bytes());
        table[64..72].copy_from_slice(&(-1_i64).to_le_bytes());
        let all: Vec<_> = relatives(&table, Machine::X86_64).unwrap().collect();
        assert_eq!(all, [(Vaddr(0x4000), Vaddr(0x1230))], "a negative addend leads nowhere");
    }

    #[test]
    fn the_symbol_of_a_slot_is_found() {
        let table = [
            entry(0x4000, 3, elf::R_X86_64_JUMP_SLOT),
            entry(0x4008, 7, elf::R_X86_64_GLOB_DAT),
        ]
        .concat();
        assert_eq!(symbol_in(&table, 0x4000), Some(3));
        assert_eq!(symbol_in(&table, 0x4008), Some(7));
        assert_eq!(symbol_in(&table, 0x4010), None);
    }

    #[test]
    fn an_address_within_the_image_is_found() {
        let mut table = [0x4000_u64, elf::R_X86_64_RELATIVE.into(), 0x1234]
            .map(u64::to_le_bytes)
            .concat();
        let found = |table: &[u8], place| relative_at(table, Machine::X86_64, Vaddr(place)).unwrap();
        assert_eq!(found(&table, 0x4000), Some(Vaddr(0x1234)));
        assert_eq!(found(&table, 0x4008), None);
        table[8] = 6;
        assert_eq!(found(&table, 0x4000), None, "another kind");
    }

    #[test]
    fn a_place_that_gets_anything_else_has_no_symbol() {
        assert_eq!(symbol_in(&entry(0x4000, 3, elf::R_X86_64_RELATIVE), 0x4000), None);
        assert_eq!(symbol_in(&entry(0x4000, 3, elf::R_X86_64_64), 0x4000), None);
    }

    #[test]
    fn as_many_linked_places_are_returned_as_are_asked_for() {
        let table = [
            entry(0x4000, 3, elf::R_X86_64_JUMP_SLOT),
            entry(0x4008, 0, elf::R_X86_64_RELATIVE),
            entry(0x4010, 7, elf::R_X86_64_GLOB_DAT),
        ]
        .concat();
        let linked = |count| linked(&table, Machine::X86_64, count).unwrap();
        assert_eq!(linked(limits::LINKED_SYMBOLS), [(Vaddr(0x4000), 3), (Vaddr(0x4010), 7)]);
        assert_eq!(linked(1), [(Vaddr(0x4000), 3)]);
    }

    #[test]
    fn the_entries_may_fill_their_limit_and_no_more() {
        let size = size_of::<Relocation>();
        let table = vec![0; (limits::RELOCATIONS + 1) * size];
        let full = &table[..limits::RELOCATIONS * size];
        assert_eq!(symbol_in(full, 0x4000), None);
        assert!(matches!(
            symbol_at(&table, Machine::X86_64, Vaddr(0x4000)),
            Err(Error::OverLimit {
                limit: limits::RELOCATIONS,
                ..
            })
        ));
    }
}
