//! Code without an image around it, for tests.

use super::bytes::Code;
use super::graph::Surroundings;
use super::operation::Destination;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;

/// Surroundings of code for tests.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// What the dynamic linker puts where.
    pub(super) linked: Vec<(u64, u64)>,
    /// Where calls lead that never come back.
    pub(super) last: Vec<u64>,
    /// Where functions begin.
    pub(super) begins: Vec<u64>,
    /// Entries of jump tables from an address on.
    pub(super) table: (u64, Vec<i32>),
}

impl Surroundings for Around {
    fn linked(&self, slot: Vaddr) -> Option<Vaddr> {
        let found = self.linked.iter().find(|(at, _)| *at == slot.0);
        found.map(|(_, to)| Vaddr(*to))
    }

    fn never_returns(&self, to: Destination) -> bool {
        matches!(to, Destination::Code(to) if self.last.contains(&to.0))
    }

    fn begins(&self, at: Vaddr) -> bool {
        self.begins.contains(&at.0)
    }

    fn offset_at(&self, place: Vaddr) -> Option<i32> {
        let (begin, entries) = &self.table;
        let index = usize::try_from(place.0.checked_sub(*begin)? / 4).ok()?;
        entries.get(index).copied()
    }

    fn address_at(&self, place: Vaddr) -> Option<Vaddr> {
        u64::try_from(self.offset_at(place)?).ok().map(Vaddr)
    }
}

/// Takes bytes as they are written in hexadecimal; a line may end with what they mean.
pub(super) fn bytes(listing: &str) -> Vec<u8> {
    let lines = listing
        .lines()
        .map(|line| line.split_once(';').map_or(line, |(code, _)| code));
    let words = lines.flat_map(str::split_whitespace);
    words.map(|word| u8::from_str_radix(word, 16).unwrap()).collect()
}

/// Takes instructions of aarch64 as words in hexadecimal; a line may end with what they mean.
pub(super) fn words(listing: &str) -> Vec<u8> {
    let lines = listing
        .lines()
        .map(|line| line.split_once(';').map_or(line, |(code, _)| code));
    let words = lines.flat_map(str::split_whitespace);
    words
        .flat_map(|word| u32::from_str_radix(word, 16).unwrap().to_le_bytes())
        .collect()
}

/// Takes bytes as the code of a segment, for aarch64.
pub(super) const fn code_of_aarch64(bytes: &[u8], address: u64) -> Code<'_> {
    Code {
        machine: Machine::Aarch64,
        ..code(bytes, address)
    }
}

/// Takes bytes as the code of a segment.
pub(super) const fn code(bytes: &[u8], address: u64) -> Code<'_> {
    Code {
        machine: Machine::X86_64,
        bytes,
        address: Vaddr(address),
    }
}
