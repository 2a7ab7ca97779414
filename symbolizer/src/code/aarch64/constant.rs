//! What computes with numbers in the instruction.

use super::{STACK, bits, compute, general, inputs, operand, register, set, signed, width};
use crate::code::operation::{Inputs, Memory, Operation, Source, bit};
use crate::elf::address::Vaddr;

pub(super) fn lift(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    match bits(word, 23, 3) {
        0 | 1 => address(word, at),
        2 => add(word),
        // Tags are put into addresses, and those into the stack pointer.
        3 => Some(vec![Operation::Compute {
            to: bit(register(word, 0)?),
            from: inputs(bit(register(word, 5)?)),
        }]),
        4 => logical(word),
        5 => moved(word),
        6 => bit_field(word),
        _ => Some(compute(word, inputs(general(word, 5) | general(word, 16)))),
    }
}

/// `adr` and `adrp`.
fn address(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    let low = i64::from(bits(word, 29, 2));
    let distance = signed(word, 5, 19)?.checked_mul(4)?.checked_add(low)?;
    let address = if bits(word, 31, 1) == 1 {
        (at.0 & !0xfff).wrapping_add_signed(distance.checked_mul(0x1000)?)
    } else {
        at.0.wrapping_add_signed(distance)
    };
    Some(set(register(word, 0)?, Source::Constant(address), 8))
}

/// `add` and `sub`, with or without flags; `cmp` and `cmn`.
fn add(word: u32) -> Option<Vec<Operation>> {
    let width = width(word);
    let shift = if bits(word, 22, 1) == 1 { 12 } else { 0 };
    let number = i64::from(bits(word, 10, 12).checked_shl(shift)?);
    let (to, base) = (register(word, 0)?, register(word, 5)?);
    let is_sum = bits(word, 30, 1) == 0;
    let distance = if is_sum { number } else { number.checked_neg()? };
    let from = Source::Address(Memory::at(base, distance));
    if bits(word, 29, 1) == 0 {
        return Some(vec![Operation::Set { to, from, width }]);
    }
    // The sign of a sum, and whether it is zero, are those of the difference from the negative number.
    let compared = Operation::Compare {
        left: Source::Register(base),
        right: Source::Constant(truncated(distance.checked_neg()?.cast_unsigned(), width)),
        width,
    };
    Some([vec![compared], set(to, from, width)].concat())
}

/// `and`, `orr`, `eor` and `ands`, which may write the stack pointer but for the last.
fn logical(word: u32) -> Option<Vec<Operation>> {
    let from = inputs(general(word, 5));
    if bits(word, 29, 2) == 3 {
        return Some(compute(word, from));
    }
    let to = bit(register(word, 0)?);
    Some(vec![Operation::Compute { to, from }])
}

/// `movn`, `movz` and `movk`.
fn moved(word: u32) -> Option<Vec<Operation>> {
    let width = width(word);
    let shift = bits(word, 21, 2).checked_mul(16)?;
    let number = u64::from(bits(word, 5, 16)).checked_shl(shift)?;
    let number = match bits(word, 29, 2) {
        0 => truncated(!number, width),
        2 => number,
        3 => return Some(compute(word, inputs(general(word, 0)))),
        _ => return None,
    };
    Some(set(register(word, 0)?, Source::Constant(number), width))
}

/// `sxtw`, `uxtb` and the like; what else moves bits.
fn bit_field(word: u32) -> Option<Vec<Operation>> {
    let (to, from) = (register(word, 0)?, operand(word, 5)?);
    let bytes = match (bits(word, 16, 6), bits(word, 10, 6)) {
        (0, 7) => Some(1),
        (0, 15) => Some(2),
        (0, 31) => Some(4),
        _ => None,
    };
    match (bits(word, 29, 2), bytes) {
        (0, Some(width)) if super::width(word) == 8 && to != STACK => {
            Some(vec![Operation::SetSigned { to, from, width }])
        }
        (2, Some(width)) => Some(set(to, from, width)),
        (0..=2, _) => Some(compute(word, of_bits(word))),
        _ => None,
    }
}

/// A field of bits is put into what the register held, or not.
const fn of_bits(word: u32) -> Inputs {
    inputs(general(word, 0) | general(word, 5))
}

const fn truncated(number: u64, width: u8) -> u64 {
    if width == 4 { number & 0xffff_ffff } else { number }
}
