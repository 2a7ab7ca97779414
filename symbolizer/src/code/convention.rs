//! Calling conventions: where a machine's functions find their arguments and leave their result.
//!
//! System V ABI, AMD64 supplement 1.0, 3.2.3; Procedure Call Standard for the Arm 64-bit Architecture 2024Q3, 6.8.2.

use crate::elf::machine::Machine;
use crate::operand::Place;

/// The number of a register in the machine's own encoding.
pub(crate) type Register = u8;

/// Describes one calling convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Convention {
    /// The registers of the first arguments, in order.
    pub(crate) arguments: &'static [Register],
    pub(super) result: Register,
    pub(super) stack: Register,
    /// The registers that a call may change, as bits.
    pub(super) lost_in_calls: u32,
    /// Where the first argument that has no register lies, in bytes above the stack pointer at the function's entry.
    first_on_stack: u16,
}

const SYSTEM_V: Convention = Convention {
    // rdi, rsi, rdx, rcx, r8, r9.
    arguments: &[7, 6, 2, 1, 8, 9],
    result: 0,
    stack: 4,
    // rax, rcx, rdx, rsi, rdi, r8 to r11.
    lost_in_calls: 0b1111_1100_0111,
    // The return address lies below it.
    first_on_stack: 8,
};

const AAPCS64: Convention = Convention {
    arguments: &[0, 1, 2, 3, 4, 5, 6, 7],
    result: 0,
    // The stack pointer and the zero register share this number; the interpreter means the stack pointer.
    stack: 31,
    // x0 to x18, and the link register.
    lost_in_calls: 0x4007_ffff,
    first_on_stack: 0,
};

impl Convention {
    /// Returns the convention of Linux on a machine.
    pub(crate) const fn of(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => SYSTEM_V,
            Machine::Aarch64 => AAPCS64,
        }
    }

    /// Returns where a function finds an argument of at most eight bytes, counted from 0, when it is entered.
    pub(crate) fn argument(self, index: u8) -> Place {
        if let Some(register) = self.arguments.get(usize::from(index)) {
            return Place::Register(*register);
        }
        let registers = u8::try_from(self.arguments.len()).unwrap_or(u8::MAX);
        let slots = u16::from(index.saturating_sub(registers));
        Place::Stack(self.first_on_stack.saturating_add(slots.saturating_mul(8)))
    }

    /// Returns which argument a register holds when a function is entered.
    pub(super) fn argument_in(self, register: Register) -> Option<usize> {
        self.arguments.iter().position(|argument| *argument == register)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_arguments_are_in_registers_and_the_rest_on_the_stack() {
        let places = |machine| [0, 3, 5, 6, 8, 9].map(|index| Convention::of(machine).argument(index));
        assert_eq!(
            places(Machine::X86_64),
            [
                Place::Register(7),
                Place::Register(1),
                Place::Register(9),
                Place::Stack(8),
                Place::Stack(24),
                Place::Stack(32)
            ]
        );
        assert_eq!(
            places(Machine::Aarch64),
            [
                Place::Register(0),
                Place::Register(3),
                Place::Register(5),
                Place::Register(6),
                Place::Stack(0),
                Place::Stack(8)
            ]
        );
    }
}
