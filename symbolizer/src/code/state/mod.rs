//! Executes operations on abstract values, along one path through a function or along all that meet.

mod calls;
mod everything;

use std::collections::{BTreeMap, BTreeSet};

use crate::code::convention::{Convention, Register};
use crate::code::facts::{Equality, Facts};
use crate::code::field::Field;
use crate::code::operation::{Condition, Destination, Memory, Operation, Source};
use crate::code::stack::Stack;
use crate::code::step::{Step, When};
use crate::code::value::Value;
use crate::elf::address::Vaddr;

/// How many registers a machine has at most, as they are numbered.
const REGISTERS: usize = 32;

/// Values by their distances from an address, each with its width in bytes.
pub(in crate::code) type Record = Vec<(i64, Value, u8)>;

/// The number of the argument that points to memory of which something is known; no register has it.
pub(in crate::code) const RECORD: usize = usize::MAX;

/// Says what a function is followed for, which decides what is assumed of it and what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// For the fields that it returns. No argument is null, what is on the stack is known, and a function that changes
    /// anything else, or loses its stack pointer, is no accessor.
    Fields {
        /// Whether the first word of the object is zero where the function asks: of several kinds of object, the first.
        typed: bool,
    },
    /// For what becomes of its arguments. It may do anything, take every branch, and change all memory.
    Arguments,
    /// For what holds at each of its instructions, on all paths to it. It may do anything, but calls change only those
    /// places on its stack that they can find.
    Everything {
        /// The argument whose derivatives must not get lost.
        tracked: Option<usize>,
    },
}

/// Holds what is known at one place of one path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) at: Vaddr,
    convention: Convention,
    purpose: Purpose,
    registers: [Value; REGISTERS],
    /// The upper halves of the registers that have sixteen bytes.
    upper: [Value; REGISTERS],
    stack: Stack,
    /// What was compared last.
    flags: (Value, Value),
    facts: Facts,
    /// What an accessor has stored behind its second and third argument; of any other function, the field of a whole word
    /// that was stored to last since the last call, and what.
    stored: [Value; 2],
    /// What is known of the memory that the argument [`RECORD`] points to.
    record: Record,
    /// What arguments were compared with and are equal to: so many of their lower bytes, and the number.
    equal: BTreeMap<usize, (u8, u64)>,
}

impl State {
    /// The state in which a function is entered, with these arguments.
    pub(super) fn new(at: Vaddr, convention: Convention, arguments: &[Value], purpose: Purpose) -> Self {
        let typed = purpose == (Purpose::Fields { typed: true });
        let mut state = Self {
            at,
            convention,
            purpose,
            registers: [Value::Unknown; REGISTERS],
            upper: [Value::Unknown; REGISTERS],
            stack: Stack::default(),
            flags: (Value::Unknown, Value::Unknown),
            facts: Facts::new(typed),
            stored: [Value::Unknown; 2],
            record: Record::new(),
            equal: BTreeMap::new(),
        };
        for (index, value) in (0..).zip(arguments) {
            state.receive(index, *value);
        }
        state.set(convention.stack, Value::Stack(0));
        state
    }

    /// The state in which a function is entered for what becomes of its arguments.
    pub(super) fn at_entry(at: Vaddr, convention: Convention) -> Self {
        let every: Vec<_> = (0..convention.arguments.len())
            .map(|index| Value::Field(Field::argument(index)))
            .collect();
        Self::new(at, convention, &every, Purpose::Arguments)
    }

    /// The same state, in which nothing changes these places on the stack but what stores to them.
    pub(super) fn keeping(self, places: BTreeSet<i64>) -> Self {
        Self {
            stack: self.stack.keeping(places),
            ..self
        }
    }

