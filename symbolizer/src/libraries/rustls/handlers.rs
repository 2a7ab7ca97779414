//! What handles messages of the peer, in an image without names, up to rustls 0.22.
//!
//! Such functions are methods of objects that are states of a connection, the first one in their tables. Those that take data
//! of the application append it to the queue of what the connection has received, as only they do.

use std::collections::BTreeSet;

use super::analysis::{WORD, code_at, is_first_method, seen_in};
use super::names::Found;
use super::reads::{CONTEXT, connections, only};
use super::references::References;
use super::scan::callers;
use super::sending::Queue;
use crate::code::Value;
use crate::code::fixpoint::seen::Seen;
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::limits;

/// Finds them, by the queues that the functions that send append to; none if one is not understood.
pub(super) fn find(image: &Image<'_>, references: &References<'_>, queues: &[Queue]) -> Option<Vec<Found>> {
    let pointers = image.code_pointers().into_iter();
    let methods: BTreeSet<Vaddr> = pointers
        .filter(|(place, _)| is_first_method(image, *place))
        .map(|(_, method)| method)
        .collect();
    let (mut handlers, mut seen) = (Vec::new(), Vec::new());
    for (grow, sendable) in queues {
        let received = u16::try_from(sendable.checked_sub(BETWEEN)?).ok()?;
        let appending = callers(image, code_at(image, *grow)?);
        if appending.len() == limits::RUSTLS_REFERENCES {
            return None;
        }
        for function in appending.iter().filter(|function| methods.contains(&function.address)) {
            let function = references.found(function.address)?;
            let analysed = seen_in(image, function).ok()?;
            if !queues_at(&analysed, received).is_empty() && !handlers.contains(&function) {
                handlers.push(function);
                seen.push((analysed, received));
            }
        }
    }
    // The queue has to be that of the connection, which others are given, and not that of early data.
    let holder = only(seen.iter().flat_map(|(seen, at)| queues_at(seen, *at)))?;
    let connection = only(seen.iter().flat_map(|(seen, _)| connections(seen)))?;
    (holder == connection).then_some(handlers)
}

/// Lists where in what leads to the connection the address is behind which the queue lies that a function appends to: it
/// grows if it is full, and so its length is compared with its capacity.
fn queues_at(seen: &Seen, distance: u16) -> Vec<u16> {
    let part = |value: Value| match value.field()?.behind_twice(CONTEXT)? {
        (offsets, WORD) => Some(offsets),
        _ => None,
    };
    let length = distance.checked_add(LENGTH);
    let compared = seen.compared().filter_map(|(one, two)| Some([part(one)?, part(two)?]));
    let full = compared.filter_map(|[one, two]| {
        let ([from, one], [other, two]) = (one, two);
        let is_it = from == other && one.min(two) == distance && Some(one.max(two)) == length;
        is_it.then_some(from)
    });
    full.collect()
}

/// From the queue of what a connection has received to that of the records that it sends: another one lies between
/// (`ChunkVecBuffer`, rustls 0.21 and 0.22).
const BETWEEN: i64 = 0x60;
/// From the capacity of a queue to its length, behind its address and its first item.
const LENGTH: u16 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::fixpoint::seen::seen_in;

    /// push rbx; mov rbx,[rdx+CONNECTION]; mov rax,[rbx+LENGTH]; cmp rax,[rbx+0x58]; jne +0; pop rbx; ret
    fn appending(connection: u8, length: u8) -> Vec<u8> {
        let mut code = vec![0x53, 0x48, 0x8b, 0x5a, connection, 0x48, 0x8b, 0x43, length];
        code.extend([0x48, 0x3b, 0x43, 0x58, 0x75, 0, 0x5b, 0xc3]);
        code
    }

    #[test]
    fn a_queue_is_known_by_its_capacity_and_its_length() {
        assert_eq!(queues_at(&seen_in(&appending(0, 0x70)), 0x58), [0]);
        assert_eq!(queues_at(&seen_in(&appending(8, 0x70)), 0x58), [8], "of early data");
        assert_eq!(queues_at(&seen_in(&appending(0, 0x68)), 0x58), [0; 0], "another word");
        assert_eq!(queues_at(&seen_in(&appending(0, 0x70)), 0x28), [0; 0], "another queue");
    }
}
