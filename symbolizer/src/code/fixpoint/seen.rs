//! What a function knows where it calls others, also through tables of methods, and where it is left.
//!
//! What is asked of a function here is what it knows of its own arguments and of what it has put on its stack.

use super::uses::{ARGUMENTS, Target};
use super::{Function, fixpoint};
use crate::cause::Cause;
use crate::code::field::Field;
use crate::code::operation::{self, Destination, Way};
use crate::code::state::{Purpose, State};
use crate::code::value::Value;
use crate::elf::address::Vaddr;
use crate::operand::Place;

/// Holds what is known where a function calls others, branches, and returns.
#[derive(Default)]
pub(crate) struct Seen {
    /// Its calls, with what holds on every way to them, in the order of their addresses.
    pub(crate) calls: Vec<Call>,
    /// Its calls, with what the first way to each brings: the first round of a loop is seen as it is.
    pub(crate) first: Vec<Call>,
    branches: Vec<(Vaddr, State)>,
    /// Its returns, and what it has there in the register of a second result: on x86-64 that of the third argument.
    pub(crate) returns: Vec<(Vaddr, Value)>,
    /// Where it jumps to when it ends so.
    pub(crate) leaves_to: Vec<Destination>,
}

/// A call, and what is known there.
pub(crate) struct Call {
    pub(crate) at: Vaddr,
    pub(crate) target: Target,
    /// What the argument registers hold.
    pub(crate) arguments: [Value; ARGUMENTS],
    state: State,
}

/// Where a function keeps what it knows of at one of its instructions.
pub(crate) struct Kept {
    pub(crate) at: Vaddr,
    /// Its own argument that was asked for.
    pub(crate) argument: Place,
    /// Bytes from the stack pointer to an address on the stack.
    pub(crate) above: u16,
}

/// Analyses a function that is entered with any arguments.
pub(crate) fn seen(function: Function<'_>, entry: Vaddr) -> Result<Seen, Cause> {
    let convention = function.convention;
    let arguments = (0..convention.arguments.len()).map(|index| Value::Field(Field::argument(index)));
    let arguments: Vec<_> = arguments.collect();
    let state = State::new(entry, convention, &arguments, Purpose::Everything { tracked: None });
    let analysed = fixpoint(function, &state)?;
    let mut seen = Seen::default();
    analysed.visit(|at, operation, state| match operation.way() {
        Way::Call(target) => seen.calls.push(Call::new(at, target, state)),
        Way::Branch(_) => seen.branches.push((at, state.clone())),
        Way::Return => {
            let [_, _, second] = state.arguments();
            seen.returns.push((at, second));
        }
        Way::Jump(operation::Target::Fixed(Destination::Code(to))) if analysed.contains(to) => {}
        Way::Jump(operation::Target::Fixed(to)) => seen.leaves_to.push(to),
        Way::Jump(operation::Target::Through(_)) => seen.leaves_to.push(Destination::Unknown),
        Way::On | Way::End => {}
    });
    analysed.visit_first(|at, operation, state| {
        if let Way::Call(target) = operation.way() {
            seen.first.push(Call::new(at, target, state));
        }
    });
    seen.calls.sort_by_key(|call| call.at);
    seen.returns.sort_by_key(|(at, _)| *at);
    Ok(seen)
}

impl Seen {
    /// Finds the branch that follows a call with no other call in between, and where an argument of the function and an
    /// address on the stack that the call was given are there.
    pub(crate) fn branch_after(&self, call: &Call, argument: usize, given: usize) -> Option<Kept> {
        let next = self.calls.iter().map(|other| other.at).find(|at| *at > call.at);
        let behind = |at: Vaddr| at > call.at && next.is_none_or(|next| at < next);
        let branches = self.branches.iter().filter(|(at, _)| behind(*at));
        let (at, state) = branches.min_by_key(|(at, _)| *at)?;
        let address = call.arguments.get(given)?.stack_address()?;
        let above = address.checked_sub(state.stack_pointer()?)?;
        Some(Kept {
            at: *at,
            argument: state.place_of(argument, WORD)?,
            above: u16::try_from(above).ok()?,
        })
    }
}

impl Seen {
    /// Lists what was compared last at each branch.
    pub(crate) fn compared(&self) -> impl Iterator<Item = (Value, Value)> {
        self.branches.iter().map(|(_, state)| state.compared())
    }

