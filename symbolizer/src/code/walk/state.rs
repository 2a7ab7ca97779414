//! One way through a function, as far as it has gone.
//!
//! In: operations. Out: what registers, stack and the places behind the second and third argument hold, and which
//! fields are known to be zero or not. Refused: a stack pointer that is lost, and stores to anything else, for a
//! function that changes things is no accessor.

use super::operation::{Condition, Convention, Memory, Operand, Operation, Register};
use super::stack::Stack;
use super::step::{Step, When};
use super::value::{Field, Value};

const REGISTERS: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) at: usize,
    convention: Convention,
    /// An object whose first word is zero where the function asks: of several kinds, the first.
    typed: bool,
    registers: [Value; REGISTERS],
    stack: Stack,
    /// What was compared last.
    flags: (Value, Value),
    /// Fields that are zero, or are not.
    facts: Vec<(Field, bool)>,
    stored: [Value; 2],
}

impl State {
    pub(super) fn new(convention: Convention, arguments: [Value; 3], typed: bool) -> Self {
        let mut state = Self {
            at: 0,
            convention,
            typed,
            registers: [Value::Unknown; REGISTERS],
            stack: Stack::default(),
            flags: (Value::Unknown, Value::Unknown),
            facts: Vec::new(),
            stored: [Value::Unknown; 2],
        };
        for (register, value) in convention.arguments.into_iter().zip(arguments) {
            state.set(register, value);
        }
        state.set(convention.stack, Value::Stack(0));
        state
    }

    /// Carries out one operation; `None` if the function cannot be followed any more.
    pub(super) fn step(&mut self, operation: Operation) -> Option<Step> {
        match operation {
            Operation::Set { to, from, width } => self.set(to, self.read(from, width)),
            Operation::Store { to, from, width } => self.store(to, self.read(from, width), width)?,
            Operation::Push(from) => self.push(from)?,
            Operation::Pop(to) => self.pop(to)?,
            Operation::Compare { left, right, width } => {
                self.flags = (self.read(left, width), self.read(right, width));
            }
            Operation::Test { left, right, width } => self.test(left, right, width),
            Operation::Call => self.call(),
            Operation::Spoil(registers) => self.spoil(registers),
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
            // A return takes its address from where the call left it, or control is lost.
            Operation::Return => {
                let returns = self.register(self.convention.stack) == Value::Stack(0);
                return returns.then_some(Step::Return);
            }
            Operation::Trap => return Some(Step::Trap),
        }
        Some(Step::Next)
    }

    /// The states in which a condition holds and does not, where that can be.
    pub(super) fn split(self, when: When) -> (Option<Self>, Option<Self>) {
        let When { condition, compared } = when;
        let (equal, unequal) = match (condition, self.equality(compared)) {
            (Condition::Other, _) => return (Some(self.clone()), Some(self)),
            (_, Equality::Known(true)) => (Some(self), None),
            (_, Equality::Known(false)) => (None, Some(self)),
            (_, Equality::IfZero(field)) => (Some(self.clone().with((field, true))), Some(self.with((field, false)))),
            (_, Equality::Unknown) => (Some(self.clone()), Some(self)),
        };
        if condition == Condition::Equal {
            (equal, unequal)
        } else {
            (unequal, equal)
        }
    }

    /// What the function returns, and what it has stored behind its second and third argument.
    pub(super) fn results(&self) -> (Value, [Value; 2]) {
        let returned = self.register(self.convention.result);
        (self.known(returned), self.stored.map(|stored| self.known(stored)))
    }

    /// The fields that are zero on this way.
    pub(super) fn zeros(&self) -> Vec<Field> {
        self.facts
            .iter()
            .filter(|(_, zero)| *zero)
            .map(|(field, _)| *field)
            .collect()
    }

    pub(super) fn set_if(mut self, holds: bool, to: Register, from: Operand, width: u8) -> Self {
        let value = if holds {
            self.read(from, width)
        } else {
            self.register(to).truncated(width)
        };
        self.set(to, value);
        self
    }

    fn with(mut self, fact: (Field, bool)) -> Self {
        self.facts.push(fact);
        self
    }

    fn register(&self, register: Register) -> Value {
        self.registers.get(register).copied().unwrap_or(Value::Unknown)
    }

    fn set(&mut self, register: Register, value: Value) {
        if let Some(slot) = self.registers.get_mut(register) {
            *slot = value;
        }
    }

    fn read(&self, from: Operand, width: u8) -> Value {
        match from {
            Operand::Constant(number) => Value::Constant(number),
            Operand::Register(register) => self.register(register),
            Operand::Address(memory) => self.base(memory).plus(memory.offset),
            Operand::Memory(memory) => self.load(memory, width),
        }
        .truncated(width)
    }

