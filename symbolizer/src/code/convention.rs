//! Calling conventions: where a machine's functions find their arguments and leave their result.
//!
//! System V ABI, AMD64 supplement 1.0, 3.2.3 and 3.6.2 (DWARF numbers); Procedure Call Standard for the Arm 64-bit
//! Architecture 2024Q3, 6.8.2, and DWARF for it, 4.1.

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
    /// How many general registers there are; they have the first numbers.
    pub(super) general: Register,
    pub(super) stack: Register,
    /// The registers that a call may change, as bits.
    pub(super) lost_in_calls: u32,
    /// The DWARF numbers of the first registers; those of all others are the machine's own.
    dwarf: &'static [u8],
    /// Where the first argument that has no register lies, in bytes above the stack pointer at the function's entry.
    first_on_stack: u16,
    /// Where it lies above the stack pointer at the call.
    first_at_call: u16,
}

const SYSTEM_V: Convention = Convention {
    // rdi, rsi, rdx, rcx, r8, r9.
    arguments: &[7, 6, 2, 1, 8, 9],
    result: 0,
    general: 16,
    stack: 4,
    // rax, rcx, rdx, rsi, rdi, r8 to r11, and the vector registers, which are numbered behind the general ones.
    lost_in_calls: 0xffff_0fc7,
    // rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi.
    dwarf: &[0, 2, 1, 3, 7, 6, 4, 5],
    // The return address lies below it.
    first_on_stack: 8,
    first_at_call: 0,
};

const AAPCS64: Convention = Convention {
    arguments: &[0, 1, 2, 3, 4, 5, 6, 7],
    result: 0,
    general: 31,
    // The stack pointer and the zero register share this number; the interpreter means the stack pointer.
    stack: 31,
    // x0 to x18, and the link register.
    lost_in_calls: 0x4007_ffff,
    dwarf: &[],
    first_on_stack: 0,
    first_at_call: 0,
};

/// Go's own on x86-64, since Go 1.17 (go1.27.3, `src/cmd/compile/abi-internal.md`).
///
/// `rdx` is no argument, but a closure finds there what it has taken along: so it comes last.
const GO_X86_64: Convention = Convention {
    // rax, rbx, rcx, rdi, rsi, r8 to r11; and rdx.
    arguments: &[0, 3, 1, 7, 6, 8, 9, 10, 11, 2],
    // All but the stack pointer.
    lost_in_calls: 0xffff_ffef,
    ..SYSTEM_V
};

/// Go's own on x86-64 up to Go 1.16, and of functions in assembly since: arguments, and behind them results, lie on the stack
/// (go1.27.3, `src/cmd/compile/abi-internal.md`, "ABI0"). A closure still finds in `rdx` what it has taken along.
const GO_X86_64_STACK: Convention = Convention {
    arguments: &[],
    lost_in_calls: 0xffff_ffef,
    ..SYSTEM_V
};

/// Go's own on aarch64, since Go 1.18 (go1.27.3, `src/cmd/compile/abi-internal.md`).
///
/// A closure finds in `x26` what it has taken along. `runtime.duffcopy` finds addresses in `x20` and `x21`
/// (`src/runtime/duff_arm64.s`). Neither is an argument: so they come last.
const GO_AARCH64: Convention = Convention {
    arguments: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 26, 20, 21],
    // All but the stack pointer.
    lost_in_calls: 0x7fff_ffff,
    // A function stores its return address at its own stack pointer, below the arguments of those that it calls.
    first_on_stack: 8,
    first_at_call: 8,
    ..AAPCS64
};

/// Go's own on aarch64 up to Go 1.17, and of functions in assembly since.
const GO_AARCH64_STACK: Convention = Convention {
    arguments: &[],
    ..GO_AARCH64
};

