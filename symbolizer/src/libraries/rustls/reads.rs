//! Where rustls has what it receives, by the data flow of its functions.
//!
//! What takes the content of the peer's records is a method of `CommonState`, which has the object that a connection is known
//! by. Up to rustls 0.22, and where it is built for a small size, it is part of the functions that handle messages.

use std::collections::BTreeSet;

use super::analysis::{Prover, WORD};
use super::names::{Found, Function};
use super::sends::Sent;
use crate::cause::Cause;
use crate::code::fixpoint::seen::{Call, Seen};
use crate::code::fixpoint::uses::Target;
use crate::code::{Field, Value};
use crate::operand::{Guard, Operand, Operands};

impl Prover<'_, '_> {
    /// Finds the bytes that a record of the peer held: what is copied from the second argument of what takes them.
    pub(super) fn receiving(&self, sent: &Sent) -> Result<Vec<(Function, Found, Operands)>, Cause> {
        let by = Function::TakeReceived;
        if self.functions.of(by).is_empty() && !self.functions.of(Function::Handle).is_empty() {
            return self.handling(sent);
        }
        let takes = self.only(by)?;
        let seen = self.seen(takes)?;
        let [from, count] = received(&seen).ok_or(Cause::NoCopy)?;
        let content = self.argument(1);
        let operands = Operands {
            buffer: Some(Operand::loaded(content, from, WORD)),
            count: Some(Operand::loaded(content, count, WORD)),
            ..Operands::of(Operand::loaded(self.argument(0), sent.encrypter, WORD))
        };
        Ok(vec![(by, takes, operands)])
    }

    /// Does the same where what takes them is part of the functions that handle messages: these get a place for the result,
    /// themselves, what leads to the connection, and the message, which begins with its kind. A vector of
    /// the message is freed if it is empty.
    fn handling(&self, sent: &Sent) -> Result<Vec<(Function, Found, Operands)>, Cause> {
        let handlers = self.functions.of(Function::Handle);
        let seen: Result<Vec<_>, _> = handlers.iter().map(|handler| self.seen(*handler)).collect();
        let seen = seen?;
        let missing = Cause::FunctionMissing(Function::TakeReceived.name());
        let kinds = seen.iter().flat_map(|seen| seen.compared_with(MESSAGE, (0, WORD)));
        let data = if sent.message.has_pieces {
            DATA_SINCE_23
        } else {
            DATA_UP_TO_22
        };
        let kind = only(kinds.filter(|kind| is_variant(*kind, data))).ok_or(missing)?;
        let connection = only(seen.iter().flat_map(connections)).ok_or(missing)?;
        // One may free vectors of other kinds of messages, too, and by the same call: on one way at least it is this one. Where
        // one has the bytes elsewhere, none is understood.
        let places = |seen: &Seen| -> BTreeSet<u16> {
            let freed = seen.calls.iter().chain(&seen.first).filter_map(freed);
            freed.chain(appended(seen, connection)).collect()
        };
        let common = seen.iter().map(places).reduce(|one, two| &one & &two);
        let bytes = common
            .and_then(|common| only(common.into_iter()))
            .ok_or(Cause::NoCopy)?;
        let mut reads = Vec::new();
        for handler in handlers {
            let count = bytes.checked_add(8).ok_or(Cause::NoCopy)?;
            let message = self.argument(3);
            let guard = |offset, equals| {
                Some(Guard {
                    operand: Operand::loaded(message, offset, 4),
                    equals,
                })
            };
            let object = Operand {
                loads: [Some(connection), Some(sent.encrypter)],
                ..Operand::at(self.argument(2), WORD)
            };
            let [low, high] = halves(kind);
            let operands = Operands {
                buffer: Some(Operand::loaded(message, bytes, WORD)),
                count: Some(Operand::loaded(message, count, WORD)),
                guards: [guard(0, low), guard(4, high)],
                ..Operands::of(object)
            };
            reads.push((Function::Handle, handler, operands));
        }
        Ok(reads)
    }
}

/// The argument of a handler that is the message, and the one that leads to the connection.
const MESSAGE: usize = 3;
pub(super) const CONTEXT: usize = 2;

/// Which kind of message holds data of the application, as it stands where no capacity of a vector can be: the fourth of them
/// (rustls 0.21 and 0.22), or the fifth, behind another number.
const DATA_UP_TO_22: u32 = 3;
const DATA_SINCE_23: u32 = 5;

