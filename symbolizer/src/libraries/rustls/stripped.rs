//! The functions of rustls in an image without names.
//!
//! [`References`] only say where to look: what a function is then is proven by what it does, and where several could be it, none
//! is taken.

use std::collections::BTreeSet;

use super::analysis::{FIRST_METHOD, WORD, is_first_method, method_of, seen_in};
use super::handlers;
use super::names::{Found, Function, Functions};
use super::reads::received;
use super::references::{Part, References};
use super::sending::{Queue, Sending};
use super::sends::queue;
use crate::code::Value;
use crate::code::fixpoint::seen::Seen;
use crate::elf::address::Vaddr;
use crate::elf::image::Image;

/// Finds the functions; none if they are not found for certain.
pub(super) fn find(image: &Image<'_>) -> Option<Functions> {
    let references = References::find(image)?;
    let sending = Sending::find(image, &references)?;
    let mut functions = Functions::default();
    for (function, found) in &sending.functions {
        functions.put(*function, *found);
    }
    for (maker, method) in makers(image, &references)? {
        functions.put(Function::MakeEncrypter, maker);
        functions.put(Function::Encrypt, method);
    }
    if let Some(takes) = takes(image, &references, &sending.queues) {
        functions.put(Function::TakeReceived, takes);
        return Some(functions);
    }
    for handler in handlers::find(image, &references, &sending.queues)? {
        functions.put(Function::Handle, handler);
    }
    Some(functions)
}

/// Finds the functions that make objects that encrypt, each with the method of these: the table of methods that they return
/// has a method that says how long a record gets behind the one that encrypts. None if there is such a table that no function
/// returns.
fn makers(image: &Image<'_>, references: &References<'_>) -> Option<Vec<(Found, Found)>> {
    let mut makers = Vec::new();
    for function in references.of(Part::Algorithms) {
        let Ok(seen) = seen_in(image, function) else {
            continue;
        };
        let returned: BTreeSet<_> = seen.returns.iter().map(|(_, table)| encrypts(image, *table)).collect();
        let [Some(method)] = Vec::from_iter(returned)[..] else {
            continue;
        };
        makers.push((
            function,
            references.found(method).filter(|found| found.address == method)?,
        ));
    }
    let made: BTreeSet<_> = makers.iter().map(|(_, method)| method.address).collect();
    let adding = image
        .code_pointers()
        .into_iter()
        .filter(|(_, to)| adds_overhead(image, *to));
    let methods = adding.filter_map(|(place, _)| {
        let first = Vaddr(place.0.checked_sub(WORD.into())?);
        is_first_method(image, first).then(|| image.pointer_at(first))?
    });
    let mut methods = methods;
    (!makers.is_empty() && methods.all(|method| made.contains(&method))).then_some(makers)
}

/// Returns the first method of a table that a function returns, if that is one of objects that encrypt.
fn encrypts(image: &Image<'_>, table: Value) -> Option<Vaddr> {
    let Value::Constant(address) = table else { return None };
    let second = Vaddr(address).checked_add(u64::from(FIRST_METHOD).checked_add(WORD.into())?)?;
    adds_overhead(image, image.pointer_at(second)?).then(|| method_of(image, table))?
}

/// Returns whether a method does nothing but add to its second argument what a record is longer than its content: with TLS 1.3
/// its kind and a tag, with TLS 1.2 a tag, and perhaps the number of the record (`MessageEncrypter::encrypted_payload_len`).
fn adds_overhead(image: &Image<'_>, method: Vaddr) -> bool {
    // lea rax,[rsi+N]; ret
    let code = image.bytes_from(method).and_then(|bytes| bytes.first_chunk());
    matches!(code, Some([0x48, 0x8d, 0x46, 0x10 | 0x11 | 0x18, 0xc3]))
}

/// Finds the one function that takes the content of a record: it gives the counters of a connection their first value, and
/// appends to the queue before the one that a function that sends appends to.
fn takes(image: &Image<'_>, references: &References<'_>, queues: &[Queue]) -> Option<Found> {
    let appends = |seen: &Seen, (grow, sendable): &Queue| {
        let received = sendable.checked_sub(QUEUE_BYTES);
        received.is_some_and(|at| seen.calls.iter().any(|call| queue(call) == Some((*grow, at))))
    };
    let is_it = |seen: &Seen| received(seen).is_some() && queues.iter().any(|queue| appends(seen, queue));
    let mut found = references
        .counting
        .iter()
        .copied()
        .filter(|function| seen_in(image, *function).is_ok_and(|seen| is_it(&seen)));
    found.next().filter(|_| found.next().is_none())
}

/// Bytes of a queue of a connection, `ChunkVecBuffer` (rustls 0.23).
const QUEUE_BYTES: i64 = 0x38;
