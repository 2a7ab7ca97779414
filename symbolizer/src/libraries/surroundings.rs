//! What a graph of code asks of the image around it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::code::Destination;
use crate::code::bytes::Code;
use crate::code::calls::stub_slot;
use crate::code::graph::Surroundings;
use crate::elf::address::Vaddr;
use crate::elf::image::{Frames, Image, Presence};

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

/// The image around a graph of code. Caches for each stub whether it leads to a function that ends the program.
pub(crate) struct Around<'a, 'data> {
    image: &'a Image<'data>,
    frames: Frames<'data>,
    ends: RefCell<BTreeMap<Vaddr, bool>>,
}

impl<'a, 'data> Around<'a, 'data> {
    pub(crate) fn new(image: &'a Image<'data>) -> Self {
        Self {
            image,
            frames: image.frames(),
            ends: RefCell::default(),
        }
    }

    fn ends_program(&self, to: Vaddr) -> bool {
        let code = self.image.bytes_from(to).map(|bytes| Code {
            machine: self.image.machine(),
            bytes,
            address: to,
        });
        code.and_then(stub_slot).is_some_and(|slot| self.is_end(slot))
    }

    fn is_end(&self, slot: Vaddr) -> bool {
        let name = self.image.linked_name(slot).ok().flatten();
        name.is_some_and(|name| ENDS.contains(&name))
    }
}

impl Surroundings for Around<'_, '_> {
    fn linked(&self, slot: Vaddr) -> Option<Vaddr> {
        match self.image.linked_symbol(slot).ok()? {
            Some(symbol) => (symbol.presence == Presence::Defined).then_some(symbol.address),
            None => self.image.pointer_at(slot),
        }
    }

    fn never_returns(&self, to: Destination) -> bool {
        let to = match to {
            Destination::Unknown => return false,
            Destination::Slot(slot) => return self.is_end(slot),
            Destination::Code(address) => address,
        };
        if let Some(known) = self.ends.borrow().get(&to) {
            return *known;
        }
        let ends = self.ends_program(to);
        self.ends.borrow_mut().insert(to, ends);
        ends
    }

    fn begins(&self, at: Vaddr) -> bool {
        self.frames.begins(at)
    }

    fn offset_at(&self, place: Vaddr) -> Option<i32> {
        Some(i32::from_le_bytes(*self.image.bytes_from(place)?.first_chunk()?))
    }

    fn address_at(&self, place: Vaddr) -> Option<Vaddr> {
        self.image.pointer_at(place)
    }
}