    /// Executes one operation; `None` if the function cannot be followed any more.
    pub(super) fn step(&mut self, operation: Operation) -> Option<Step> {
        match operation {
            Operation::Set { to, from, width } => self.set(to, self.read(from, width)),
            Operation::SetSigned { to, from, width } => self.set(to, self.read(from, width).sign_extended(width)),
            Operation::Store { to, from, width } => self.store(to, self.read(from, width), width)?,
            // A jump to anywhere is one by a table.
            Operation::Overwrite { .. }
            | Operation::StoreFlag { .. }
            | Operation::StoreUpper { .. }
            | Operation::AddTo { .. }
            | Operation::Odd
            | Operation::Jump(Destination::Unknown)
            | Operation::JumpThrough(_)
                if self.is_for_fields() =>
            {
                return None;
            }
            Operation::Overwrite { to, width, from } => self.overwrite(to, width, from)?,
            Operation::SetUpper { to, from } => self.set_upper(to, from),
            Operation::StoreUpper { to, from } => self.store(to, self.upper(from), 8)?,
            Operation::SetFlag { when, to } => self.set_flag(when, to),
            Operation::StoreFlag { when, to } => self.store(to, self.flag(when), 1)?,
            Operation::SetPerhaps { to, from, width } => self.set_perhaps(to, from, width),
            Operation::Add { to, by, width } => self.add(to, by, width),
            Operation::AddTo { to, by, width } => self.store(to, self.sum(Source::Memory(to), by, width), width)?,
            Operation::Compute { to, from } => self.compute(to, from),
            Operation::Hide(from) => self.hide(from)?,
            Operation::Push(from) => self.push(from)?,
            Operation::Pop(to) => self.pop(to)?,
            Operation::Compare { left, right, width } => {
                self.set_flags((self.read(left, width), self.read(right, width)));
            }
            Operation::Test { left, right, width } => self.test(left, right, width),
            Operation::Spoil(registers) => self.spoil(registers),
            Operation::SetIf { to, from, width, .. } if !self.is_for_fields() => self.set_perhaps(to, from, width),
            Operation::SetIf { when, to, from, width } => {
                let when = self.by_flags(when);
                return Some(Step::SetIf { when, to, from, width });
            }
            Operation::Branch { when, target } => {
                let when = self.by_flags(when);
                return Some(Step::Branch { when, target });
            }
            Operation::BranchOn {
                compared: (left, right),
                width,
                when: condition,
                target,
            } => {
                let compared = (self.read(left, width), self.read(right, width));
                let when = When { condition, compared };
                return Some(Step::Branch { when, target });
            }
            Operation::Jump(target) => return Some(Step::Jump(target)),
            Operation::JumpThrough(_) => return Some(Step::Jump(Destination::Unknown)),
            Operation::Call(target) => return Some(Step::Call(target)),
            Operation::CallThrough(_) => return Some(Step::Call(Destination::Unknown)),
            // A return takes its address from where the call left it, or control is lost.
            Operation::Return => {
                let returns = !self.is_for_fields() || self.is_at_return_address();
                return returns.then_some(Step::Return);
            }
            Operation::Trap | Operation::Odd => return Some(Step::Trap),
            Operation::Opaque => return None,
        }
        Some(Step::Next)
    }

    /// The states in which a condition holds and does not, where that can be.
    pub(super) fn split(self, when: When) -> (Option<Self>, Option<Self>) {
        let When { condition, compared } = when;
        let equality = match (self.purpose, compared) {
            (Purpose::Fields { .. }, _) => self.facts.equality(compared),
            (Purpose::Everything { .. }, (Value::Constant(left), Value::Constant(right))) => {
                Equality::Known(left == right)
            }
            (Purpose::Everything { .. } | Purpose::Arguments, _) => Equality::Unknown,
        };
        let (equal, unequal) = match (condition, equality) {
            (Condition::Other | Condition::Signed(_), _) => return (Some(self.clone()), Some(self)),
            (_, Equality::Unknown) => (Some(self.clone().with_equal(compared)), Some(self)),
            (_, Equality::Known(true)) => (Some(self), None),
            (_, Equality::Known(false)) => (None, Some(self)),
            (_, Equality::IfZero(field)) => (Some(self.clone().with(field, true)), Some(self.with(field, false))),
        };
        if condition == Condition::Equal {
            (equal, unequal)
        } else {
            (unequal, equal)
        }
    }

    /// Forgets what a called function may have changed.
    pub(super) fn call(&mut self) {
        let reaches_stack = |register: &Register| matches!(self.register(*register), Value::Stack(_));
        let reached = self.convention.arguments.iter().any(reaches_stack);
        self.stack.call(reached);
        self.facts.clear();
        self.stored = [Value::Unknown; 2];
        self.spoil(self.convention.lost_in_calls);
    }

    /// What the function returns, and what it has stored behind its second and third argument.
    pub(super) fn results(&self) -> (Value, [Value; 2]) {
        let returned = self.register(self.convention.result);
        let known = |value| self.facts.known(value);
        (known(returned), self.stored.map(known))
    }

    /// The field of a whole word that was stored to last since the last call.
    pub(super) fn last_stored(&self) -> Option<Field> {
        let [to, _] = self.stored;
        to.field().filter(|_| self.is_for_everything())
    }

    /// The fields that are zero on this path.
    pub(super) fn zeros(&self) -> Vec<Field> {
        self.facts.zeros()
    }

    /// Returns whether the stack pointer is where it was when the function was entered.
    pub(super) fn is_at_return_address(&self) -> bool {
        self.register(self.convention.stack) == Value::Stack(0)
    }

    /// Carries out an assignment whose condition is decided.
    pub(super) fn set_if(mut self, holds: bool, to: Register, from: Source, width: u8) -> Self {
        let value = if holds {
            self.read(from, width)
        } else {
            self.register(to).truncated(width)
        };
        self.set(to, value);
        self
    }

    pub(super) fn register(&self, register: Register) -> Value {
        let held = self.registers.get(usize::from(register));
        held.copied().unwrap_or(Value::Unknown)
    }

