//! What a graph of code asks of the image around it.

use crate::code::Destination;
use crate::code::bytes::Code;
use crate::code::calls::stub_slot;
use crate::code::graph::Surroundings;
use crate::elf::address::Vaddr;
use crate::elf::image::{Image, Presence};

/// Functions of C libraries and of OpenSSL that end the program.
const ENDS: [&[u8]; 7] = [
    b"__stack_chk_fail",
    b"__stack_chk_fail_local",
    b"__assert_fail",
    b"__chk_fail",
    b"__fortify_fail",
    b"abort",
    b"OPENSSL_die",
];

impl Surroundings for Image<'_> {
    fn linked(&self, slot: Vaddr) -> Option<Vaddr> {
        match self.linked_symbol(slot).ok()? {
            Some(symbol) => (symbol.presence == Presence::Defined).then_some(symbol.address),
            None => self.pointer_at(slot),
        }
    }

    fn never_returns(&self, to: Destination) -> bool {
        let slot = match to {
            Destination::Unknown => None,
            Destination::Slot(slot) => Some(slot),
            Destination::Code(address) => self.bytes_from(address).and_then(|bytes| {
                stub_slot(Code {
                    machine: self.machine(),
                    bytes,
                    address,
                })
            }),
        };
        let name = slot.and_then(|slot| self.linked_name(slot).ok().flatten());
        name.is_some_and(|name| ENDS.contains(&name))
    }

    fn offset_at(&self, place: Vaddr) -> Option<i32> {
        Some(i32::from_le_bytes(*self.bytes_from(place)?.first_chunk()?))
    }
}