/// Returns whether a number says which kind a message is of.
fn is_variant(number: u64, kind: u32) -> bool {
    let [low, high] = halves(number);
    low == kind && high >= 1 << 31
}

/// Returns the lower half of a word and the upper one.
fn halves(word: u64) -> [u32; 2] {
    let lower = u32::try_from(word & u64::from(u32::MAX)).unwrap_or_default();
    let upper = u32::try_from(word >> u32::BITS).unwrap_or_default();
    [lower, upper]
}

/// Lists where the connection is in what leads to it: a call is given that field.
pub(super) fn connections(seen: &Seen) -> Vec<u16> {
    let field = |value: &Value| value.field().and_then(|field| field.behind(CONTEXT));
    let fixed = seen.calls.iter().filter(|call| matches!(call.target, Target::Fixed(_)));
    let given = fixed.flat_map(|call| call.arguments.iter().take(2).filter_map(field).collect::<Vec<_>>());
    given
        .filter(|(_, width)| *width == WORD)
        .map(|(offset, _)| offset)
        .collect()
}

/// Returns where the address of a vector of bytes lies in a message, if a call frees its memory: the address, the capacity
/// before it, and an alignment of one.
fn freed(call: &Call) -> Option<u16> {
    let [address, capacity, alignment, ..] = call.arguments;
    let field = |value: Value| value.field().and_then(|field| field.behind(MESSAGE));
    match [field(address)?, field(capacity)?] {
        [(address, WORD), (capacity, WORD)] if alignment == Value::Constant(1) => {
            (capacity.checked_add(8) == Some(address)).then_some(address)
        }
        _ => None,
    }
}

/// Lists where the address of the bytes lies in a message that a handler has appended to a queue of the connection: as a
/// copy on its stack, or as a vector that another call makes of them.
fn appended(seen: &Seen, connection: u16) -> Vec<u16> {
    let is_part = |call: &Call| {
        let [queue, ..] = call.arguments;
        matches!(queue.distance_within(CONTEXT), Some((from, distance)) if from == connection && distance > 0)
    };
    let made = pairs(seen).filter(|[_, takes]| is_part(takes));
    let made = made.filter_map(|pair| taken(pair, MESSAGE));
    let copied = seen.calls.iter().filter(|call| is_part(call));
    let copied = copied.filter_map(|call| copied_to(call, MESSAGE));
    made.chain(copied).collect()
}

/// Returns where the address of the bytes lies in what an argument points to, if a call is given a copy of that part on the
/// stack, whose last word is their number.
fn copied_to(call: &Call, own: usize) -> Option<u16> {
    let (count, width) = call.behind(1, COUNT, WORD).field()?.behind(own)?;
    count.checked_sub(WORD.into()).filter(|_| width == WORD)
}

/// Returns where the address of the bytes lies in what an argument points to, if one call makes a vector of a part of it (an enum
/// that is as large as a vector, and has the address and the number of the bytes where that has them), and the next call is
/// given that vector.
fn taken([makes, takes]: &[Call; 2], own: usize) -> Option<u16> {
    let ([vector, held, ..], [_, given, ..]) = (makes.arguments, takes.arguments);
    if vector.stack_address().is_none() || given != vector {
        return None;
    }
    if let Some(distance) = held.distance_from(own) {
        return u16::try_from(distance).ok()?.checked_add(WORD.into());
    }
    copied_to(makes, own)
}

/// From a vector to the number of its items, behind its capacity and its address.
const COUNT: i64 = 16;

/// Lists the calls of a function, each with the next one.
fn pairs(seen: &Seen) -> impl Iterator<Item = &[Call; 2]> {
    seen.calls.array_windows()
}

/// Returns what all are.
pub(super) fn only<T: PartialEq>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut all = all;
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

/// Returns where the bytes are in what the second argument points to, and their number: the one place that a function copies
/// from, or makes a vector of that it hands on with a part of the connection.
pub(super) fn received(seen: &Seen) -> Option<[u16; 2]> {
    let is_part = |[_, takes]: &&[Call; 2]| {
        let [queue, ..] = takes.arguments;
        queue.distance_from(0).is_some_and(|distance| distance > 0)
    };
    let made = pairs(seen).filter(is_part).filter_map(|pair| taken(pair, 1));
    let made = made.filter_map(|from| Some([from, from.checked_add(WORD.into())?]));
    only(seen.calls.iter().filter_map(|call| slice(call, 1)).chain(made))
}

