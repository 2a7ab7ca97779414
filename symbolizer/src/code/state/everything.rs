//! What operations do where all that may happen has to be known, not only what does.
//!
//! Addresses on the stack and those of the tracked argument are followed through what is not understood: there they
//! become [`Value::Frame`] and [`Value::Possible`].

use super::{Purpose, State};
use crate::code::convention::Register;
use crate::code::field::Field;
use crate::code::operation::{Condition, Inputs, Memory, Operation, Source};
use crate::code::value::Value;
use crate::operand::Place;

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
        let flags = [&mut self.flags.0, &mut self.flags.1];
        let ours = self.registers.iter_mut().chain(&mut self.upper).chain(flags);
        let ours = ours.chain(&mut self.stored);
        let flags = [&other.flags.0, &other.flags.1];
        let theirs = other.registers.iter().chain(&other.upper).chain(flags);
        let theirs = theirs.chain(&other.stored);
        for (ours, theirs) in ours.zip(theirs) {
            let joined = ours.join(*theirs, tracked);
            changed |= joined != *ours;
            *ours = joined;
        }
        let before = self.equal.len();
        self.equal
            .retain(|argument, known| other.equal.get(argument) == Some(known));
        changed || self.equal.len() != before
    }

    /// Notes that both are equal, if one is an argument.
    pub(super) fn with_equal(mut self, compared: (Value, Value)) -> Self {
        if let (Value::Field(field), Value::Constant(number)) | (Value::Constant(number), Value::Field(field)) =
            compared
            && let Some((argument, width)) = field.as_part_of_argument()
            && self.is_for_everything()
        {
            self.equal.insert(argument, (width, number));
        }
        self
    }

    /// Returns what an argument that the function was entered with is known to be equal to: so many of its lower bytes,
    /// and the number.
    pub(in crate::code) fn equal_to(&self, argument: usize) -> Option<(u8, u64)> {
        self.equal.get(&argument).copied()
    }

    /// Notes a store to a field of a whole word.
    pub(super) fn note_store(&mut self, to: Memory, value: Value, width: u8) {
        if let Some(field) = self.address(to).target(width).filter(|_| width == WORD) {
            self.stored = [Value::Field(field), value];
        }
    }

    /// Returns whether it is known where the stack pointer stands.
    pub(in crate::code) fn knows_stack(&self) -> bool {
        self.stack_pointer().is_some()
    }

    /// Returns where the stack pointer stands.
    pub(in crate::code) fn stack_pointer(&self) -> Option<i64> {
        self.register(self.convention.stack).stack_address()
    }

    /// The same state, in which something is known of the memory that the argument numbered `RECORD` points to.
    pub(in crate::code) fn with_record(mut self, record: &[(i64, Value, u8)]) -> Self {
        self.record = record.to_vec();
        self
    }

    /// Returns what lies in the memory that the argument numbered `RECORD` points to.
    pub(super) fn load_record(&self, at: i64, width: u8) -> Value {
        let whole = self
            .record
            .iter()
            .find(|(place, _, stored)| *place == at && *stored >= width);
        if let Some((_, value, _)) = whole {
            return value.truncated(width);
        }
        let end = at.saturating_add(width.into());
        let overlapping = self
            .record
            .iter()
            .filter(|(place, _, stored)| *place < end && place.saturating_add((*stored).into()) > at);
        Value::mixed(overlapping.map(|(_, value, _)| *value), self.tracked())
    }

    /// Returns whether an address on the stack lies where a called function could find it by an earlier one's argument.
    pub(in crate::code) fn is_exposed(&self, address: Value) -> bool {
        matches!(address, Value::Stack(at) if self.stack.is_exposed(at))
    }

    /// Returns where an argument is that the function was entered with, or so many of its lower bytes.
    pub(in crate::code) fn place_of(&self, argument: usize, width: u8) -> Option<Place> {
        let is_it = |value: &Value| {
            let part = value.field().and_then(Field::as_part_of_argument);
            part.is_some_and(|(number, known)| number == argument && known >= width)
        };
        let register = (0..self.convention.general).find(|register| is_it(&self.register(*register)));
        if let Some(register) = register {
            return Some(self.convention.place(register));
        }
        let pointer = self.stack_pointer()?;
        let slot = self.stack.slots_from(pointer).find(|(_, value, _)| is_it(value));
        let distance = slot.and_then(|(at, ..)| at.checked_sub(pointer))?;
        u16::try_from(distance).ok().map(Place::Stack)
    }

    /// Returns where an address is that lies in what an argument points to, whose beginning is that argument.
    pub(in crate::code) fn place_before(&self, argument: usize) -> Option<Place> {
        let found = (0..self.convention.general).find_map(|register| {
            let distance = self.register(register).distance_from(argument)?;
            Some((register, u16::try_from(distance).ok()?))
        });
        let (register, distance) = found?;
        match self.convention.place(register) {
            Place::Register(number) => Some(Place::Before(number, distance)),
            Place::Before(..) | Place::Result | Place::Stack(_) | Place::Connection | Place::Frame(_) => None,
        }
    }

    /// Returns what was compared last.
    pub(in crate::code) const fn compared(&self) -> (Value, Value) {
        self.flags
    }

    /// Returns what is known of the stack: places, values, and how many bytes each has.
    pub(in crate::code) fn slots(&self) -> impl Iterator<Item = (i64, Value, u8)> {
        self.stack.slots_from(i64::MIN)
    }

    /// Returns what lies at an address on the stack.
    pub(in crate::code) fn on_stack(&self, at: i64, width: u8) -> Value {
        self.stack.load(at, width)
    }

    /// Returns what the function returns if it does so here.
    pub(in crate::code) fn returned(&self) -> Value {
        self.register(self.convention.result)
    }

    /// Returns what a source of an operation has.
    pub(in crate::code) fn value(&self, from: Source, width: u8) -> Value {
        self.read(from, width)
    }

    /// Returns the field of so many bytes that lies in memory, if that is behind an argument or another field.
    pub(in crate::code) fn field_at(&self, memory: Memory, width: u8) -> Option<Field> {
        self.base(memory).field()?.load(memory.offset, width)
    }

    /// Returns an address, as far as it is known.
    pub(in crate::code) fn address(&self, memory: Memory) -> Value {
        let base = self.base(memory);
        if !self.is_for_everything() {
            let moved = base.plus(memory.offset);
            // Addresses in structures are followed only where all that happens has to be known.
            return if matches!(moved, Value::Derived(_) | Value::Within(..)) {
                Value::Unknown
            } else {
                moved
            };
        }
        if let Value::Constant(number) = base {
            return Value::Constant(number.wrapping_add_signed(memory.offset));
        }
        if memory.base.is_some() {
            return base.plus(memory.offset);
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
            Some(part) if memory.scaled && memory.several.is_power_of_two() => Value::mixed([part], self.tracked()),
            Some(sum) => sum.plus(memory.offset),
            None => Value::Constant(memory.offset.cast_unsigned()),
        }
    }

    /// Returns what the inputs of an instruction that is not understood come to.
    pub(in crate::code) fn mix(&self, from: Inputs) -> Value {
        let registers =
            (0..Register::BITS * 4).filter(|number| from.registers.checked_shr(*number).unwrap_or(0) & 1 == 1);
        let registers = registers.filter_map(|number| Register::try_from(number).ok());
        let loaded = from.memory.map(|(memory, width)| {
            self.address(memory).stack_address().map_or_else(
                || self.load_anywhere(memory),
                |at| self.stack.load_any(at, width.into(), self.tracked()),
            )
        });
        let halves = registers.flat_map(|register| [self.register(register), self.upper(register)]);
        let values = halves.chain(loaded);
        Value::mixed(values, self.tracked())
    }

    /// Returns what lies at a place on the stack: what was stored there, or what that may be a part of.
    pub(super) fn load_stack(&self, at: i64, width: u8) -> Value {
        let whole = self.stack.load(at, width);
        if whole == Value::Unknown && self.is_for_everything() {
            self.stack.load_any(at, width.into(), self.tracked())
        } else {
            whole
        }
    }

    /// Returns what a load gives that is no field's and of no certain place on the stack.
    pub(super) fn load_anywhere(&self, from: Memory) -> Value {
        if !self.is_for_everything() {
            return Value::Unknown;
        }
        let lowest = self.address(from).lowest_on_stack();
        let from_stack = lowest.map(|at| self.stack.load_reached(at, self.tracked()));
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
        if let (Some(at), Some(width)) = (self.address(to).stack_address(), width) {
            return self.stack.fill(at, width, value);
        }
        self.note_store(to, value, width.unwrap_or(WORD));
        self.store_anywhere(to, value);
        Some(())
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

    /// Returns the upper half of a register of sixteen bytes.
    pub(super) fn upper(&self, register: Register) -> Value {
        let held = self.upper.get(usize::from(register));
        held.copied().unwrap_or(Value::Unknown)
    }

    pub(super) fn set_upper(&mut self, to: Register, from: Source) {
        let value = self.read(from, 8);
        if let Some(upper) = self.upper.get_mut(usize::from(to)) {
            *upper = value;
        }
    }

    /// Returns whether a condition holds, as a number, if that is decided.
    pub(super) fn flag(&self, when: Condition) -> Value {
        let (Value::Constant(left), Value::Constant(right)) = self.flags else {
            return Value::Unknown;
        };
        match when {
            Condition::Equal => Value::Constant((left == right).into()),
            Condition::NotEqual => Value::Constant((left != right).into()),
            Condition::Signed(_) | Condition::Other => Value::Unknown,
        }
    }

    pub(super) fn set_flag(&mut self, when: Condition, to: Register) {
        let value = match (self.flag(when), self.register(to)) {
            (Value::Constant(flag), Value::Constant(kept)) if self.is_for_everything() => {
                Value::Constant(kept & !0xff | flag)
            }
            _ => Value::Unknown,
        };
        self.set(to, value);
    }

    pub(super) fn add(&mut self, to: Register, by: Source, width: u8) {
        let sum = self.sum(Source::Register(to), by, width);
        self.set(to, sum);
    }

    /// Returns the sum or difference of two values.
    pub(in crate::code) fn sum(&self, one: Source, by: Source, width: u8) -> Value {
        if !self.is_for_everything() {
            return Value::Unknown;
        }
        let (sum, amount) = (self.read(one, width), self.read(by, width));
        sum.moved(amount, self.tracked()).truncated(width)
    }

    /// Returns where an operation writes to memory, but for pushes, and what.
    pub(in crate::code) fn written(&self, operation: Operation) -> Option<(Memory, Value)> {
        match operation {
            Operation::Store { to, from, width } => Some((to, self.read(from, width))),
            Operation::Overwrite { to, from, .. } => Some((to, self.mix(from))),
            Operation::AddTo { to, by, width } => Some((to, self.sum(Source::Memory(to), by, width))),
            Operation::StoreFlag { when, to } => Some((to, self.flag(when))),
            Operation::StoreUpper { to, from } => Some((to, self.upper(from))),
            Operation::Set { .. }
            | Operation::SetSigned { .. }
            | Operation::SetIf { .. }
            | Operation::SetUpper { .. }
            | Operation::SetPerhaps { .. }
            | Operation::SetFlag { .. }
            | Operation::Add { .. }
            | Operation::Compute { .. }
            | Operation::Hide(_)
            | Operation::Push(_)
            | Operation::Pop(_)
            | Operation::Compare { .. }
            | Operation::Test { .. }
            | Operation::Branch { .. }
            | Operation::BranchOn { .. }
            | Operation::Jump(_)
            | Operation::Call(_)
            | Operation::JumpThrough(_)
            | Operation::CallThrough(_)
            | Operation::Return
            | Operation::Trap
            | Operation::Odd
            | Operation::Opaque
            | Operation::Spoil(_) => None,
        }
    }

    pub(super) fn compute(&mut self, to: u32, from: Inputs) {
        let value = if self.is_for_everything() {
            self.mix(from)
        } else {
            Value::Unknown
        };
        self.spoil_with(to, value);
    }

    /// Puts what comes of the inputs where it is not followed; `None` if an address would get lost there that must not.
    pub(super) fn hide(&self, from: Inputs) -> Option<()> {
        let tracked = self.tracked().map(Some);
        let is_lost = tracked.is_some_and(|tracked| {
            let value = self.mix(from);
            value.may_be(tracked) || value.lowest_on_stack().is_some()
        });
        (!is_lost).then_some(())
    }
}