    const fn is_for_fields(&self) -> bool {
        matches!(self.purpose, Purpose::Fields { .. })
    }

    const fn is_for_everything(&self) -> bool {
        matches!(self.purpose, Purpose::Everything { .. })
    }

    /// Returns whether what is on the stack is known.
    const fn has_stack(&self) -> bool {
        match self.purpose {
            Purpose::Fields { .. } | Purpose::Everything { .. } => true,
            Purpose::Arguments => false,
        }
    }

    fn with(mut self, field: Field, is_zero: bool) -> Self {
        self.facts.add(field, is_zero);
        self
    }

    fn set(&mut self, register: Register, value: Value) {
        if let Some(slot) = self.registers.get_mut(usize::from(register)) {
            *slot = value;
        }
    }

    fn read(&self, from: Source, width: u8) -> Value {
        match from {
            Source::Constant(number) => Value::Constant(number),
            Source::Register(register) => self.register(register),
            Source::Address(memory) => self.address(memory),
            Source::Memory(memory) => self.load(memory, width),
        }
        .truncated(width)
    }

    fn base(&self, memory: Memory) -> Value {
        memory.base.map_or(Value::Unknown, |base| self.register(base))
    }

    fn load(&self, from: Memory, width: u8) -> Value {
        if !self.has_stack() {
            return Value::Unknown;
        }
        let loaded = match self.base(from) {
            Value::Field(field) if field.as_argument() == Some(RECORD) => {
                return self.load_record(from.offset, width);
            }
            Value::Field(field) => field.load(from.offset, width),
            Value::Derived(derived) => derived.load(from.offset, width),
            Value::Within(field, offset) => offset
                .checked_add(from.offset)
                .and_then(|offset| field.load(offset, width)),
            Value::Stack(at) => {
                let at = at.checked_add(from.offset);
                return at.map_or(Value::Unknown, |at| self.load_stack(at, width));
            }
            Value::Unknown | Value::Constant(_) | Value::Frame(_) | Value::Possible(_) => None,
        };
        loaded.map_or_else(|| self.load_anywhere(from), Value::Field)
    }

    fn store(&mut self, to: Memory, value: Value, width: u8) -> Option<()> {
        match (self.purpose, self.base(to)) {
            (Purpose::Arguments, _) => Some(()),
            (_, Value::Stack(at)) => self.stack.store(at.checked_add(to.offset)?, value, width),
            (Purpose::Fields { .. }, Value::Field(field)) if to.offset == 0 => {
                let stored = field.as_argument()?.checked_sub(1)?;
                *self.stored.get_mut(stored)? = value;
                Some(())
            }
            (Purpose::Fields { .. }, _) => None,
            (Purpose::Everything { .. }, _) => {
                self.note_store(to, value, width);
                self.store_anywhere(to, value);
                Some(())
            }
        }
    }

    fn push(&mut self, from: Source) -> Option<()> {
        let value = self.read(from, 8);
        let stack = self.register(self.convention.stack).plus(-8);
        self.set(self.convention.stack, stack);
        if self.has_stack() {
            self.stack.store(stack.stack_address()?, value, 8)
        } else {
            Some(())
        }
    }

    fn pop(&mut self, to: Register) -> Option<()> {
        let stack = self.register(self.convention.stack);
        let value = if self.has_stack() {
            self.load_stack(stack.stack_address()?, 8)
        } else {
            Value::Unknown
        };
        self.set(self.convention.stack, stack.plus(8));
        self.set(to, value);
        Some(())
    }

    fn test(&mut self, left: Source, right: Source, width: u8) {
        let (left, right) = (self.read(left, width), self.read(right, width));
        let common = if left == right {
            left
        } else if let (Value::Constant(left), Value::Constant(right)) = (left, right) {
            Value::Constant(left & right)
        } else if [left, right].into_iter().any(|side| self.facts.is_zero(side)) {
            Value::Constant(0)
        } else {
            Value::Unknown
        };
        self.set_flags((common, Value::Constant(0)));
    }

    /// Where no branch is decided, states that differ in their flags alone are the same.
    const fn set_flags(&mut self, flags: (Value, Value)) {
        if self.has_stack() {
            self.flags = flags;
        }
    }

    fn spoil(&mut self, registers: u32) {
        self.spoil_with(registers, Value::Unknown);
    }

    fn spoil_with(&mut self, registers: u32, value: Value) {
        self.flags = (Value::Unknown, Value::Unknown);
        let halves = self.registers.iter_mut().zip(&mut self.upper);
        for (number, (register, upper)) in (0..).zip(halves) {
            if registers.checked_shr(number).unwrap_or(0) & 1 == 1 {
                *register = value;
                *upper = value;
            }
        }
    }

    const fn by_flags(&self, condition: Condition) -> When {
        When {
            condition,
            compared: self.flags,
        }
    }
}

#[cfg(test)]
mod tests;
