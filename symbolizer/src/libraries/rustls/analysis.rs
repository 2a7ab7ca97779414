//! What the functions of an image are asked.

use std::cell::Cell;

use super::names::{Found, Function, Functions};
use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::code::callee::Callee;
use crate::code::convention::Convention;
use crate::code::fixpoint;
use crate::code::fixpoint::seen::{Call, Seen, seen};
use crate::code::fixpoint::uses::Target;
use crate::code::{Destination, Value};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::limits;
use crate::operand::Place;

/// From a table of methods to the first one of its trait, behind its size, its alignment, and what drops it.
pub(super) const FIRST_METHOD: u16 = 24;
/// How many bytes a word has.
pub(super) const WORD: u8 = 8;

/// An image, and its functions.
pub(super) struct Prover<'a, 'data> {
    pub(super) image: &'a Image<'data>,
    pub(super) functions: &'a Functions,
}

impl Prover<'_, '_> {
    /// Returns where a function finds an argument.
    pub(super) fn argument(&self, number: u8) -> Place {
        Convention::of(self.image.machine()).argument(number)
    }

    /// Returns whether a call leads to a function.
    pub(super) fn leads_to(&self, call: &Call, function: Function) -> bool {
        matches!(call.target, Target::Fixed(Destination::Code(to)) if self.functions.at(to) == Some(function))
    }

    /// Returns the one function that does something.
    pub(super) fn only(&self, function: Function) -> Result<Found, Cause> {
        match self.functions.of(function)[..] {
            [only] => Ok(only),
            [] => Err(Cause::FunctionMissing(function.name())),
            _ => Err(Cause::SeveralCopies),
        }
    }

    /// Analyses a function.
    pub(super) fn seen(&self, function: Found) -> Result<Seen, Cause> {
        seen_in(self.image, function)
    }
}

/// Returns where a call leads, also by an address that the dynamic linker puts somewhere.
pub(super) fn code_at(image: &Image<'_>, to: Destination) -> Option<Vaddr> {
    match to {
        Destination::Code(at) => Some(at),
        Destination::Slot(slot) => image.pointer_at(slot),
        Destination::Unknown => None,
    }
}

/// Analyses a function.
pub(super) fn seen_in(image: &Image<'_>, function: Found) -> Result<Seen, Cause> {
    let Found { address, size, .. } = function;
    let machine = image.machine();
    // What fills the space up to the next function belongs to none.
    let end = address.checked_add(size);
    let size = usize::try_from(size).ok();
    let bytes = image
        .bytes_from(address)
        .zip(size)
        .and_then(|(bytes, size)| bytes.get(..size));
    let function = fixpoint::Function {
        code: Code {
            machine,
            bytes: bytes.ok_or(Cause::NotUnderstood(address))?,
            address,
        },
        convention: Convention::of(machine),
        is_start: &|at| Some(at) == end,
        callee: &|_| Callee::ANY,
        never_returns: &|_| false,
        budget: &Cell::new(limits::ANALYSIS_STEPS),
    };
    seen(function, address)
}

/// Returns the first method of a table that a function returns behind an object.
pub(super) fn method_of(image: &Image<'_>, table: Value) -> Option<Vaddr> {
    let Value::Constant(table) = table else { return None };
    let place = Vaddr(table).checked_add(FIRST_METHOD.into())?;
    is_first_method(image, place).then(|| image.pointer_at(place))?
}

/// Returns whether a place is behind the size and the alignment of objects, as the first method is in a table.
pub(super) fn is_first_method(image: &Image<'_>, place: Vaddr) -> bool {
    let before = |bytes| {
        let word = image.bytes_from(Vaddr(place.0.checked_sub(bytes)?))?;
        Some(u64::from_le_bytes(*word.first_chunk()?))
    };
    let is_size = |size: u64| size > 0 && size < LARGEST_OBJECT;
    let is_alignment = |alignment: u64| alignment.is_power_of_two() && alignment <= LARGEST_ALIGNMENT;
    before(16).is_some_and(is_size) && before(8).is_some_and(is_alignment)
}

/// The largest object that encrypts, and its alignment.
const LARGEST_OBJECT: u64 = 1 << 16;
const LARGEST_ALIGNMENT: u64 = 64;
