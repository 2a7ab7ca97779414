//! What a function has put on its stack.
//!
//! Places are counted from where the stack pointer stood when the function was entered. A load of more than was stored,
//! or of what a later store has overwritten in part, gives nothing.

use std::collections::BTreeMap;

use super::value::Value;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    slots: BTreeMap<i64, (Value, u8)>,
    /// An address on the stack is in memory, where calls may find it.
    escaped: bool,
}

impl Stack {
    pub(super) fn load(&self, at: i64, width: u8) -> Value {
        let slot = self.slots.get(&at).filter(|(_, stored)| *stored >= width);
        slot.map_or(Value::Unknown, |(value, _)| value.truncated(width))
    }

    /// Stores a value; `None` if there is no such place.
    pub(super) fn store(&mut self, at: i64, value: Value, width: u8) -> Option<()> {
        let end = at.checked_add(width.into())?;
        self.slots
            .retain(|slot, (_, width)| *slot >= end || slot.saturating_add((*width).into()) <= at);
        self.escaped |= matches!(value, Value::Stack(_));
        self.slots.insert(at, (value, width));
        Some(())
    }

    /// Forgets what a call may have changed, if it was given an address here or can find one.
    pub(super) fn call(&mut self, reached: bool) {
        if self.escaped || reached {
            self.slots.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: Value = Value::Constant(0x1122_3344_5566_7788);

    #[test]
    fn what_was_stored_comes_back_as_far_as_it_was_stored() {
        let mut stack = Stack::default();
        stack.store(-16, VALUE, 8).unwrap();
        assert_eq!(stack.load(-16, 8), VALUE);
        assert_eq!(stack.load(-16, 4), Value::Constant(0x5566_7788));
        assert_eq!(stack.load(-12, 4), Value::Unknown);
        stack.store(-8, VALUE.truncated(4), 4).unwrap();
        assert_eq!(stack.load(-8, 8), Value::Unknown);
    }

    #[test]
    fn a_store_that_overlaps_spoils_what_was_there() {
        for at in [-20, -15, -9] {
            let mut stack = Stack::default();
            stack.store(-16, VALUE, 8).unwrap();
            stack.store(at, Value::Constant(0), 8).unwrap();
            assert_eq!(stack.load(-16, 8), Value::Unknown, "{at}");
        }
        let mut stack = Stack::default();
        stack.store(-16, VALUE, 8).unwrap();
        stack.store(-24, Value::Constant(0), 8).unwrap();
        stack.store(-8, Value::Constant(0), 8).unwrap();
        assert_eq!(stack.load(-16, 8), VALUE);
        assert_eq!(stack.store(i64::MAX, VALUE, 8), None);
    }

    #[test]
    fn a_call_changes_only_a_stack_that_it_can_reach() {
        let mut stack = Stack::default();
        stack.store(-16, VALUE, 8).unwrap();
        stack.call(false);
        assert_eq!(stack.load(-16, 8), VALUE);
        stack.store(-8, Value::Stack(-16), 8).unwrap();
        stack.call(false);
        assert_eq!(stack.load(-16, 8), Value::Unknown);
    }
}
