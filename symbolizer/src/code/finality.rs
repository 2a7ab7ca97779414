//! Where in a graph the result is final: what some register holds is what the function returns, or it returns a number
//! that is known.
//!
//! It is found backwards from the returns, through the copies that a function makes of its result.

use super::compared::{Failed, is_failure, signed};
use super::convention::{Convention, Register};
use super::graph::{End, Graph, Node};
use super::operation::{Operation, Source, Way};
use crate::operand::Outcome;

/// A set of registers, as bits.
type Registers = u32;

/// What is known of the result at one place, whichever way is taken from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Final {
    /// The registers that hold it.
    whole: Registers,
    /// The registers whose lower four bytes hold it, of which it is the extension by their sign.
    narrow: Registers,
    number: Number,
    /// Whether it is one that means no success.
    pub(super) fails: bool,
    /// Whether anything can return from there.
    pub(super) returns: bool,
}

/// Which number the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// Any: nothing returns.
    None,
    /// This one.
    Always(i64),
    /// One that is not known.
    Varies,
}

/// Where the result is found at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In so many lower bytes of a register, which have a sign.
    Register(Register, u8),
    /// It is always this number.
    Number(i32),
}

impl Final {
    const NEVER: Self = Self {
        whole: Registers::MAX,
        narrow: Registers::MAX,
        number: Number::None,
        fails: true,
        returns: false,
    };

    const fn in_register(register: Register) -> Self {
        Self {
            whole: 1 << register,
            narrow: 0,
            number: Number::Varies,
            fails: false,
            returns: true,
        }
    }

    const UNKNOWN: Self = Self {
        whole: 0,
        narrow: 0,
        number: Number::Varies,
        fails: false,
        returns: true,
    };

    /// Returns where it is found, in the register of results if it is there.
    pub(super) fn found(self, width: u8, convention: Convention) -> Option<Found> {
        let first = |registers: Registers| {
            let general = registers & convention.usable();
            let number = Register::try_from(general.trailing_zeros()).ok();
            number.filter(|_| general != 0)
        };
        if !self.returns {
            return None;
        }
        let whole = first(self.whole).map(|register| Found::Register(register, width));
        let narrow = first(self.narrow).map(|register| Found::Register(register, NARROW));
        let number = match self.number {
            Number::Always(number) => i32::try_from(number).ok().map(Found::Number),
            Number::None | Number::Varies => None,
        };
        whole.or(narrow).or(number)
    }

    /// Returns whether it is the number that was compared on a way here.
    pub(super) const fn is_known_by(self, failed: &Failed, width: u8) -> bool {
        let registers = if failed.compared == width {
            self.whole
        } else {
            self.narrow
        };
        registers >> failed.register & 1 == 1
    }

    fn or(self, other: Self) -> Self {
        Self {
            whole: self.whole & other.whole,
            narrow: self.narrow & other.narrow,
            number: match (self.number, other.number) {
                (Number::None, known) | (known, Number::None) => known,
                (one, two) if one == two => one,
                _ => Number::Varies,
            },
            fails: self.fails && other.fails,
            returns: self.returns || other.returns,
        }
    }

    /// What is known before an operation, if this is after it.
    fn before(self, operation: Operation, convention: Convention, outcome: Outcome) -> Self {
        if let Operation::Set { to, from, width } = operation {
            return self.before_copy(to, from, width, Extension::Zero, outcome);
        }
        if let Operation::SetSigned { to, from, width } = operation {
            return self.before_copy(to, from, width, Extension::Sign, outcome);
        }
        match operation.way() {
            Way::Call(_) => self.without(convention.lost_in_calls),
            Way::On | Way::Jump(_) | Way::Branch(_) | Way::Return | Way::End => self.without(operation.writes()),
        }
    }

    fn before_copy(self, to: Register, from: Source, width: u8, extension: Extension, outcome: Outcome) -> Self {
        let (is_whole, is_narrow) = (self.whole >> to & 1 == 1, self.narrow >> to & 1 == 1);
        let mut before = self.without(1 << to);
        match from {
            Source::Register(from) => {
                let keeps_all = width >= outcome.width;
                let extends = extension == Extension::Sign && width == NARROW && outcome.width > NARROW;
                before.whole |= Registers::from(is_whole && keeps_all) << from;
                let is_narrow = is_narrow && width >= NARROW || is_whole && extends;
                before.narrow |= Registers::from(is_narrow) << from;
            }
            Source::Constant(number) if self.returns && (is_whole || is_narrow) => {
                let number = if is_whole && width >= outcome.width {
                    signed(number, outcome.width)
                } else if is_whole {
                    i64::from(u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default())
                } else {
                    signed(number, NARROW)
                };
                before.number = Number::Always(number);
                before.fails |= is_failure(number, outcome);
            }
            Source::Constant(_) | Source::Memory(_) | Source::Address(_) => {}
        }
        before
    }

    const fn without(self, registers: Registers) -> Self {
        if !self.returns {
            return self;
        }
        Self {
            whole: self.whole & !registers,
            narrow: self.narrow & !registers,
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Zero,
    Sign,
}

/// How many bytes a number has that is extended.
const NARROW: u8 = 4;

/// Finds what is known of the result before each node.
pub(super) fn finality(graph: &Graph<'_>, before: &[Vec<usize>], failed: &[Failed], outcome: Outcome) -> Vec<Final> {
    let convention = Convention::of(graph.code.machine);
    let mut known = vec![Final::NEVER; graph.nodes.len()];
    // What is known only gets less, so this ends.
    let mut ahead: Vec<usize> = (0..graph.nodes.len()).collect();
    while let Some(index) = ahead.pop() {
        let Some(node) = graph.nodes.get(index) else { continue };
        let mut now = after(node, index, &known, failed, convention, outcome);
        for operation in node.lifted.operations.iter().rev() {
            now = now.before(*operation, convention, outcome);
        }
        if let Some(known) = known.get_mut(index).filter(|known| **known != now) {
            *known = now;
            ahead.extend(before.get(index).into_iter().flatten());
        }
    }
    known
}

/// What is known behind a node.
fn after(
    node: &Node,
    index: usize,
    known: &[Final],
    failed: &[Failed],
    convention: Convention,
    outcome: Outcome,
) -> Final {
    match node.end {
        Some(End::Return) => return Final::in_register(convention.result),
        Some(End::Jump(_)) => return Final::UNKNOWN,
        Some(End::Stop) | None => {}
    }
    let way = |next: usize| {
        let there = known.get(next).copied().unwrap_or(Final::UNKNOWN);
        let is_failure = |edge: &Failed| edge.is(index, next) && there.is_known_by(edge, outcome.width);
        Final {
            fails: there.fails || failed.iter().any(is_failure),
            ..there
        }
    };
    node.successors().map(way).fold(Final::NEVER, Final::or)
}
