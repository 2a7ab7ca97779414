//! What a function has put on its stack.
//!
//! Places are counted from where the stack pointer stood when the function was entered. A load of more than was stored,
//! or of what a later store has overwritten in part, gives nothing. No place is wider than a vector register.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::value::Value;
use crate::limits;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    slots: BTreeMap<i64, (Value, u8)>,
    /// The lowest address on the stack that is in memory, where calls may find it.
    escaped: Option<i64>,
    /// Places that nothing changes but what stores to them.
    kept: BTreeSet<i64>,
}

impl Stack {
    /// Knows of places that nothing changes but what stores to them.
    pub(super) fn keeping(self, kept: BTreeSet<i64>) -> Self {
        Self { kept, ..self }
    }

    pub(super) fn load(&self, at: i64, width: u8) -> Value {
        let slot = self.slots.get(&at).filter(|(_, stored)| *stored >= width);
        slot.map_or(Value::Unknown, |(value, _)| value.truncated(width))
    }

    /// Returns what a load that is not one of a whole slot may give.
    pub(super) fn load_any(&self, at: i64, width: u64, tracked: Option<usize>) -> Value {
        let end = at.saturating_add_unsigned(width);
        let overlapping = self.slots.range(at.saturating_sub(WIDEST)..end);
        let overlapping = overlapping.filter(|(slot, (_, width))| slot.saturating_add((*width).into()) > at);
        Value::mixed(overlapping.map(|(_, (value, _))| *value), tracked)
    }

    /// Returns what a load from somewhere above an address may give.
    pub(super) fn load_reached(&self, lowest: i64, tracked: Option<usize>) -> Value {
        let slots = self.reached_from(lowest.saturating_sub(WIDEST));
        let above = slots.filter(|(at, _, width)| at.saturating_add((*width).into()) > lowest);
        Value::mixed(above.map(|(_, value, _)| value), tracked)
    }

    /// Stores a value; `None` if there is no such place, or there are too many.
    pub(super) fn store(&mut self, at: i64, value: Value, width: u8) -> Option<()> {
        self.clear(at, at.checked_add(width.into())?);
        self.escape(value);
        if value != Value::Unknown {
            (self.slots.len() < limits::STACK_SLOTS).then_some(())?;
            self.slots.insert(at, (value, width));
        }
        Some(())
    }

    /// Stores a value to every word of a range.
    pub(super) fn fill(&mut self, at: i64, width: u8, value: Value) -> Option<()> {
        self.clear(at, at.checked_add(width.into())?);
        for word in (0..width).step_by(8) {
            self.store(at.checked_add(word.into())?, value, (width - word).min(8))?;
        }
        Some(())
    }

    /// Returns what was stored at a place with any width, or what a word there may be a part of.
    pub(super) fn held(&self, at: i64, tracked: Option<usize>) -> Value {
        let stored = self.slots.get(&at).map(|(value, _)| *value);
        stored.unwrap_or_else(|| self.load_any(at, WORD.into(), tracked))
    }

    /// Returns the values of which some part lies in a range.
    pub(super) fn values_in(&self, places: Range<i64>) -> impl Iterator<Item = Value> {
        self.overlapping(places).map(|(_, value)| value)
    }

    /// Forgets what lies in a range, but that it may come from the tracked argument.
    pub(super) fn lose(&mut self, places: Range<i64>, tracked: Option<usize>) {
        let lost: Vec<_> = self.overlapping(places).map(|(at, _)| at).collect();
        for at in lost {
            if let Some((value, _)) = self.slots.get_mut(&at) {
                *value = value.lost(tracked);
            }
        }
        self.slots.retain(|_, (value, _)| *value != Value::Unknown);
    }

    /// Stores a value to every word of a range, as far as there is room.
    pub(super) fn fill_range(&mut self, places: Range<i64>, value: Value) {
        for at in places.step_by(WORD.into()) {
            let _stored = self.store(at, value, WORD);
        }
    }

    fn overlapping(&self, places: Range<i64>) -> impl Iterator<Item = (i64, Value)> {
        let (begin, first) = (places.start, places.start.saturating_sub(WIDEST));
        let slots = self.slots.range(first..places.end.max(first));
        let slots = slots.filter(move |(at, (_, width))| at.saturating_add((*width).into()) > begin);
        slots.map(|(at, (value, _))| (*at, *value))
    }

    fn clear(&mut self, at: i64, end: i64) {
        self.slots
            .retain(|slot, (_, width)| *slot >= end || slot.saturating_add((*width).into()) <= at);
    }

    /// Notes that a value is where calls may find it.
    pub(super) fn escape(&mut self, value: Value) {
        if let Some(at) = value.lowest_on_stack() {
            self.escaped = Some(self.escaped.map_or(at, |lowest| lowest.min(at)));
        }
    }

    /// Forgets what a call may have changed, if it was given an address here or can find one.
    pub(super) fn call(&mut self, reached: bool) {
        if self.escaped.is_some() || reached {
            self.slots.clear();
        }
    }

