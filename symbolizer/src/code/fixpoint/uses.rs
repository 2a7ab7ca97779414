//! What a function does with an address that it is given: the calls that take it along, and where it is stored or
//! written through.
//!
//! What only may be the address counts as it. A function that is handed a place on the stack may find all that lies
//! above it.

use std::cell::Cell;

use super::places::Arguments;
use super::{Fixpoint, Function, fixpoint, read_arguments};
use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::code::callee::Callee;
use crate::code::convention::Convention;
use crate::code::field::Field;
use crate::code::operation::{self, Destination, Memory, Operation, Way};
use crate::code::spilled;
use crate::code::state::{Purpose, RECORD, State};
use crate::code::step::Step;
use crate::code::value::Value;
use crate::elf::address::Vaddr;
use crate::limits;

/// How many arguments have registers.
pub(crate) const ARGUMENTS: usize = 6;

/// A use that a function makes of the tracked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It calls a function with it, or one that may find it.
    Passed(Box<Passed>),
    /// It stores it where other code may find it.
    Stored(Vaddr),
    /// It writes to where it points.
    Written(Vaddr),
}

/// Describes a call that takes the address along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The call, or the jump in its place.
    pub(crate) at: Vaddr,
    pub(crate) target: Target,
    /// What the arguments are: in registers, or on the stack where a convention has all of them there.
    pub(crate) arguments: [Value; ARGUMENTS],
    /// What the places on the stack hold that the callee may find, if the address is in one of them: by their distances
    /// from the lowest address on the stack that it is given, with their widths in bytes.
    pub(crate) found: Record,
    /// Whether it is one of the arguments that have no register.
    pub(crate) on_stack: bool,
}

/// Holds values by their distances from an address, with their widths in bytes.
pub(crate) type Record = Vec<(i64, Value, u8)>;

/// Says where a call leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Fixed(Destination),
    /// To this address.
    Value(Value),
}

/// An address whose memory is partly known at the entry of a function that takes it.
pub(crate) const RECORDED: Value = Value::Field(Field::argument(RECORD));

/// Lists what becomes of the argument numbered `tracked` among the values that a function is entered with, one of which
/// may be [`RECORDED`].
pub(crate) fn uses(
    function: Function<'_>,
    (entry, arguments, record): (Vaddr, &[Value], &Record),
    tracked: usize,
) -> Result<Vec<Use>, Cause> {
    let purpose = Purpose::Everything { tracked: Some(tracked) };
    let state = State::new(entry, function.convention, arguments, purpose).with_record(record);
    Ok(uses_in(&fixpoint(function, &state)?))
}

fn uses_in(analysed: &Fixpoint<'_>) -> Vec<Use> {
    let frame = frame(analysed);
    let mut uses = Vec::new();
    analysed.visit(|at, operation, state| uses.extend(use_of(analysed, (at, operation), state, frame)));
    // An instruction may store in several operations.
    uses.dedup();
    uses
}

/// Lists what a function of Go that takes `count` words does with the one numbered `tracked`, and what it knows of all of
/// them at its calls.
///
/// What it keeps of an argument on its stack stays there: an address leads to one variable and no further.
pub(crate) fn uses_of_go(
    function: Function<'_>,
    entry: Vaddr,
    count: usize,
    tracked: usize,
) -> Result<(Vec<Use>, Arguments), Cause> {
    let purpose = Purpose::Everything { tracked: Some(tracked) };
    let arguments: Vec<_> = (0..count).map(|index| Value::Field(Field::argument(index))).collect();
    let state = State::new(entry, function.convention, &arguments, purpose);
    let places = spilled::places(&fixpoint(function, &state)?, &state);
    let analysed = fixpoint(function, &state.keeping(places))?;
    Ok((uses_in(&analysed), Arguments::in_calls(&analysed)))
}

