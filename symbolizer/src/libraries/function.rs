//! How a library's room describes the functions that it looks for: by the numbers of their arguments, for every machine
//! alike.

use crate::code::convention::Convention;
use crate::hook::{HookKind, Role};
use crate::operand::{Guard, Operand, Operands, Outcome, Place, Success};

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
    /// Whether the bytes are in several pieces: the second argument is an array of `struct iovec`, of which the first piece is
    /// seen.
    pub(crate) is_gathered: bool,
    /// What has to be zero for a call to count.
    pub(crate) zero: Option<Argument>,
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

/// From a `struct iovec` to its length, behind the address.
const PIECE_LENGTH: u16 = 8;

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
            is_gathered: false,
            zero: None,
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

    /// Describes a function that takes its bytes in pieces and returns their number.
    pub(crate) const fn gathering(name: &'static str, role: Role, result: Outcome) -> Self {
        Self {
            is_gathered: true,
            ..Self::moving(name, role, WORD, Count::Returned, result)
        }
    }

    /// Names the arguments that a connection is to read from and to write to.
    pub(crate) const fn with_transports(self, read: Option<Argument>, written: Option<Argument>) -> Self {
        Self {
            transports: [read, written],
            ..self
        }
    }

    /// Leaves out calls in which an argument is not zero.
    pub(crate) const fn only_without(self, argument: Argument) -> Self {
        Self {
            zero: Some(argument),
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
        let piece = |index, offset| {
            if self.is_gathered {
                Operand::loaded(convention.argument(index), offset, WORD)
            } else {
                at(Argument(index, WORD))
            }
        };
        let length = match self.buffer.filter(|_| self.is_gathered) {
            Some(index) => Some(piece(index, PIECE_LENGTH)),
            None => self.length.map(at),
        };
        Operands {
            object: at(Argument(0, WORD)),
            buffer: self.buffer.map(|index| piece(index, 0)),
            length,
            count: self.count.map(count),
            transports: self.transports.map(|transport| transport.map(at)),
            result: self.result,
            sequence: None,
            pieces: None,
            guards: [
                self.zero.map(|argument| Guard {
                    operand: at(argument),
                    equals: 0,
                }),
                None,
            ],
        }
    }
}