/// Returns where a call finds bytes and their number in what an argument of the function points to, if it copies these: its
/// second argument is their address, and its third their number.
fn slice(call: &Call, own: usize) -> Option<[u16; 2]> {
    let [_, from, count, ..] = call.arguments;
    let field = |value: Value| value.field().and_then(|field| Field::behind(field, own));
    match [field(from)?, field(count)?] {
        [(from, WORD), (count, WORD)] if from.checked_add(8) == Some(count) => Some([from, count]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::fixpoint::seen::seen_in;

    /// push rbx; sub rsp,0x20; mov rbx,rdi; mov rdi,rsp; call, elsewhere; add rbx,0x50; mov rdi,rbx; lea rsi,[rsp+PLACE];
    /// call, elsewhere; add rsp,0x20; pop rbx; ret
    fn taking(place: u8) -> Vec<u8> {
        let mut code = vec![0x53, 0x48, 0x83, 0xec, 0x20, 0x48, 0x89, 0xfb, 0x48, 0x89, 0xe7];
        code.extend([0xe8, 0, 1, 0, 0, 0x48, 0x83, 0xc3, 0x50, 0x48, 0x89, 0xdf]);
        code.extend([0x48, 0x8d, 0x74, 0x24, place, 0xe8, 0, 1, 0, 0]);
        code.extend([0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3]);
        code
    }

    #[test]
    fn bytes_are_taken_where_a_vector_of_them_is_handed_on() {
        assert_eq!(received(&seen_in(&taking(0))), Some([8, 16]));
        assert_eq!(received(&seen_in(&taking(8))), None, "another vector");
    }

    /// push rbx; sub rsp,0x40; mov rax,[rcx+COUNT]; mov [rsp+0x10],rax; mov rsi,rsp; lea rdi,[rsp+0x20]; call, elsewhere;
    /// lea rsi,[rsp+0x20]; call, elsewhere; add rsp,0x40; pop rbx; ret
    fn handling(count: u8) -> Vec<u8> {
        let mut code = vec![0x53, 0x48, 0x83, 0xec, 0x40, 0x48, 0x8b, 0x41, count];
        code.extend([
            0x48, 0x89, 0x44, 0x24, 0x10, 0x48, 0x89, 0xe6, 0x48, 0x8d, 0x7c, 0x24, 0x20,
        ]);
        code.extend([0xe8, 0, 1, 0, 0, 0x48, 0x8d, 0x74, 0x24, 0x20, 0xe8, 0, 1, 0, 0]);
        code.extend([0x48, 0x83, 0xc4, 0x40, 0x5b, 0xc3]);
        code
    }

    #[test]
    fn bytes_are_found_in_a_message_by_the_last_word_of_its_copy() {
        let seen = seen_in(&handling(0x18));
        let taken = |own| pairs(&seen).filter_map(|pair| taken(pair, own)).collect::<Vec<_>>();
        assert_eq!(taken(MESSAGE), [0x10]);
        assert_eq!(taken(CONTEXT), [0; 0], "of another argument");
    }
    /// push rbx; sub rsp,0x20; mov rdi,[rdx+CONNECTION]; add rdi,0x48; mov rax,[rcx+0x18]; mov rsi,rsp; mov [rsi+0x10],rax;
    /// call, elsewhere; add rsp,0x20; pop rbx; ret
    fn appending(connection: u8) -> Vec<u8> {
        let mut code = vec![0x53, 0x48, 0x83, 0xec, 0x20, 0x48, 0x8b, 0x7a, connection];
        code.extend([0x48, 0x83, 0xc7, 0x48, 0x48, 0x8b, 0x41, 0x18, 0x48, 0x89, 0xe6]);
        code.extend([0x48, 0x89, 0x46, 0x10, 0xe8, 0, 1, 0, 0]);
        code.extend([0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3]);
        code
    }

    #[test]
    fn bytes_are_found_where_a_copy_is_appended_to_a_queue_of_the_connection() {
        assert_eq!(appended(&seen_in(&appending(0)), 0), [0x10]);
        assert_eq!(appended(&seen_in(&appending(8)), 0), [0; 0], "of something else");
    }
}