/// Returns where the stack pointer stands at calls that take no arguments on the stack.
fn frame(analysed: &Fixpoint<'_>) -> i64 {
    let mut highest = i64::MIN;
    analysed.visit(|_, operation, state| {
        if matches!(operation.way(), Way::Call(_)) {
            highest = highest.max(state.stack_pointer().unwrap_or(i64::MIN));
        }
    });
    highest
}

fn use_of(analysed: &Fixpoint<'_>, (at, operation): (Vaddr, Operation), state: &State, frame: i64) -> Option<Use> {
    let fixed = |to| (Target::Fixed(to), analysed.callee(to));
    let through = |from| (Target::Value(state.value(from, 8)), Callee::ANY);
    match operation.way() {
        Way::On => write_of(at, operation, state),
        Way::Call(operation::Target::Fixed(to)) => called(at, fixed(to), state, frame),
        Way::Call(operation::Target::Through(from)) => called(at, through(from), state, frame),
        Way::Jump(operation::Target::Fixed(Destination::Code(to))) | Way::Branch(to) if analysed.contains(to) => None,
        Way::Jump(operation::Target::Fixed(to)) => left(at, fixed(to), state),
        Way::Jump(operation::Target::Through(from)) => left(at, through(from), state),
        Way::Branch(to) if is_taken(operation, state) => left(at, fixed(Destination::Code(to)), state),
        Way::Branch(_) | Way::Return | Way::End => None,
    }
}

fn write_of(at: Vaddr, operation: Operation, state: &State) -> Option<Use> {
    let (to, value) = state.written(operation)?;
    stored(at, to, value, state)
}

fn is_taken(branch: Operation, state: &State) -> bool {
    let mut state = state.clone();
    let step = state.step(branch);
    matches!(step, Some(Step::Branch { when, .. }) if state.split(when).0.is_some())
}

fn stored(at: Vaddr, to: Memory, value: Value, state: &State) -> Option<Use> {
    let (tracked, address) = (state.tracked(), state.address(to));
    if address.may_be(tracked) {
        return Some(Use::Written(at));
    }
    let is_own_slot = matches!(address, Value::Stack(_)) && !state.is_exposed(address);
    (value.may_be(tracked) && !is_own_slot).then_some(Use::Stored(at))
}

fn called(at: Vaddr, (target, callee): (Target, Callee), state: &State, frame: i64) -> Option<Use> {
    let passed = Passed {
        at,
        target,
        arguments: state.arguments(),
        found: state.found_by(callee),
        on_stack: state.is_pushed(frame),
    };
    let carries = passed.on_stack || !passed.found.is_empty() || state.is_given_to(callee);
    carries.then(|| Use::Passed(Box::new(passed)))
}

/// A jump to another function, in place of a call and a return: the frame is gone.
fn left(at: Vaddr, (target, callee): (Target, Callee), state: &State) -> Option<Use> {
    let passed = Passed {
        at,
        target,
        arguments: state.arguments(),
        found: Record::new(),
        on_stack: false,
    };
    let carries = state.is_given_to(callee) || state.has_on_stack();
    carries.then(|| Use::Passed(Box::new(passed)))
}

/// Lists what becomes of the second argument of bytes that are entered as a function; for the fuzzer alone.
pub(crate) fn uses_of_second(code: Code<'_>) -> Result<Vec<Use>, Cause> {
    let function = Function {
        code,
        convention: Convention::of(code.machine),
        is_start: &|_| false,
        callee: &|to| match to {
            Destination::Code(at) if code.contains(at) => Callee::of(3),
            Destination::Code(_) | Destination::Slot(_) | Destination::Unknown => Callee::ANY,
        },
        never_returns: &|_| false,
        budget: &Cell::new(limits::ANALYSIS_STEPS),
    };
    let arguments: [Value; ARGUMENTS] = std::array::from_fn(|index| Value::Field(Field::argument(index)));
    read_arguments(function, code.address);
    uses(function, (code.address, &arguments, &Record::new()), 1)
}
