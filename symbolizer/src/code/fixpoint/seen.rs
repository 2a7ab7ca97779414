//! What a function knows where it calls others, also through tables of methods, and where it is left.
//!
//! What is asked of a function here is what it knows of its own arguments and of what it has put on its stack.

use std::collections::BTreeMap;

use super::uses::{ARGUMENTS, Target};
use super::{Function, fixpoint};
use crate::cause::Cause;
use crate::code::field::Field;
use crate::code::operation::{self, Destination, Operation, Way};
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
    /// The numbers that it stores behind its arguments.
    pub(crate) stores: Vec<Store>,
    branches: Vec<(Vaddr, State)>,
    /// The instructions that calls return to, each by its call, and what is known there.
    returned_to: BTreeMap<Vaddr, (Vaddr, State)>,
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

/// A number of a whole word that a function stores behind an argument.
pub(crate) struct Store {
    pub(crate) at: Vaddr,
    pub(crate) number: u64,
    /// Where the argument is there.
    pub(crate) argument: Place,
    /// From the argument to where the number is stored.
    pub(crate) offset: u16,
    /// From the same argument to where another word was stored last, with no call in between.
    pub(crate) before: Option<u16>,
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
    let mut behind_calls = BTreeMap::new();
    analysed.visit(|at, operation, _| {
        if let Way::Call(_) = operation.way() {
            behind_calls.extend(analysed.next(at).map(|next| (next, at)));
        }
    });
    analysed.visit(|at, _, state| {
        if let Some(call) = behind_calls.remove(&at) {
            seen.returned_to.insert(call, (at, state.clone()));
        }
    });
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
        Way::On => seen.stores.extend(Store::of(at, operation, state)),
        Way::End => {}
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
        Kept::at(*at, state, call, argument, given)
    }

    /// Does the same at the instruction that a call returns to.
    pub(crate) fn behind(&self, call: &Call, argument: usize, given: usize) -> Option<Kept> {
        let (at, state) = self.returned_to.get(&call.at)?;
        Kept::at(*at, state, call, argument, given)
    }

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

impl Kept {
    fn at(at: Vaddr, state: &State, call: &Call, argument: usize, given: usize) -> Option<Self> {
        let address = call.arguments.get(given)?.stack_address()?;
        let above = address.checked_sub(state.stack_pointer()?)?;
        Some(Self {
            at,
            argument: state.place_of(argument, WORD)?,
            above: u16::try_from(above).ok()?,
        })
    }
}

impl Store {
    fn of(at: Vaddr, operation: Operation, state: &State) -> Option<Self> {
        let Operation::Store { to, width: WORD, .. } = operation else {
            return None;
        };
        let (_, value) = state.written(operation)?;
        let address = state.address(to);
        let behind = |argument| Some((argument, address.distance_from(argument)?));
        let (argument, offset) = (0..ARGUMENTS).find_map(behind)?;
        let before = state.last_stored().and_then(|field| field.behind(argument));
        Some(Self {
            at,
            number: value.number()?,
            argument: state.place_of(argument, WORD)?,
            offset: u16::try_from(offset).ok()?,
            before: before.filter(|(_, width)| *width == WORD).map(|(offset, _)| offset),
        })
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
    fn what_is_kept_is_known_where_a_call_returns_to_too() {
        let seen = seen_in(&CODE);
        let kept = seen.behind(&seen.calls[0], 0, 0).unwrap();
        assert_eq!(kept.at, Vaddr(0x1020));
        assert_eq!((kept.argument, kept.above), (Place::Register(3), 0));
        assert!(seen.behind(&seen.calls[0], 0, 1).is_none(), "not on the stack");
    }

    #[test]
    fn a_number_is_stored_behind_an_argument_after_another_word() {
        // push rbx; mov rbx,rdx; mov [rbx+0x10],rax; lea rax,[rip]; mov [rbx+0x18],rax; pop rbx; ret
        let mut code = vec![0x53, 0x48, 0x89, 0xd3, 0x48, 0x89, 0x43, 0x10];
        code.extend([0x48, 0x8d, 5, 0, 0, 0, 0, 0x48, 0x89, 0x43, 0x18, 0x5b, 0xc3]);
        let seen = seen_in(&code);
        let [store] = &seen.stores[..] else { panic!() };
        assert_eq!((store.at, store.number), (Vaddr(0x100f), 0x100f));
        assert_eq!((store.argument, store.offset), (Place::Register(1), 0x18));
        assert_eq!(store.before, Some(0x10));
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
