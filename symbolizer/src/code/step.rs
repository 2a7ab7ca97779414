//! What comes after an operation.

use super::convention::Register;
use super::operation::{Condition, Destination, Source};
use super::value::Value;
use crate::elf::address::Vaddr;

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
    Jump(Destination),
    /// The state is that before the call.
    Call(Destination),
    Branch {
        when: When,
        target: Vaddr,
    },
    SetIf {
        when: When,
        to: Register,
        from: Source,
        width: u8,
    },
    Return,
    Trap,
}
