//! How a library's room describes the functions that it looks for: by the numbers of their arguments, for every machine
//! alike.

use crate::code::convention::Convention;
use crate::hook::{HookKind, Role};
use crate::operand::{Operand, Operands, Outcome, Place, Success};

/// Describes a public function of a library. Its first argument is the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// `Entry`, or `Return` if what it returns matters.
    pub(crate) kind: HookKind,
    pub(crate) buffer: Option<u8>,
    pub(crate) length: Option<Argument>,
    pub(crate) count: Option<Count>,
    pub(crate) transports: [Option<Argument>; 2],
    pub(crate) result: Option<Outcome>,
}

/// An argument: its number, counted from 0, and its width in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument(pub(crate) u8, pub(crate) u8);

/// Says where a function leaves how many bytes have passed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    /// It returns the number.
    Returned,
    /// It stores the number where this argument points to.
    Behind(Argument),
    /// It takes all or nothing.
    All(Argument),
}

/// The result of a function that returns an `int` over zero on success.
pub(crate) const POSITIVE_INT: Outcome = Outcome {
    width: INT,
    success: Success::Positive,
};

/// The width of `int`.
pub(crate) const INT: u8 = 4;
/// The width of `size_t`, `ssize_t` and pointers.
pub(crate) const WORD: u8 = 8;

impl Function {
    /// Describes a function of which nothing matters but that it is called.
    pub(crate) const fn called(name: &'static str, role: Role) -> Self {
        Self {
            name,
            role,
            kind: HookKind::Entry,
            buffer: None,
            length: None,
            count: None,
            transports: [None; 2],
            result: None,
        }
    }

    /// Describes a function whose result matters.
    pub(crate) const fn returning(name: &'static str, role: Role, result: Outcome) -> Self {
        Self {
            kind: HookKind::Return,
            result: Some(result),
            ..Self::called(name, role)
        }
    }

    /// Describes a function that moves bytes: its second argument is the buffer, its third the length.
    pub(crate) const fn moving(name: &'static str, role: Role, length: u8, count: Count, result: Outcome) -> Self {
        Self {
            buffer: Some(1),
            length: Some(Argument(2, length)),
            count: Some(count),
            ..Self::returning(name, role, result)
        }
    }

    /// Names the arguments that a connection is to read from and to write to.
    pub(crate) const fn with_transports(self, read: Option<Argument>, written: Option<Argument>) -> Self {
        Self {
            transports: [read, written],
            ..self
        }
    }

    /// Adds numbers of bytes, of a function that has no buffer.
    pub(crate) const fn with_count(self, length: Argument, count: Count) -> Self {
        Self {
            length: Some(length),
            count: Some(count),
            ..self
        }
    }

    /// Returns where a machine's calls of the function have all this.
    pub(crate) fn operands(&self, convention: Convention) -> Operands {
        let at = |Argument(index, width)| Operand::at(convention.argument(index), width);
        let result_width = self.result.map_or(0, |result| result.width);
        let count = |count| match count {
            Count::Returned => Operand::at(Place::Result, result_width),
            Count::Behind(Argument(index, width)) => Operand::loaded(convention.argument(index), 0, width),
            Count::All(argument) => at(argument),
        };
        Operands {
            object: at(Argument(0, WORD)),
            buffer: self.buffer.map(|index| at(Argument(index, WORD))),
            length: self.length.map(at),
            count: self.count.map(count),
            transports: self.transports.map(|transport| transport.map(at)),
            result: self.result,
            sequence: None,
            guards: [None; 2],
        }
    }
}
