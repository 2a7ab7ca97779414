//! What a small function returns, on every path through it.
//!
//! A path is followed wherever it is not excluded, so a result that all outcomes share is the function's. Functions
//! that are long, fork often, jump by a table, or change anything but what their arguments point to have no outcomes.

use super::bytes::Code;
use super::convention::Convention;
use super::field::Field;
use super::flow::{Exit, Merge, Visitor, follow};
use super::operation::Destination;
use super::state::{Purpose, State};
use super::value::Value;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;

/// One path through a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What it returns.
    pub(crate) returned: Value,
    /// What it stores where its second and third argument point.
    pub(crate) stored: [Value; 2],
    /// The fields that are zero on it.
    pub(crate) zeros: Vec<Field>,
}

/// What the caller hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// An object, and places to store to; none is null.
    Object,
    /// The same of an `SSL`. Since OpenSSL 3.2 its first word says which kind it is, and zero is a TLS connection.
    Ssl,
    /// The same with the number zero as second argument.
    SslAndZero,
}

/// Follows every path through a function; `None` if it cannot be done.
pub(crate) fn outcomes(machine: Machine, code: &[u8], call: Call) -> Option<Vec<Outcome>> {
    if code.is_empty() || code.len() > limits::ACCESSOR {
        return None;
    }
    let second = match call {
        Call::Object | Call::Ssl => Value::Field(Field::argument(1)),
        Call::SslAndZero => Value::Constant(0),
    };
    let arguments = [
        Value::Field(Field::argument(0)),
        second,
        Value::Field(Field::argument(2)),
    ];
    let address = Vaddr(0);
    let code = Code {
        machine,
        bytes: code,
        address,
    };
    let typed = call != Call::Object;
    let entry = State::new(address, Convention::of(machine), &arguments, Purpose::Fields { typed });
    let mut outcomes = Outcomes(Vec::new());
    follow(code, entry, Merge::Never, limits::ACCESSOR_STEPS, &mut outcomes)?;
    Some(outcomes.0)
}

struct Outcomes(Vec<Outcome>);

impl Visitor for Outcomes {
    fn called(&mut self, _to: Destination, _state: &State) {}

    /// Another function decides what is returned.
    fn left(&mut self, _to: Exit, state: &State) {
        self.end(state, (Value::Unknown, [Value::Unknown; 2]));
    }

    fn returned(&mut self, state: &State) {
        self.end(state, state.results());
    }
}

impl Outcomes {
    fn end(&mut self, state: &State, (returned, stored): (Value, [Value; 2])) {
        let outcome = Outcome {
            returned,
            stored,
            zeros: state.zeros(),
        };
        self.0.push(outcome);
    }
}

#[cfg(test)]
mod tests;
