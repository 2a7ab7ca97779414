//! What sends, in an image without names.
//!
//! Three functions of the source have a part in it, and the compiler makes one to three of them: one hands all records of some
//! data to the second, that one a record to the third, and the third one to the object that encrypts.

use super::analysis::seen_in;
use super::names::{Found, Function};
use super::references::{Part, References};
use super::scan::callers;
use super::sends::{encrypting, message, queue};
use crate::code::fixpoint::seen::{Call, Seen};
use crate::code::fixpoint::uses::Target;
use crate::code::{Destination, Field};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;

/// What makes room in a queue of the connection, and how far behind the connection's beginning that is.
pub(super) type Queue = (Destination, i64);

/// The functions that send.
pub(super) struct Sending {
    /// Those by which the rest is proven.
    pub(super) functions: Vec<(Function, Found)>,
    /// The queues that they append to.
    pub(super) queues: Vec<Queue>,
}

impl Sending {
    /// Finds them; none if there is another that could be one of them.
    pub(super) fn find(image: &Image<'_>, references: &References<'_>) -> Option<Self> {
        let all = references.of(Part::RecordLayer);
        let all: Vec<_> = all
            .filter_map(|found| Some((found, seen_in(image, found).ok()?)))
            .collect();
        let calls = |own| {
            all.iter()
                .filter(move |(_, seen)| encrypting(&seen.calls, own).is_ok_and(|call| call.is_some()))
        };
        if let Some((found, seen)) = one(calls(0).filter(|(_, seen)| is_data(seen))) {
            return Some(Self {
                functions: vec![(Function::SendData, *found)],
                queues: queues(image, references, seen),
            });
        }
        if let Some((found, seen)) = one(calls(0).filter(|(found, _)| is_given_data(image, *found))) {
            return Some(Self {
                functions: vec![(Function::SendFragment, *found)],
                queues: queues(image, references, seen),
            });
        }
        let (outgoing, _) = one(calls(1))?;
        Self::around(image, references, *outgoing)
    }

    /// Finds them by what calls the object that encrypts, which is a function of its own.
    fn around(image: &Image<'_>, references: &References<'_>, outgoing: Found) -> Option<Self> {
        let callers: Vec<_> = callers(image, outgoing.address)
            .into_iter()
            .filter_map(|found| Some((references.found(found.address)?, seen_in(image, found).ok()?)))
            .collect();
        let hands_over = |seen: &Seen| seen.calls.iter().any(|call| is_handed_on(call, outgoing.address));
        let sends_data = |seen: &Seen| {
            let mut calls = seen.first.iter().filter(|call| leads_to(call, outgoing.address));
            calls.any(|call| message(&seen.first, call.at, 2).is_ok())
        };
        let (by, (found, seen)) = if let Some(found) = one(callers.iter().filter(|(_, seen)| sends_data(seen))) {
            (Function::SendData, found)
        } else {
            let found = one(callers.iter().filter(|(_, seen)| hands_over(seen)))?;
            (Function::SendFragment, found)
        };
        Some(Self {
            functions: vec![(Function::EncryptOutgoing, outgoing), (by, *found)],
            queues: queues(image, references, seen),
        })
    }
}

/// Returns whether a function hands records over as data of the application.
fn is_data(seen: &Seen) -> bool {
    let encrypts = encrypting(&seen.calls, 0).ok().flatten();
    encrypts.is_some_and(|call| message(&seen.first, call.at, 2).is_ok())
}

/// Returns whether one of those that call a function hands it a record as data of the application.
fn is_given_data(image: &Image<'_>, function: Found) -> bool {
    let hands_over = |seen: &Seen| {
        let mut calls = seen.first.iter().filter(|call| leads_to(call, function.address));
        calls.any(|call| message(&seen.first, call.at, 1).is_ok())
    };
    let callers = callers(image, function.address).into_iter();
    callers
        .filter_map(|caller| seen_in(image, caller).ok())
        .any(|seen| hands_over(&seen))
}

fn leads_to(call: &Call, to: Vaddr) -> bool {
    call.target == Target::Fixed(Destination::Code(to))
}

/// Returns whether a call leads somewhere with a part of the first argument and the whole second one.
fn is_handed_on(call: &Call, to: Vaddr) -> bool {
    let [_, layer, message, ..] = call.arguments;
    let is_own = message.field().and_then(Field::as_argument) == Some(1);
    leads_to(call, to) && is_own && layer.distance_from(0).is_some()
}

/// Lists the queues that a function appends to, or one that it calls with the connection.
fn queues(image: &Image<'_>, references: &References<'_>, seen: &Seen) -> Vec<Queue> {
    let called = seen.calls.iter().filter_map(|call| {
        let [connection, ..] = call.arguments;
        let Target::Fixed(Destination::Code(to)) = call.target else {
            return None;
        };
        let found = references.found(to).filter(|found| found.address == to);
        let found = found.filter(|_| connection.distance_from(0) == Some(0))?;
        seen_in(image, found).ok()
    });
    let called = called.flat_map(|seen| seen.calls.iter().filter_map(queue).collect::<Vec<_>>());
    let own = seen.calls.iter().filter_map(queue);
    own.chain(called).collect()
}

/// Returns the only one.
fn one<T>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut all = all;
    all.next().filter(|_| all.next().is_none())
}
