//! What the functions of an image are asked.

use std::cell::Cell;

use super::names::{Found, Function, Functions};
use crate::cause::Cause;
use crate::code::Destination;
use crate::code::bytes::Code;
use crate::code::callee::Callee;
use crate::code::convention::Convention;
use crate::code::fixpoint;
use crate::code::fixpoint::seen::{Call, Seen, seen};
use crate::code::fixpoint::uses::Target;
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
