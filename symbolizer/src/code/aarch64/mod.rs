//! Instructions of aarch64 as operations.
//!
//! Encodings are those of the Arm Architecture Reference Manual (C4.1). An instruction that only computes says which
//! registers it writes, and from which. Vector registers are not followed: what comes from one is unknown, and what goes to
//! one is hidden, so that a function which puts a tracked argument there is refused. Unknown are SVE, SME, memory tags,
//! instructions that copy memory, and what only a kernel executes.

mod constant;
mod control;
mod memory;
mod registers;
mod stub;

use super::convention::Register;
use super::operation::{Condition, Inputs, Lifted, Memory, Operation, Sign, Source, bit};
use crate::elf::address::Vaddr;

pub(super) use control::condition;

/// The stack pointer and the zero register share the number 31; in an operation it is always the stack pointer.
const STACK: Register = 31;
const LENGTH: u64 = 4;

/// Translates the first instruction of some bytes, which lie at `at`; a stub of the procedure linkage table is one.
pub(super) fn lift(code: &[u8], at: Vaddr) -> Option<Lifted> {
    if let Some(stub) = stub::lift(code, at) {
        return Some(stub);
    }
    let word = first(code)?;
    let operations = match bits(word, 25, 4) {
        0b0000 => control::undefined(word),
        0b1000 | 0b1001 => constant::lift(word, at),
        0b1010 | 0b1011 => control::lift(word, at),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory::lift(word, at),
        0b0101 | 0b1101 => registers::lift(word),
        0b0111 | 0b1111 => Some(vector(word)),
        _ => None,
    }?;
    Some(Lifted {
        operations,
        length: LENGTH,
    })
}

fn first(code: &[u8]) -> Option<u32> {
    code.first_chunk().copied().map(u32::from_le_bytes)
}

/// What computes with vector registers: if it may also write a general register or the flags, it is taken to do so.
fn vector(word: u32) -> Vec<Operation> {
    // Scalar floating point, which compares and converts; and copies between elements and general registers.
    let may_write = word & 0x5f00_0000 == 0x1e00_0000 || word & 0x9fe0_8400 == 0x0e00_0400;
    let written = may_write.then(|| compute(word, Inputs::default()));
    // fmov, scvtf and the like, of a whole number or one with a fixed point; dup and ins of a general register.
    let reads = word & 0x5f20_fc00 == 0x1e20_0000
        || word & 0x5f20_0000 == 0x1e00_0000
        || matches!(word & 0xffe0_fc00, 0x0e00_0c00 | 0x4e00_0c00 | 0x4e00_1c00);
    let hidden = reads.then(|| Operation::Hide(inputs(general(word, 5))));
    hidden.into_iter().chain(written.into_iter().flatten()).collect()
}

/// Some bits of an instruction.
const fn bits(word: u32, low: u32, count: u32) -> u32 {
    (word >> low) & ((1 << count) - 1)
}

/// The number of the register in a field.
fn register(word: u32, low: u32) -> Option<Register> {
    Register::try_from(bits(word, low, 5)).ok()
}

/// The register in a field where 31 means zero.
fn operand(word: u32, low: u32) -> Option<Source> {
    let register = register(word, low)?;
    Some(if register == STACK {
        Source::Constant(0)
    } else {
        Source::Register(register)
    })
}

/// The register in a field as a bit, or nothing if it is the zero register.
const fn general(word: u32, low: u32) -> u32 {
    (1 << bits(word, low, 5)) & !(1 << STACK)
}

/// How many bytes an instruction that has a 32-bit and a 64-bit form computes with.
const fn width(word: u32) -> u8 {
    if bits(word, 31, 1) == 1 { 8 } else { 4 }
}

/// A field that is a number with a sign.
fn signed(word: u32, low: u32, count: u32) -> Option<i64> {
    let value = i64::from(bits(word, low, count));
    let whole = 1_i64.checked_shl(count)?;
    if value >= whole >> 1 {
        value.checked_sub(whole)
    } else {
        Some(value)
    }
}

/// Writes its first register, which is not the stack pointer, and perhaps the flags.
fn compute(word: u32, from: Inputs) -> Vec<Operation> {
    vec![match general(word, 0) {
        0 => Operation::Spoil(0),
        to => Operation::Compute { to, from },
    }]
}

/// What is computed from some registers, given as bits.
const fn inputs(registers: u32) -> Inputs {
    Inputs {
        registers,
        memory: None,
    }
}

/// Sets a register, unless it is the zero register.
fn set(to: Register, from: Source, width: u8) -> Vec<Operation> {
    if to == STACK {
        return Vec::new();
    }
    vec![Operation::Set { to, from, width }]
}

/// The sum of two registers, of which the second may be shifted or extended.
const fn sum(first: Register, second: Register, is_plain: bool) -> Memory {
    Memory {
        base: None,
        offset: 0,
        several: bit(first) | bit(second),
        scaled: !is_plain || first == second,
    }
}

/// The condition in a field; the last two always hold.
fn by_flags(condition: u32) -> Condition {
    match condition {
        0 => Condition::Equal,
        1 => Condition::NotEqual,
        4 => Condition::Signed(Sign::Negative),
        5 => Condition::Signed(Sign::NotNegative),
        10 => Condition::Signed(Sign::GreaterOrEqual),
        11 => Condition::Signed(Sign::Less),
        12 => Condition::Signed(Sign::Greater),
        13 => Condition::Signed(Sign::LessOrEqual),
        _ => Condition::Other,
    }
}

#[cfg(test)]
mod tests;
