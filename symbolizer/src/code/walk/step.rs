//! What comes after an operation.
//!
//! In: an operation that `state` has carried out. Out: where the walk goes on. Refused: nothing; what cannot be followed
//! has no step.

use super::operation::{Condition, Operand, Register, Target};
use super::value::Value;

/// A condition, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) condition: Condition,
    pub(super) compared: (Value, Value),
}

/// What comes after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Next,
    Jump(Target),
    Branch {
        when: When,
        target: Target,
    },
    SetIf {
        when: When,
        to: Register,
        from: Operand,
        width: u8,
    },
    Return,
    Trap,
}