    /// Lists the numbers that a field of what an argument points to, of so many bytes, is compared with at branches.
    pub(crate) fn compared_with(&self, argument: usize, (offset, width): (u16, u8)) -> Vec<u64> {
        let is_it = |value: Value| value.field().and_then(|field| field.behind(argument)) == Some((offset, width));
        let numbers = self.compared().filter_map(|compared| match compared {
            (Value::Constant(number), other) | (other, Value::Constant(number)) if is_it(other) => Some(number),
            _ => None,
        });
        numbers.collect()
    }
}

impl Call {
    fn new(at: Vaddr, target: operation::Target, state: &State) -> Self {
        Self {
            at,
            target: match target {
                operation::Target::Fixed(to) => Target::Fixed(to),
                operation::Target::Through(from) => Target::Value(state.value(from, WORD)),
            },
            arguments: state.arguments(),
            state: state.clone(),
        }
    }

    /// Returns what lies so many bytes behind an address on the stack that an argument is.
    pub(crate) fn behind(&self, argument: usize, offset: i64, width: u8) -> Value {
        let address = self.arguments.get(argument).and_then(|value| value.stack_address());
        let at = address.and_then(|address| address.checked_add(offset));
        at.map_or(Value::Unknown, |at| self.state.on_stack(at, width))
    }
}

/// How many bytes a word has.
const WORD: u8 = 8;

/// Analyses bytes of x86-64 as a function, for tests.
#[cfg(test)]
pub(crate) fn seen_in(bytes: &[u8]) -> Seen {
    use std::cell::Cell;

    use crate::code::bytes::Code;
    use crate::code::callee::Callee;
    use crate::code::convention::Convention;
    use crate::elf::machine::Machine;
    use crate::limits;

    let entry = Vaddr(0x1000);
    let function = Function {
        code: Code {
            machine: Machine::X86_64,
            bytes,
            address: entry,
        },
        is_start: &|_| false,
        callee: &|_| Callee::ANY,
        budget: &Cell::new(limits::ANALYSIS_STEPS),
        convention: Convention::of(Machine::X86_64),
        never_returns: &|_| false,
    };
    seen(function, entry).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// push rbx; sub rsp,0x40; mov rbx,rdi; movb [rsp+0x20],3; mov rsi,[rbx+0x10]; mov rax,[rbx+0x18]; mov rdi,rsp;
    /// lea rdx,[rsp+0x18]; call [rax+0x18]; cmpb [rsp],0x16; jne +0; add rsp,0x40; pop rbx; ret
    const CODE: [u8; 47] = [
        0x53, 0x48, 0x83, 0xec, 0x40, 0x48, 0x89, 0xfb, 0xc6, 0x44, 0x24, 0x20, 3, 0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b,
        0x43, 0x18, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x54, 0x24, 0x18, 0xff, 0x50, 0x18, 0x80, 0x3c, 0x24, 0x16, 0x75, 0,
        0x48, 0x83, 0xc4, 0x40, 0x5b, 0xc3, 0xcc, 0xcc, 0xcc,
    ];

    #[test]
    fn a_call_through_a_table_of_methods_is_seen_with_its_table_and_its_arguments() {
        let seen = seen_in(&CODE);
        let [call] = &seen.calls[..] else { panic!() };
        let Target::Value(target) = call.target else { panic!() };
        assert_eq!(target.field().and_then(Field::two), Some(([0x18, 0x18], 8)));
        let [_, object, ..] = call.arguments;
        assert_eq!(object.field().and_then(Field::one), Some((0x10, 8)));
        assert_eq!(call.behind(2, 8, 1), Value::Constant(3));
        assert_eq!(call.behind(2, 7, 1), Value::Unknown);
        assert_eq!(call.behind(1, 8, 1), Value::Unknown, "not on the stack");
    }

    #[test]
    fn the_branch_behind_a_call_is_found_with_what_is_kept_there() {
        let seen = seen_in(&CODE);
        let kept = seen.branch_after(&seen.calls[0], 0, 2).unwrap();
        assert_eq!(kept.at, Vaddr(0x1024));
        assert_eq!((kept.argument, kept.above), (Place::Register(3), 0x18));
        assert!(seen.branch_after(&seen.calls[0], 1, 2).is_none(), "not kept");
        let returns: Vec<_> = seen.returns.iter().map(|(at, _)| *at).collect();
        assert_eq!(returns, [Vaddr(0x102b)]);
        assert_eq!(seen.leaves_to, []);
    }

    #[test]
    fn a_jump_to_another_function_is_a_way_out() {
        assert_eq!(
            seen_in(&[0xe9, 0, 1, 0, 0]).leaves_to,
            [Destination::Code(Vaddr(0x1105))]
        );
        assert_eq!(seen_in(&[0xff, 0xe0]).leaves_to, [Destination::Unknown]);
    }
}
