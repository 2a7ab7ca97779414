//! The number that a function returns, whatever it was given.

use super::{Function, fixpoint};
use crate::cause::Cause;
use crate::code::operation::{Destination, Target, Way};
use crate::code::state::{Purpose, State};
use crate::elf::address::Vaddr;

/// Says what a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// Always this number, or the address of this place in the image.
    Number(u64),
    /// What the function at this address returns.
    Of(Vaddr),
    /// Anything else.
    Other,
}

/// Finds what a function returns.
pub(crate) fn returned(function: Function<'_>, entry: Vaddr) -> Result<Returned, Cause> {
    let convention = function.convention;
    let state = State::new(entry, convention, &[], Purpose::Everything { tracked: None });
    let analysed = fixpoint(function, &state)?;
    let mut found = Vec::new();
    analysed.visit(|_, operation, state| match operation.way() {
        Way::Return => {
            found.push(state.returned().number().map_or(Returned::Other, Returned::Number));
        }
        Way::Jump(Target::Fixed(Destination::Code(to))) if analysed.contains(to) => {}
        Way::Jump(Target::Fixed(Destination::Code(to))) => found.push(Returned::Of(to)),
        Way::Jump(Target::Fixed(_) | Target::Through(_)) => found.push(Returned::Other),
        Way::Branch(to) if !analysed.contains(to) => found.push(Returned::Other),
        Way::On | Way::Call(_) | Way::Branch(_) | Way::End => {}
    });
    let first = found.first().copied().unwrap_or(Returned::Other);
    let is_same = found.iter().all(|other| *other == first);
    Ok(if is_same { first } else { Returned::Other })
}
