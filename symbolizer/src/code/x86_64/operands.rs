//! Registers and places in memory, as instructions of x86-64 name them.

use iced_x86::{Instruction, OpKind, Register as Name};

use crate::code::convention::Register;
use crate::code::operation::{Memory, Source, bit};

pub(super) const STACK: Register = 4;

/// How many general registers there are.
const GENERAL: usize = 16;
/// How many registers have numbers; the upper half of the vector registers of AVX-512 has none.
const REGISTERS: Register = 32;

/// Reads an operand of so many bytes.
pub(super) fn operand(instruction: &Instruction, index: u32, width: u8) -> Option<Source> {
    match instruction.try_op_kind(index).ok()? {
        OpKind::Register => {
            let name = instruction.try_op_register(index).ok()?;
            // The second byte of a register is no lower part of it.
            let is_high = matches!(name, Name::AH | Name::BH | Name::CH | Name::DH);
            let is_whole = name.size() >= usize::from(width);
            number(name).filter(|_| is_whole && !is_high).map(Source::Register)
        }
        OpKind::Memory => Some(Source::Memory(memory(instruction))),
        _ => instruction.try_immediate(index).ok().map(Source::Constant),
    }
}

/// The place in memory that an instruction names.
pub(super) fn memory(instruction: &Instruction) -> Memory {
    let is_plain = instruction.segment_prefix() == Name::None;
    address(
        instruction.memory_base(),
        instruction.memory_index(),
        instruction.memory_displacement64(),
        is_plain,
    )
}

/// An address that comes from one register, or from none if there is an index, a segment or no register at all.
pub(super) fn address(base: Name, index: Name, displacement: u64, is_plain: bool) -> Memory {
    let alone = number(base).filter(|_| is_plain && index == Name::None && base.is_gpr64());
    let all = [base, index].into_iter().filter_map(number);
    Memory {
        base: alone,
        offset: displacement.cast_signed(),
        several: if is_plain && alone.is_none() { bits(all) } else { 0 },
    }
}

/// A destination that is written as a whole: the upper half of a 32-bit one is zeroed.
pub(super) fn register(name: Name) -> Option<(Register, u8)> {
    let width = if name.is_gpr64() {
        8
    } else if name.is_gpr32() {
        4
    } else {
        return None;
    };
    Some((number(name)?, width))
}

/// The number of a general register, or of a vector register behind those.
pub(in crate::code) fn number(name: Name) -> Option<Register> {
    let whole = name.full_register();
    let number = if whole.is_gpr64() {
        whole.number()
    } else if whole.is_vector_register() {
        whole.number().checked_add(GENERAL)?
    } else {
        return None;
    };
    Register::try_from(number).ok().filter(|number| *number < REGISTERS)
}

/// Registers as bits.
pub(super) fn bits(registers: impl Iterator<Item = Register>) -> u32 {
    registers.fold(0, |all, register| all | bit(register))
}
