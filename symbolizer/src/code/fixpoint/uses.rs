//! What a function does with an address that it is given: the calls that take it along, and where it is stored or
//! written through.
//!
//! What only may be the address counts as it. A function that is handed a place on the stack may find all that lies
//! above it.

use super::{Callee, Fixpoint, Function, fixpoint};
use crate::cause::Cause;
use crate::code::convention::Convention;
use crate::code::operation::{Destination, Memory, Operation};
use crate::code::state::{Purpose, State};
use crate::code::step::Step;
use crate::code::value::Value;
use crate::elf::address::Vaddr;

/// How many arguments have registers.
pub(crate) const ARGUMENTS: usize = 6;

/// Is one thing that a function does with the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It calls a function with it, or one that may find it.
    Passed(Passed),
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
    /// What the argument registers hold.
    pub(crate) arguments: [Value; ARGUMENTS],
    /// What the places on the stack hold that the callee may find, if the address is in one of them.
    pub(crate) found: Vec<Value>,
    /// Whether it is one of the arguments that have no register.
    pub(crate) on_stack: bool,
}

/// Says where a call leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Fixed(Destination),
    /// To this address.
    Value(Value),
}

/// Lists what becomes of the argument numbered `tracked` among the values that a function is entered with.
pub(crate) fn uses(
    function: Function<'_>,
    entry: Vaddr,
    arguments: &[Value],
    tracked: usize,
) -> Result<Vec<Use>, Cause> {
    let purpose = Purpose::Everything { tracked: Some(tracked) };
    let state = State::new(entry, Convention::of(function.code.machine), arguments, purpose);
    let analysed = fixpoint(function, &state)?;
    let frame = frame(&analysed);
    let mut uses = Vec::new();
    analysed.visit(|at, operation, state| uses.extend(use_of(&analysed, (at, operation), state, frame)));
    // An instruction may store in several operations.
    uses.dedup();
    Ok(uses)
}

/// Returns where the stack pointer stands at calls that take no arguments on the stack.
fn frame(analysed: &Fixpoint<'_>) -> i64 {
    let mut highest = i64::MIN;
    analysed.visit(|_, operation, state| {
        if matches!(operation, Operation::Call(_) | Operation::CallThrough(_)) {
            highest = highest.max(state.stack_pointer().unwrap_or(i64::MIN));
        }
    });
    highest
}

fn use_of(analysed: &Fixpoint<'_>, (at, operation): (Vaddr, Operation), state: &State, frame: i64) -> Option<Use> {
    match operation {
        Operation::Store { to, from, width } => stored(at, to, state.value(from, width), state),
        Operation::Overwrite { to, from, .. } => stored(at, to, state.mix(from), state),
        Operation::Call(to) => called(at, Target::Fixed(to), state, (frame, analysed.callee(to))),
        Operation::CallThrough(to) => called(at, Target::Value(state.value(to, 8)), state, (frame, Callee::ANY)),
        Operation::JumpThrough(to) => left(at, Target::Value(state.value(to, 8)), state, Callee::ANY),
        Operation::Jump(Destination::Code(to)) | Operation::Branch { target: to, .. } if analysed.contains(to) => None,
        Operation::Jump(to) => left(at, Target::Fixed(to), state, analysed.callee(to)),
        Operation::Branch { target, .. } if is_taken(operation, state) => {
            let to = Destination::Code(target);
            left(at, Target::Fixed(to), state, analysed.callee(to))
        }
        _ => None,
    }
}

fn is_taken(branch: Operation, state: &State) -> bool {
    let mut state = state.clone();
    match state.step(branch) {
        Some(Step::Branch { when, .. }) => state.split(when).0.is_some(),
        _ => false,
    }
}

fn stored(at: Vaddr, to: Memory, value: Value, state: &State) -> Option<Use> {
    let (tracked, address) = (state.tracked(), state.address(to));
    if address.may_be(tracked) {
        return Some(Use::Written(at));
    }
    let is_own_slot = matches!(address, Value::Stack(_)) && !state.is_exposed(address);
    (value.may_be(tracked) && !is_own_slot).then_some(Use::Stored(at))
}

fn called(at: Vaddr, target: Target, state: &State, (frame, callee): (i64, Callee)) -> Option<Use> {
    let passed = Passed {
        at,
        target,
        arguments: state.arguments(),
        found: state.found_by(callee),
        on_stack: state.is_pushed(frame),
    };
    let carries = passed.on_stack || !passed.found.is_empty() || state.is_given_to(callee);
    carries.then_some(Use::Passed(passed))
}

/// A jump to another function, in place of a call and a return: the frame is gone.
fn left(at: Vaddr, target: Target, state: &State, callee: Callee) -> Option<Use> {
    state.is_given_to(callee).then_some(Use::Passed(Passed {
        at,
        target,
        arguments: state.arguments(),
        found: Vec::new(),
        on_stack: false,
    }))
}
