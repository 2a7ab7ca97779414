//! What operations do where all that may happen has to be known, not only what does.
//!
//! Addresses on the stack and those of the tracked argument are followed through what is not understood: there they
//! become [`Value::Frame`] and [`Value::Possible`].

use super::{Purpose, State};
use crate::code::convention::Register;
use crate::code::operation::{Inputs, Memory, Source};
use crate::code::value::Value;

/// How many bytes a pointer has.
const WORD: u8 = 8;

impl State {
    /// Returns the argument whose derivatives must not get lost.
    pub(in crate::code) const fn tracked(&self) -> Option<usize> {
        match self.purpose {
            Purpose::Everything { tracked } => tracked,
            Purpose::Fields { .. } | Purpose::Arguments => None,
        }
    }

    /// Keeps what holds on this path and another to the same place; returns whether that is less.
    pub(in crate::code) fn join(&mut self, other: &Self) -> bool {
        let tracked = self.tracked();
        let mut changed = self.stack.join(&other.stack, tracked);
        let ours = self.registers.iter_mut().chain([&mut self.flags.0, &mut self.flags.1]);
        let ours = ours.chain(&mut self.stored);
        let theirs = other.registers.iter().chain([&other.flags.0, &other.flags.1]);
        let theirs = theirs.chain(&other.stored);
        for (ours, theirs) in ours.zip(theirs) {
            let joined = ours.join(*theirs, tracked);
            changed |= joined != *ours;
            *ours = joined;
        }
        changed
    }

    /// Notes a store to a field of a whole word.
    pub(super) fn note_store(&mut self, to: Memory, value: Value, width: u8) {
        if let Some(field) = self.address(to).target(width).filter(|_| width == WORD) {
            self.stored = [Value::Field(field), value];
        }
    }

    /// Returns whether it is known where the stack pointer stands.
    pub(in crate::code) fn knows_stack(&self) -> bool {
        matches!(self.register(self.convention.stack), Value::Stack(_))
    }

    /// Returns what a source of an operation has.
    pub(in crate::code) fn value(&self, from: Source, width: u8) -> Value {
        self.read(from, width)
    }

    /// Returns an address, as far as it is known.
    pub(in crate::code) fn address(&self, memory: Memory) -> Value {
        let moved = self.base(memory).plus(memory.offset);
        match moved {
            Value::Derived(_) if !self.is_for_everything() => return Value::Unknown,
            _ if memory.base.is_some() || !self.is_for_everything() => return moved,
            _ => {}
        }
        let mut parts = (0..).take_while(|number| memory.several.checked_shr((*number).into()).unwrap_or(0) != 0);
        let parts = parts.by_ref().filter(|number| memory.several >> number & 1 == 1);
        let parts = parts.map(|register| self.register(register));
        let sum = parts.reduce(|sum, part| match (sum, part) {
            (address, Value::Constant(number)) | (Value::Constant(number), address) if !memory.scaled => {
                address.plus(number.cast_signed())
            }
            _ => sum.moved(part, self.tracked()),
        });
        match sum {
            Some(part) if memory.scaled && memory.several.count_ones() == 1 => Value::mixed([part], self.tracked()),
            Some(sum) => sum.plus(memory.offset),
            None => Value::Constant(memory.offset.cast_unsigned()),
        }
    }

    /// Returns what the inputs of an instruction that is not understood come to.
    pub(in crate::code) fn mix(&self, from: Inputs) -> Value {
        let registers =
            (0..Register::BITS * 4).filter(|number| from.registers.checked_shr(*number).unwrap_or(0) & 1 == 1);
        let registers = registers.filter_map(|number| Register::try_from(number).ok());
        let loaded = from.memory.map(|(memory, width)| match self.base(memory) {
            Value::Stack(at) => {
                let at = at.saturating_add(memory.offset);
                self.stack.load_any(at, width.into(), self.tracked())
            }
            _ => self.load_anywhere(memory),
        });
        let values = registers.map(|register| self.register(register)).chain(loaded);
        Value::mixed(values, self.tracked())
    }

    /// Returns what lies at a place on the stack: what was stored there, or what that may be a part of.
    pub(super) fn load_stack(&self, at: i64, width: u8) -> Value {
        match self.stack.load(at, width) {
            Value::Unknown if self.is_for_everything() => self.stack.load_any(at, width.into(), self.tracked()),
            value => value,
        }
    }

    /// Returns what a load gives that is no field's and of no certain place on the stack.
    pub(super) fn load_anywhere(&self, from: Memory) -> Value {
        if !self.is_for_everything() {
            return Value::Unknown;
        }
        let lowest = self.address(from).lowest_on_stack();
        let from_stack = lowest.map(|at| self.stack.load_any(at, u64::MAX, self.tracked()));
        from_stack.unwrap_or(Value::Unknown)
    }

    /// Stores a value to a place that is not known.
    pub(super) fn store_anywhere(&mut self, to: Memory, value: Value) {
        let tracked = self.tracked();
        match self.address(to).lowest_on_stack() {
            Some(lowest) => self.stack.forget_from(lowest, tracked),
            None => self.stack.forget_escaped(tracked),
        }
        self.stack.escape(value);
    }

    pub(super) fn overwrite(&mut self, to: Memory, width: Option<u8>, from: Inputs) -> Option<()> {
        if !self.is_for_everything() {
            return Some(());
        }
        let value = self.mix(from);
        match (self.base(to), width) {
            (Value::Stack(at), Some(width)) => self.stack.fill(at.checked_add(to.offset)?, width, value),
            _ => {
                self.note_store(to, value, width.unwrap_or(WORD));
                self.store_anywhere(to, value);
                Some(())
            }
        }
    }

    pub(super) fn set_perhaps(&mut self, to: Register, from: Source, width: u8) {
        let value = if self.is_for_everything() {
            let (kept, set) = (self.register(to).truncated(width), self.read(from, width));
            kept.join(set, self.tracked())
        } else {
            Value::Unknown
        };
        self.set(to, value);
    }

    pub(super) fn add(&mut self, to: Register, with: Source, width: u8) {
        let value = if self.is_for_everything() {
            let (sum, amount) = (self.register(to), self.read(with, width));
            sum.moved(amount, self.tracked()).truncated(width)
        } else {
            Value::Unknown
        };
        self.set(to, value);
    }

    pub(super) fn compute(&mut self, to: u32, from: Inputs) {
        let value = if self.is_for_everything() {
            self.mix(from)
        } else {
            Value::Unknown
        };
        self.spoil_with(to, value);
    }

    /// Forgets what a called function may have changed, and only that.
    pub(super) fn call_with_stack(&mut self) {
        let tracked = self.tracked();
        let arguments = self
            .convention
            .arguments
            .iter()
            .map(|register| self.register(*register));
        let arguments: Vec<_> = arguments.collect();
        for argument in &arguments {
            self.stack.escape(*argument);
            // It may be an address on the stack as well.
            if matches!(argument, Value::Possible(_)) {
                self.stack.escape(Value::Frame(i64::MIN));
            }
        }
        self.stack.forget_escaped(tracked);
        let returned = arguments.iter().find(|value| value.may_be(tracked));
        let returned = returned.map_or(Value::Unknown, |value| value.lost(tracked));
        self.stored = [Value::Unknown; 2];
        self.spoil_with(self.convention.lost_in_calls, Value::Unknown);
        self.set(self.convention.result, returned);
    }
}
