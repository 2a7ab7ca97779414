//! Registers of which only the lowest byte was written: what that is, within a block of instructions.
//!
//! The rest of such a register is what it was before, so the interpreter knows nothing of it.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "operations and values that are not asked about are passed over"
)]

use std::collections::BTreeMap;

use super::convention::Register;
use super::operation::{Inputs, Operation, Source};
use super::state::State;
use super::value::Value;

#[derive(Debug, Default)]
pub(super) struct Lowest(BTreeMap<Register, Value>);

impl Lowest {
    /// Forgets all, where paths may meet.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Notes what an operation does, with the state before it.
    pub(super) fn note(&mut self, operation: Operation, state: &State) {
        let written = operation.writes();
        self.0.retain(|register, _| written >> register & 1 == 0);
        match operation {
            Operation::Call(_) | Operation::CallThrough(_) => self.clear(),
            // Whatever it makes of one byte in memory alone, it is a move, perhaps with sign.
            Operation::Compute {
                to,
                from:
                    Inputs {
                        registers: 0,
                        memory: Some((memory, 1)),
                    },
            } if to.is_power_of_two() => {
                if let Ok(register) = Register::try_from(to.trailing_zeros()) {
                    self.0.insert(register, state.value(Source::Memory(memory), 1));
                }
            }
            _ => {}
        }
    }

    /// Returns the lowest byte of a register.
    pub(super) fn of(&self, from: Source) -> Option<Value> {
        match from {
            Source::Register(register) => self.0.get(&register).copied(),
            Source::Constant(_) | Source::Memory(_) | Source::Address(_) => None,
        }
    }
}
