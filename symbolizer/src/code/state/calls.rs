//! What calls are given, and what they leave: in registers, or on the stack where a convention has all arguments there.
//!
//! What lies at the stack pointer belongs to the called function, as far as its arguments and results reach: it may have
//! anything there when it returns.

use std::ops::Range;

use super::{Record, State};
use crate::code::callee::{Callee, Returns};
use crate::code::value::Value;
use crate::operand::Place;

/// How many bytes a word has.
const WORD: u8 = 8;

impl State {
    /// Puts an argument where the function finds it when it is entered.
    pub(super) fn receive(&mut self, index: u8, value: Value) {
        if let Some(register) = self.convention.arguments.get(usize::from(index)) {
            self.set(*register, value);
        } else if let Place::Stack(above) = self.convention.argument(index) {
            // Where there is no room for another one, nothing is known of it.
            let _stored = self.stack.store(above.into(), value, WORD);
        }
    }

    /// What the first arguments are, as a call finds them.
    pub(in crate::code) fn arguments<const COUNT: usize>(&self) -> [Value; COUNT] {
        std::array::from_fn(|index| match self.convention.arguments.get(index) {
            Some(register) => self.register(*register),
            None => self.left(index),
        })
    }

    /// What lies where a call finds an argument on the stack, of whatever width.
    fn left(&self, index: usize) -> Value {
        let place = u8::try_from(index).map(|index| self.convention.argument_at_call(index));
        let (Ok(Place::Stack(above)), Some(pointer)) = (place, self.stack_pointer()) else {
            return Value::Unknown;
        };
        self.stack.held(pointer.saturating_add(above.into()), self.tracked())
    }

    /// Returns what a called function finds on the stack behind the lowest address that it is given, if what comes from
    /// the tracked argument is among it.
    pub(in crate::code) fn found_by(&self, callee: Callee) -> Record {
        let given = self.given(callee).filter(|_| callee.finds);
        let Some(lowest) = given.filter_map(Value::lowest_on_stack).min() else {
            return Record::new();
        };
        let found = self.stack.reached_from(lowest);
        let found: Vec<_> = found
            .map(|(at, value, width)| (at.saturating_sub(lowest), value, width))
            .collect();
        let holds = found.iter().any(|(_, value, _)| value.may_be(self.tracked()));
        if holds { found } else { Record::new() }
    }

    /// Returns whether a called function is given what comes from the tracked argument.
    pub(in crate::code) fn is_given_to(&self, callee: Callee) -> bool {
        self.given(callee).any(|value| value.may_be(self.tracked()))
    }

    /// Returns whether what comes from the tracked argument is on the stack where the function has its arguments there, which one
    /// that it jumps to takes over.
    pub(in crate::code) fn has_on_stack(&self) -> bool {
        let mut slots = self.stack.slots_from(0);
        self.convention.is_on_stack() && slots.any(|(_, value, _)| value.may_be(self.tracked()))
    }

    /// Returns whether what comes from the tracked argument lies between the stack pointer and an address: an argument that has
    /// no register, where others do.
    pub(in crate::code) fn is_pushed(&self, frame: i64) -> bool {
        if self.convention.is_on_stack() {
            return false;
        }
        let lowest = self.stack_pointer().unwrap_or(i64::MAX);
        let mut pushed = self.stack.slots_from(lowest).take_while(|(at, ..)| *at < frame);
        pushed.any(|(_, value, _)| value.may_be(self.tracked()))
    }

    /// Returns whether it matters which function is called from here: it gets addresses that must not get lost, or places on
    /// the stack.
    pub(in crate::code) fn depends_on_callee(&self) -> bool {
        let mut given = self.given(Callee::ANY);
        self.convention.is_on_stack()
            || given.any(|value| value.may_be(self.tracked()) || value.lowest_on_stack().is_some())
    }

    /// Forgets what a called function may have changed, and only that.
    pub(in crate::code) fn call_to(&mut self, callee: Callee) {
        let tracked = self.tracked();
        let given: Vec<_> = self.given(callee).collect();
        for argument in &given {
            self.stack.escape(*argument);
            // It may be an address on the stack as well.
            if matches!(argument, Value::Possible(_)) {
                self.stack.escape(Value::Frame(i64::MIN));
            }
        }
        if callee.finds || given.iter().any(|value| value.lowest_on_stack().is_some()) {
            self.stack.forget_escaped(tracked);
        }
        let returned = match given.first() {
            Some(first) if callee.returns == Returns::First => *first,
            _ if callee.returns == Returns::None => Value::Unknown,
            _ => Value::mixed(given.iter().copied().filter(|value| value.may_be(tracked)), tracked),
        };
        if let Some(places) = self.handed(callee) {
            self.stack.lose(places.clone(), tracked);
            // Of a function whose results take any number of bytes, the call itself is refused by all who track an address.
            if returned.may_be(tracked) && callee.stack_bytes.is_some() {
                self.stack.fill_range(places, returned);
            }
        }
        self.stored = [Value::Unknown; 2];
        self.spoil_with(self.convention.lost_in_calls, Value::Unknown);
        self.set(self.convention.result, returned);
    }

    /// Returns what a called function takes: in registers, and on the stack where a convention has all arguments there. Of
    /// such a function of which nothing is known, any register may matter: the runtime has some with rules of their own.
    fn given(&self, callee: Callee) -> impl Iterator<Item = Value> {
        let registers = self.convention.arguments.iter().enumerate();
        let taken = registers.filter(move |(index, _)| callee.takes(*index));
        let taken = taken.map(|(_, register)| *register);
        let is_special = self.convention.is_on_stack() && callee.takes == Callee::ANY.takes;
        let every =
            (0..self.convention.general).filter(move |register| is_special && *register != self.convention.stack);
        let places = self.handed(callee).into_iter();
        let slots = places.flat_map(|places| self.stack.values_in(places));
        taken.chain(every).map(|register| self.register(register)).chain(slots)
    }

    /// Returns the places on the stack that belong to a called function, where a convention has arguments there: all of the
    /// caller's frame if it is not known how many.
    fn handed(&self, callee: Callee) -> Option<Range<i64>> {
        let pointer = self.stack_pointer().filter(|_| self.convention.is_on_stack())?;
        let begin = pointer.saturating_add(self.convention.first_at_call().into());
        let end = callee.stack_bytes.map_or(0, |bytes| begin.saturating_add(bytes.into()));
        Some(begin..end)
    }
}