    /// Forgets what can be reached from addresses that have escaped: all that lies above the lowest of them. An object
    /// is handed out by the address of its first byte.
    pub(super) fn forget_escaped(&mut self, tracked: Option<usize>) {
        if let Some(lowest) = self.escaped {
            self.forget_from(lowest, tracked);
        }
    }

    /// Forgets what lies at an address and above it, but that it may come from the tracked argument.
    pub(super) fn forget_from(&mut self, lowest: i64, tracked: Option<usize>) {
        let first = lowest.saturating_sub(WIDEST);
        for (at, (value, width)) in self.slots.range_mut(first..) {
            if at.saturating_add((*width).into()) > lowest && !self.kept.contains(at) {
                *value = value.lost(tracked);
            }
        }
        self.slots.retain(|_, (value, _)| *value != Value::Unknown);
    }

    /// Returns whether a place lies at an address that has escaped, or above one.
    pub(super) fn is_exposed(&self, at: i64) -> bool {
        !self.kept.contains(&at) && self.escaped.is_some_and(|lowest| at >= lowest)
    }

    /// Returns the places that hold values and that calls may find, from an address upwards.
    pub(super) fn reached_from(&self, lowest: i64) -> impl Iterator<Item = (i64, Value, u8)> {
        self.slots_from(lowest).filter(|(at, ..)| !self.kept.contains(at))
    }

    /// Returns the places that hold values, from an address upwards.
    pub(super) fn slots_from(&self, lowest: i64) -> impl Iterator<Item = (i64, Value, u8)> {
        let slots = self.slots.range(lowest..);
        slots.map(|(at, (value, width))| (*at, *value, *width))
    }

    /// Keeps what holds on this path and another; returns whether that is less.
    pub(super) fn join(&mut self, other: &Self, tracked: Option<usize>) -> bool {
        let before = self.clone();
        let lost = |(at, (value, width)): (&i64, &(Value, u8))| (*at, (value.lost(tracked), *width));
        for (at, (value, width)) in &mut self.slots {
            *value = match other.slots.get(at) {
                Some((theirs, same)) if same == width => value.join(*theirs, tracked),
                Some((theirs, _)) => Value::mixed([*value, *theirs], tracked),
                None => value.lost(tracked),
            };
        }
        let theirs = other.slots.iter().filter(|(at, _)| !before.slots.contains_key(at));
        self.slots.extend(theirs.map(lost));
        self.slots.retain(|_, (value, _)| *value != Value::Unknown);
        self.escaped = match (self.escaped, other.escaped) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        *self != before
    }
}

/// The widest place that a value is stored to, in bytes.
const WIDEST: i64 = 64;
/// How many bytes a word has.
const WORD: u8 = 8;

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

    /// The argument that is tracked, and a value that comes from it.
    const TRACKED: Option<usize> = Some(0);
    const POINTER: Value = Value::Field(crate::code::field::Field::argument(0));

    #[test]
    fn what_both_paths_have_stored_is_kept_and_what_may_be_tracked_is_not_forgotten() {
        let with = |values: &[(i64, Value)]| {
            let mut stack = Stack::default();
            for (at, value) in values {
                stack.store(*at, *value, 8).unwrap();
            }
            stack
        };
        let mut stack = with(&[(-8, VALUE), (-16, VALUE), (-24, POINTER)]);
        assert!(stack.join(&with(&[(-8, VALUE), (-32, POINTER)]), TRACKED));
        assert_eq!(stack.load(-8, 8), VALUE);
        assert_eq!(stack.load(-16, 8), Value::Unknown);
        assert!(stack.load(-24, 8).may_be(TRACKED) && stack.load(-32, 8).may_be(TRACKED));
        let again = stack.clone();
        assert!(!stack.join(&again, TRACKED));
    }

    #[test]
    fn what_escapes_exposes_all_above_it() {
        let mut stack = Stack::default();
        for at in [-8, -16, -24] {
            stack.store(at, VALUE, 8).unwrap();
        }
        stack.store(-32, POINTER, 8).unwrap();
        stack.escape(Value::Stack(-16));
        assert!(stack.is_exposed(-8) && stack.is_exposed(-16) && !stack.is_exposed(-24));
        stack.forget_escaped(TRACKED);
        assert_eq!(
            [-8, -16, -24].map(|at| stack.load(at, 8)),
            [Value::Unknown, Value::Unknown, VALUE]
        );
        stack.escape(Value::Frame(i64::MIN));
        stack.forget_escaped(TRACKED);
        assert_eq!(stack.load(-24, 8), Value::Unknown);
        assert!(stack.load(-32, 8).may_be(TRACKED));
    }

    #[test]
    fn a_load_of_a_part_of_a_tracked_value_may_be_it() {
        let mut stack = Stack::default();
        stack.store(-16, POINTER, 8).unwrap();
        for (at, width) in [(-16, 8), (-20, 8), (-12, 4), (-24, 16)] {
            assert!(stack.load_any(at, width, TRACKED).may_be(TRACKED), "{at} {width}");
        }
        for (at, width) in [(-8, 8), (-24, 8)] {
            assert_eq!(stack.load_any(at, width, TRACKED), Value::Unknown);
        }
    }
}
