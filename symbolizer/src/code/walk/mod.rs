//! What a small function returns, on every way through it.
//!
//! In: the code of a function, and what is known of its arguments. Out: an [`Outcome`] for each way it can end: which
//! argument or field it returns, and which it stores behind its second and third argument. A way is followed wherever
//! it is not excluded, so a result that all outcomes share is the function's. Refused: functions that are long, go many
//! ways, jump by a table, or change anything but what their arguments point to.

mod aarch64;
mod operation;
mod stack;
mod state;
mod step;
mod value;
mod x86_64;

use crate::elf::image::Machine;
use crate::limits;

use operation::{Convention, Lifted, Operation, Target};
use state::State;
use step::Step;

pub(crate) use value::{Field, Value};

/// One way a function ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What it returns.
    pub(crate) returned: Value,
    /// What it stores where its second and third argument point.
    pub(crate) stored: [Value; 2],
    /// The fields that are zero if it ends so.
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

/// Follows every way through a function; `None` if it cannot be done.
pub(crate) fn outcomes(machine: Machine, code: &[u8], call: Call) -> Option<Vec<Outcome>> {
    if code.len() > limits::ACCESSOR {
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
    let (convention, lift): (Convention, Lift) = match machine {
        Machine::X86_64 => (x86_64::CONVENTION, x86_64::lift),
        Machine::Aarch64 => (aarch64::CONVENTION, aarch64::lift),
    };
    let state = State::new(convention, arguments, call != Call::Object);
    Walk {
        code,
        lift,
        pending: vec![state],
        outcomes: Vec::new(),
        steps: 0,
    }
    .finish()
}

/// Reads the instruction at a place in the code.
type Lift = fn(&[u8], usize) -> Option<Lifted>;

struct Walk<'code> {
    code: &'code [u8],
    lift: Lift,
    pending: Vec<State>,
    outcomes: Vec<Outcome>,
    steps: usize,
}

impl Walk<'_> {
    fn finish(mut self) -> Option<Vec<Outcome>> {
        while let Some(state) = self.pending.pop() {
            self.instruction(state)?;
        }
        Some(self.outcomes)
    }

    fn instruction(&mut self, mut state: State) -> Option<()> {
        self.steps = self
            .steps
            .checked_add(1)
            .filter(|steps| *steps <= limits::ACCESSOR_STEPS)?;
        let Lifted { operations, length } = (self.lift)(self.code, state.at)?;
        let next = state.at.checked_add(length);
        // What nothing follows never returns.
        let ends = operations.last() == Some(&Operation::Call) && next == Some(self.code.len());
        for operation in operations {
            let step = state.step(operation)?;
            if step != Step::Next {
                self.follow(state, step, next);
                return Some(());
            }
        }
        if !ends {
            self.go(state, next);
        }
        Some(())
    }

    fn follow(&mut self, state: State, step: Step, next: Target) {
        match step {
            Step::Next => self.go(state, next),
            Step::Jump(target) => self.go(state, target),
            Step::Branch { when, target } => self.branch(state.split(when), target, next),
            Step::SetIf { when, to, from, width } => {
                let (set, kept) = state.split(when);
                let set = set.map(|state| state.set_if(true, to, from, width));
                let kept = kept.map(|state| state.set_if(false, to, from, width));
                self.branch((set, kept), next, next);
            }
            Step::Return => self.end(&state, state.results()),
            Step::Trap => {}
        }
    }

    fn branch(&mut self, (taken, passed): (Option<State>, Option<State>), target: Target, next: Target) {
        if let Some(state) = taken {
            self.go(state, target);
        }
        if let Some(state) = passed {
            self.go(state, next);
        }
    }

    /// Goes on at a place in the function, or leaves it: another one then decides what is returned.
    fn go(&mut self, mut state: State, target: Target) {
        if let Some(at) = target.filter(|at| *at < self.code.len()) {
            state.at = at;
            self.pending.push(state);
        } else {
            self.end(&state, (Value::Unknown, [Value::Unknown; 2]));
        }
    }

    fn end(&mut self, state: &State, (returned, stored): (Value, [Value; 2])) {
        let outcome = Outcome {
            returned,
            stored,
            zeros: state.zeros(),
        };
        self.outcomes.push(outcome);
    }
}

#[cfg(test)]
mod tests;
