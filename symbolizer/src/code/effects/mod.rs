//! What a function does with its arguments and their fields: what it compares, loads and stores, and whom it calls.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "operations and values that are not asked about are passed over"
)]

use crate::cause::Cause;
use crate::code::field::Field;
use crate::code::fixpoint::{Fixpoint, Function, fixpoint};
use crate::code::lowest::Lowest;
use crate::code::operation::{Destination, Operation, Source};
use crate::code::spilled;
use crate::code::state::{Purpose, State};
use crate::code::value::Value;
use crate::elf::address::Vaddr;

/// How many arguments of a call are of interest.
const ARGUMENTS: usize = 6;
/// How many bytes an address has.
const WORD: u8 = 8;

/// Holds what a function does, on whatever path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// What it compares with each other, of which so many bytes count.
    pub(crate) compared: Vec<(Value, Value, u8)>,
    /// Which fields it loads.
    pub(crate) loaded: Vec<Field>,
    /// What it stores to fields and to its stack. In a loop, what the first round stores is among it.
    pub(crate) stored: Vec<Store>,
    /// The fields behind fields that it stores to.
    pub(crate) stored_behind: Vec<Field>,
    /// The stores to addresses that do not come from one register alone: their distances, and how many bytes they have.
    pub(crate) indexed: Vec<(i64, u8)>,
    pub(crate) calls: Vec<Call>,
}

/// Describes one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) to: Place,
    pub(crate) value: Value,
    pub(crate) width: u8,
}

/// The destination of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Field(Field),
    /// Counted from where the stack pointer stood when the function was entered.
    Stack(i64),
}

/// Describes one call or tail call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Where it is.
    pub(crate) at: Vaddr,
    /// What lies behind it: where a call returns to.
    pub(crate) next: Vaddr,
    pub(crate) target: Target,
    /// What the argument registers hold then.
    pub(crate) arguments: [Value; ARGUMENTS],
    /// Where the stack pointer is, counted from where it was when the function was entered.
    pub(crate) stack: Option<i64>,
    /// The field of eight bytes that was stored last, on every path since the last call.
    pub(crate) stored: Option<Field>,
}

/// The target of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    To(Destination),
    /// To the address that this value is.
    Value(Value),
}

/// Lists what the function at an address does.
pub(crate) fn effects_of(function: Function<'_>, entry: Vaddr) -> Result<Effects, Cause> {
    let arguments: [Value; ARGUMENTS] = std::array::from_fn(|index| Value::Field(Field::argument(index)));
    let purpose = Purpose::Everything { tracked: None };
    let entry = State::new(entry, function.convention, &arguments, purpose);
    let places = spilled::places(&fixpoint(function, &entry)?, &entry);
    let found = fixpoint(function, &entry.keeping(places))?;
    let mut effects = Effects::default();
    let mut lowest = Lowest::default();
    let mut store = |effects: &mut Effects, at, operation, state: &State| {
        if found.begins_at(at) {
            lowest.clear();
        }
        effects.store(operation, state, &lowest);
        lowest.note(operation, state);
    };
    found.visit_first(|at, operation, state| store(&mut effects, at, operation, state));
    found.visit(|at, operation, state| {
        store(&mut effects, at, operation, state);
        effects.read(operation, state);
        effects.call(&found, at, (operation, state));
    });
    Ok(effects)
}

impl Effects {
    fn store(&mut self, operation: Operation, state: &State, lowest: &Lowest) {
        let (to, value, width) = match operation {
            Operation::Store { to, from, width: 1 } => (to, lowest.of(from).unwrap_or_else(|| state.value(from, 1)), 1),
            Operation::Store { to, from, width } => (to, state.value(from, width), width),
            Operation::Overwrite {
                to,
                width: Some(width),
                from: _,
            }
            | Operation::AddTo { to, width, by: _ } => (to, Value::Unknown, width),
            _ => return,
        };
        if to.base.is_none() {
            add(&mut self.indexed, (to.offset, width));
        }
        if let Some(field) = state.field_at(to, width).filter(|field| field.two().is_some()) {
            add(&mut self.stored_behind, field);
        }
        let to = match state.address(to) {
            Value::Stack(at) => Some(Place::Stack(at)),
            address => address.target(width).map(Place::Field),
        };
        if let Some(to) = to {
            add(&mut self.stored, Store { to, value, width });
        }
    }

    fn read(&mut self, operation: Operation, state: &State) {
        match operation {
            Operation::Set { from, width, .. }
            | Operation::SetSigned { from, width, .. }
            | Operation::SetIf { from, width, .. }
            | Operation::SetPerhaps { from, width, .. } => self.load(state, from, width),
            Operation::Compare { left, right, width } => {
                for side in [left, right] {
                    self.load(state, side, width);
                }
                let compared = (state.value(left, width), state.value(right, width), width);
                add(&mut self.compared, compared);
            }
            _ => {}
        }
    }

    fn load(&mut self, state: &State, from: Source, width: u8) {
        if let (Source::Memory(_), Value::Field(field)) = (from, state.value(from, width)) {
            add(&mut self.loaded, field);
        }
    }

    fn call(&mut self, found: &Fixpoint<'_>, at: Vaddr, (operation, state): (Operation, &State)) {
        let is_gone = state.is_at_return_address();
        let target = match operation {
            Operation::Call(to) => Target::To(to),
            Operation::CallThrough(from) => Target::Value(state.value(from, WORD)),
            // A jump that leaves the function when its frame is gone is a call whose result is its own.
            Operation::Jump(Destination::Code(to)) if is_gone && !found.contains(to) => {
                Target::To(Destination::Code(to))
            }
            Operation::Jump(to @ Destination::Slot(_)) if is_gone => Target::To(to),
            Operation::JumpThrough(from) if is_gone => Target::Value(state.value(from, WORD)),
            _ => return,
        };
        let call = Call {
            at,
            next: found.next(at).unwrap_or(at),
            target,
            arguments: state.arguments(),
            stack: state.stack_pointer(),
            stored: state.last_stored(),
        };
        add(&mut self.calls, call);
    }
}

fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

#[cfg(test)]
mod tests;
