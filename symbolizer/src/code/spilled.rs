//! The places on its stack where a function keeps its arguments.
//!
//! Calls may change what lies above an address that they are given, and some compilers put the arguments there: above all
//! arrays. A place that only one argument is ever written to, and whose address is not taken, is no part of what has an
//! address, unless a function fills a structure with its arguments and hands that out. Nothing but evidence may depend on
//! it: what is read there is compared with the code of other functions. Go's compiler is another matter: an address leads
//! to its own variable there and no further, and what a closure has taken by value is never written again.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "operations and values that are not asked about are passed over"
)]

use std::collections::BTreeSet;

use super::field::Field;
use super::fixpoint::Fixpoint;
use super::operation::{Operation, Source};
use super::state::State;
use super::value::Value;

/// Finds the places that hold an argument from when it is stored, or from the entry on.
pub(super) fn places(found: &Fixpoint<'_>, entry: &State) -> BTreeSet<i64> {
    let mut spilled = Spilled::default();
    for (at, value, width) in entry.slots() {
        spilled.store(Value::Stack(at), width, value);
    }
    found.visit(|_, operation, state| spilled.note(operation, state));
    let Spilled { stored, taken } = spilled;
    let is_alone = |&Stored { at, end, argument }: &Stored| {
        let overlapping = stored.iter().filter(|store| store.at < end && store.end > at);
        let mut held = overlapping.map(|store| (store.at, store.end, store.argument));
        held.all(|held| held == (at, end, argument)) && taken.range(at..end).next().is_none()
    };
    let alone = stored
        .iter()
        .filter(|store| store.argument.is_some() && is_alone(store));
    alone.map(|store| store.at).collect()
}

#[derive(Default)]
struct Spilled {
    stored: Vec<Stored>,
    /// The addresses that are in registers or in memory.
    taken: BTreeSet<i64>,
}

struct Stored {
    at: i64,
    end: i64,
    /// Which argument is stored, and how many bytes of it.
    argument: Option<(usize, u8)>,
}

impl Spilled {
    fn note(&mut self, operation: Operation, state: &State) {
        match operation {
            Operation::Store { to, from, width } => self.store(state.address(to), width, state.value(from, width)),
            Operation::Overwrite { to, width, .. } => {
                self.store(state.address(to), width.unwrap_or(u8::MAX), Value::Unknown);
            }
            Operation::AddTo { to, width, .. } => self.store(state.address(to), width, Value::Unknown),
            Operation::Push(_) => {
                let top = state.stack_pointer().map_or(Value::Unknown, Value::Stack);
                self.store(top.plus(-8), 8, Value::Unknown);
            }
            Operation::Set {
                from: from @ Source::Address(_),
                width,
                ..
            } => self.take(state.value(from, width)),
            Operation::Call(_) | Operation::CallThrough(_) => {
                for argument in state.arguments::<6>() {
                    self.take(argument);
                }
            }
            _ => {}
        }
    }

    fn store(&mut self, to: Value, width: u8, value: Value) {
        if let Value::Stack(at) = to {
            self.stored.push(Stored {
                at,
                end: at.saturating_add(width.into()),
                argument: value.field().and_then(Field::as_part_of_argument),
            });
        }
        self.take(value);
    }

    fn take(&mut self, value: Value) {
        self.taken.extend(value.lowest_on_stack());
    }
}