impl Convention {
    /// Returns Go's convention on a machine.
    pub(crate) const fn of_go(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => GO_X86_64,
            Machine::Aarch64 => GO_AARCH64,
        }
    }

    /// Returns the convention of Go's versions that pass arguments on the stack.
    pub(crate) const fn of_go_on_stack(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => GO_X86_64_STACK,
            Machine::Aarch64 => GO_AARCH64_STACK,
        }
    }

    /// Lists Go's conventions on a machine.
    pub(crate) const fn all_of_go(machine: Machine) -> [Self; 2] {
        [Self::of_go(machine), Self::of_go_on_stack(machine)]
    }

    /// Returns whether all arguments and results are on the stack.
    pub(crate) const fn is_on_stack(self) -> bool {
        self.arguments.is_empty()
    }

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
            return Place::Register(self.dwarf_number(*register));
        }
        Place::Stack(self.first_on_stack.saturating_add(self.slot(index)))
    }

    /// Returns where a call leaves an argument, before the call itself: what is on the stack lies at the stack pointer.
    pub(crate) fn argument_at_call(self, index: u8) -> Place {
        if usize::from(index) < self.arguments.len() {
            self.argument(index)
        } else {
            Place::Stack(self.first_at_call.saturating_add(self.slot(index)))
        }
    }

    /// Returns how far above the stack pointer the arguments and results of a called function begin that are on the stack.
    pub(super) const fn first_at_call(self) -> u16 {
        self.first_at_call
    }

    /// Returns how far the slot of an argument is above that of the first one that has no register.
    fn slot(self, index: u8) -> u16 {
        let registers = u8::try_from(self.arguments.len()).unwrap_or(u8::MAX);
        u16::from(index.saturating_sub(registers)).saturating_mul(8)
    }

    /// Returns the register of a function's first result.
    pub(super) const fn first_result(self) -> Register {
        self.result
    }

    /// Returns how many general registers there are; they have the first numbers.
    pub(super) const fn registers(self) -> Register {
        self.general
    }

    /// Returns the general registers but the stack pointer, as bits.
    pub(super) fn usable(self) -> u32 {
        let general = (0..self.general).filter(|register| *register != self.stack);
        general.fold(0, |all, register| all | 1 << register)
    }

    /// Returns the register of the stack pointer.
    pub(super) const fn stack_pointer(self) -> Register {
        self.stack
    }

    /// Returns the register of a DWARF number.
    pub(crate) fn register(self, dwarf_number: u8) -> Register {
        let mut registers = (0..).zip(self.dwarf);
        let found = registers.find(|(_, number)| **number == dwarf_number);
        found.map_or(dwarf_number, |(register, _)| register)
    }

    /// Returns the place that a register is.
    pub(super) fn place(self, register: Register) -> Place {
        Place::Register(self.dwarf_number(register))
    }

    /// Returns the DWARF number of a register.
    pub(crate) fn dwarf_number(self, register: Register) -> u8 {
        let number = self.dwarf.get(usize::from(register));
        number.copied().unwrap_or(register)
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
                Place::Register(5),
                Place::Register(2),
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

    #[test]
    fn arguments_on_the_stack_are_a_return_address_higher_when_the_function_is_entered() {
        let places = |convention: Convention| {
            [0, 1, 5].map(|index| (convention.argument_at_call(index), convention.argument(index)))
        };
        let [first, second, result] = [0, 8, 40].map(|at| (Place::Stack(at), Place::Stack(at + 8)));
        assert_eq!(
            places(Convention::of_go_on_stack(Machine::X86_64)),
            [first, second, result]
        );
        let convention = Convention::of_go(Machine::X86_64);
        assert_eq!(convention.argument_at_call(1), convention.argument(1));
    }

    #[test]
    fn a_call_of_go_on_aarch64_leaves_arguments_above_the_place_of_a_return_address() {
        let convention = Convention::of_go_on_stack(Machine::Aarch64);
        for (index, place) in [(0, Place::Stack(8)), (1, Place::Stack(16)), (4, Place::Stack(40))] {
            assert_eq!(
                (convention.argument_at_call(index), convention.argument(index)),
                (place, place)
            );
        }
        let convention = Convention::of_go(Machine::Aarch64);
        assert_eq!(
            (convention.argument(0), convention.argument(15)),
            (Place::Register(0), Place::Register(15))
        );
        assert_eq!(convention.argument_at_call(1), convention.argument(1));
    }

    #[test]
    fn every_register_has_a_dwarf_number_of_its_own() {
        for machine in [Machine::X86_64, Machine::Aarch64] {
            let convention = Convention::of(machine);
            for register in 0..32 {
                assert_eq!(convention.register(convention.dwarf_number(register)), register);
            }
        }
    }
}
