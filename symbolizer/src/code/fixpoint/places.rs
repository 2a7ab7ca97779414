//! Where a function keeps its arguments when it comes to an instruction, whatever its way there.

use super::{Fixpoint, Function, fixpoint};
use crate::cause::Cause;
use crate::code::operation::Operation;
use crate::code::state::{Purpose, State};
use crate::code::value::{Field, Value};
use crate::elf::address::Vaddr;
use crate::operand::Place;

/// Holds what is known where a function is about to call another.
pub(crate) struct Arguments(Vec<(Vaddr, State)>);

/// Analyses a function that is entered with any arguments, for what it knows of them at some of its calls.
pub(crate) fn arguments_at(function: Function<'_>, entry: Vaddr, calls: &[Vaddr]) -> Result<Arguments, Cause> {
    let convention = function.convention;
    let arguments = (0..convention.arguments.len()).map(|index| Value::Field(Field::argument(index)));
    let arguments: Vec<_> = arguments.collect();
    let state = State::new(entry, convention, &arguments, Purpose::Everything { tracked: None });
    let mut found = Vec::new();
    fixpoint(function, &state)?.visit(|at, operation, state| {
        if calls.contains(&at) && matches!(operation, Operation::Call(_)) {
            found.push((at, state.clone()));
        }
    });
    Ok(Arguments(found))
}

impl Arguments {
    /// Keeps what is known at every call of a function.
    pub(super) fn in_calls(analysed: &Fixpoint<'_>) -> Self {
        let mut found = Vec::new();
        analysed.visit(|at, operation, state| {
            if matches!(operation, Operation::Call(_)) {
                found.push((at, state.clone()));
            }
        });
        Self(found)
    }

    /// Returns where an argument is at a call, or so many of its lower bytes; arguments are counted from 0.
    pub(crate) fn place(&self, call: Vaddr, argument: usize, width: u8) -> Option<Place> {
        let mut states = self.0.iter().filter(|(at, _)| *at == call);
        states.next()?.1.place_of(argument, width)
    }

    /// Returns whether so many of an argument's lower bytes are equal to a number on every way to a call.
    pub(crate) fn is_equal(&self, call: Vaddr, argument: usize, number: u64, width: u8) -> bool {
        let mut states = self.0.iter().filter(|(at, _)| *at == call);
        let known = states.next().and_then(|(_, state)| state.equal_to(argument));
        known.is_some_and(|(bytes, known)| bytes >= width && known == number)
    }
}
