//! Where a function keeps its arguments when it comes to an instruction, whatever its way there.

use super::{Fixpoint, Function, fixpoint};
use crate::cause::Cause;
use crate::code::field::Field;
use crate::code::operation::Operation;
use crate::code::state::{Purpose, State};
use crate::code::value::Value;
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

    /// Returns where an address is at a call that is behind an argument, so that it leads to it.
    pub(crate) fn place_before(&self, call: Vaddr, argument: usize) -> Option<Place> {
        let mut states = self.0.iter().filter(|(at, _)| *at == call);
        states.next()?.1.place_before(argument)
    }

    /// Returns whether so many of an argument's lower bytes are equal to a number on every way to a call.
    pub(crate) fn is_equal(&self, call: Vaddr, argument: usize, number: u64, width: u8) -> bool {
        let mut states = self.0.iter().filter(|(at, _)| *at == call);
        let known = states.next().and_then(|(_, state)| state.equal_to(argument));
        known.is_some_and(|(bytes, known)| bytes >= width && known == number)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::code::bytes::Code;
    use crate::code::callee::Callee;
    use crate::code::convention::Convention;
    use crate::elf::machine::Machine;
    use crate::limits;

    /// `lea r13,[rdi+N]`, `xor edi,edi`, `call` the byte behind itself, `ret`.
    fn known_at_call(distance: i32) -> (Arguments, Vaddr) {
        let lea = [&[0x4c, 0x8d, 0xaf][..], &distance.to_le_bytes()].concat();
        let bytes = [&lea[..], &[0x31, 0xff, 0xe8, 0, 0, 0, 0, 0xc3]].concat();
        let entry = Vaddr(0x1000);
        let function = Function {
            code: Code {
                machine: Machine::X86_64,
                bytes: &bytes,
                address: entry,
            },
            is_start: &|_| false,
            callee: &|_| Callee::ANY,
            budget: &Cell::new(limits::ANALYSIS_STEPS),
            convention: Convention::of(Machine::X86_64),
            never_returns: &|_| false,
        };
        let call = Vaddr(0x1009);
        (arguments_at(function, entry, &[call]).unwrap(), call)
    }

    #[test]
    fn an_address_behind_an_argument_leads_to_it() {
        let (known, call) = known_at_call(0x120);
        assert_eq!(known.place(call, 0, 8), None);
        assert_eq!(known.place_before(call, 0), Some(Place::Before(13, 0x120)));
        assert_eq!(known.place_before(call, 1), Some(Place::Before(4, 0)), "rsi itself");
    }

    #[test]
    fn an_address_that_is_not_behind_an_argument_or_too_far_does_not() {
        for distance in [-8, 0x1_0000] {
            let (known, call) = known_at_call(distance);
            assert_eq!(known.place_before(call, 0), None, "{distance:#x}");
        }
    }
}