    fn base(&self, memory: Memory) -> Value {
        memory.base.map_or(Value::Unknown, |base| self.register(base))
    }

    fn load(&self, from: Memory, width: u8) -> Value {
        match self.base(from) {
            Value::Field(field) => field.load(from.offset, width).map_or(Value::Unknown, Value::Field),
            Value::Stack(at) => {
                let at = at.checked_add(from.offset);
                at.map_or(Value::Unknown, |at| self.stack.load(at, width))
            }
            Value::Unknown | Value::Constant(_) => Value::Unknown,
        }
    }

    fn store(&mut self, to: Memory, value: Value, width: u8) -> Option<()> {
        match self.base(to) {
            Value::Stack(at) => self.stack.store(at.checked_add(to.offset)?, value, width),
            Value::Field(field) if to.offset == 0 => {
                let stored = field.as_argument()?.checked_sub(1)?;
                *self.stored.get_mut(stored)? = value;
                Some(())
            }
            Value::Unknown | Value::Constant(_) | Value::Field(_) => None,
        }
    }

    fn push(&mut self, from: Operand) -> Option<()> {
        let value = self.read(from, 8);
        let Value::Stack(at) = self.register(self.convention.stack) else {
            return None;
        };
        let at = at.checked_sub(8)?;
        self.set(self.convention.stack, Value::Stack(at));
        self.stack.store(at, value, 8)
    }

    fn pop(&mut self, to: Register) -> Option<()> {
        let Value::Stack(at) = self.register(self.convention.stack) else {
            return None;
        };
        let value = self.stack.load(at, 8);
        self.set(self.convention.stack, Value::Stack(at.checked_add(8)?));
        self.set(to, value);
        Some(())
    }

    fn test(&mut self, left: Operand, right: Operand, width: u8) {
        let (left, right) = (self.read(left, width), self.read(right, width));
        let is_zero = |side: &Value| match *side {
            Value::Constant(number) => number == 0,
            Value::Field(field) => self.is_zero(field) == Some(true),
            Value::Unknown | Value::Stack(_) => false,
        };
        let common = if left == right {
            left
        } else if [left, right].iter().any(is_zero) {
            Value::Constant(0)
        } else {
            Value::Unknown
        };
        self.flags = (common, Value::Constant(0));
    }

    fn call(&mut self) {
        let reaches_stack = |register| matches!(self.register(register), Value::Stack(_));
        let arguments = self.convention.arguments;
        self.stack.call(arguments.into_iter().any(reaches_stack));
        self.facts.clear();
        self.stored = [Value::Unknown; 2];
        self.spoil(self.convention.lost_in_calls);
    }

    fn spoil(&mut self, registers: u32) {
        self.flags = (Value::Unknown, Value::Unknown);
        for (number, register) in self.registers.iter_mut().enumerate() {
            if registers
                .checked_shr(u32::try_from(number).unwrap_or(u32::MAX))
                .unwrap_or(0)
                & 1
                == 1
            {
                *register = Value::Unknown;
            }
        }
    }

    /// Whether a field is zero: by what was tested on the way, and by what holds of every call that matters.
    fn is_zero(&self, field: Field) -> Option<bool> {
        if field.as_argument().is_some() {
            return Some(false);
        }
        if self.typed && field.is_type() {
            return Some(true);
        }
        self.facts
            .iter()
            .find(|(tested, _)| *tested == field)
            .map(|(_, zero)| *zero)
    }

    fn known(&self, value: Value) -> Value {
        let zero = value.field().is_some_and(|field| self.is_proved_zero(field));
        if zero { Value::Constant(0) } else { value }
    }

    /// A type that is returned is a field like any other: it was only supposed to be zero.
    fn is_proved_zero(&self, field: Field) -> bool {
        self.facts.contains(&(field, true))
    }

    const fn by_flags(&self, condition: Condition) -> When {
        When {
            condition,
            compared: self.flags,
        }
    }

    fn equality(&self, compared: (Value, Value)) -> Equality {
        match compared {
            (Value::Constant(left), Value::Constant(right)) => Equality::Known(left == right),
            (Value::Field(field), Value::Constant(number)) | (Value::Constant(number), Value::Field(field)) => {
                match (self.is_zero(field), number) {
                    (Some(true), number) => Equality::Known(number == 0),
                    (Some(false), 0) => Equality::Known(false),
                    (None, 0) => Equality::IfZero(field),
                    _ => Equality::Unknown,
                }
            }
            _ => Equality::Unknown,
        }
    }
}

/// Whether what was compared last is equal.
enum Equality {
    Known(bool),
    /// If this field is zero.
    IfZero(Field),
    Unknown,
}
