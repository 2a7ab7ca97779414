//! What branches, calls and returns, and what touches the system.

use super::{bits, by_flags, compute, first, general, inputs, operand, register, signed, width};
use crate::code::operation::{Condition, Destination, Inputs, Operation, Sign, Source};
use crate::elf::address::Vaddr;

/// The registers that hints write.
const X16: u32 = 1 << 16;
const X17: u32 = 1 << 17;
const X30: u32 = 1 << 30;

pub(super) fn lift(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    let operation = match word & 0xfc00_0000 {
        0x1400_0000 => Operation::Jump(Destination::Code(target(at, word, 0, 26)?)),
        0x9400_0000 => Operation::Call(Destination::Code(target(at, word, 0, 26)?)),
        0x5400_0000 => by_condition(word, at)?,
        0x3400_0000 | 0xb400_0000 => on_register(word, at)?,
        // brk
        0xd400_0000 if word & 0xffe0_001f == 0xd420_0000 => Operation::Trap,
        0xd400_0000 => return system(word),
        _ => return None,
    };
    Some(vec![operation])
}

/// `udf`: permanently undefined, as are zeros.
pub(super) fn undefined(word: u32) -> Option<Vec<Operation>> {
    (word & 0xffff_0000 == 0).then(|| vec![Operation::Trap])
}

/// The condition of a jump on the flags, as the instruction encodes it; the lowest bit negates it.
pub(in crate::code) fn condition(code: &[u8]) -> Option<u8> {
    condition_of(first(code)?)
}

fn condition_of(word: u32) -> Option<u8> {
    let condition = (word & 0xff00_0000 == 0x5400_0000).then(|| bits(word, 0, 4))?;
    u8::try_from(condition).ok().filter(|condition| *condition < 14)
}

/// An address below the function's beginning may wrap around, and is outside like one behind its end.
fn target(at: Vaddr, word: u32, low: u32, count: u32) -> Option<Vaddr> {
    let distance = signed(word, low, count)?.checked_mul(4)?;
    Some(Vaddr(at.0.wrapping_add_signed(distance)))
}

/// `b.cond`, with a hint or without.
fn by_condition(word: u32, at: Vaddr) -> Option<Operation> {
    let target = target(at, word, 5, 19)?;
    if word & 0xff00_0000 != 0x5400_0000 {
        return None;
    }
    Some(match condition_of(word) {
        Some(condition) => Operation::Branch {
            when: by_flags(condition.into()),
            target,
        },
        None => Operation::Jump(Destination::Code(target)),
    })
}

/// `cbz`, `cbnz`, `tbz` and `tbnz`.
fn on_register(word: u32, at: Vaddr) -> Option<Operation> {
    let is_set = bits(word, 24, 1) == 1;
    let is_of_bit = bits(word, 25, 1) == 1;
    let (when, width, target) = if is_of_bit {
        let number = bits(word, 31, 1) << 5 | bits(word, 19, 5);
        let sign = Condition::Signed(if is_set { Sign::Negative } else { Sign::NotNegative });
        // The highest bit is the sign; any other says nothing of the whole.
        let (when, width) = match number {
            31 => (sign, 4),
            63 => (sign, 8),
            _ => (Condition::Other, width(word)),
        };
        (when, width, target(at, word, 5, 14)?)
    } else {
        let when = if is_set { Condition::NotEqual } else { Condition::Equal };
        (when, width(word), target(at, word, 5, 19)?)
    };
    Some(Operation::BranchOn {
        compared: (operand(word, 0)?, Source::Constant(0)),
        width,
        when,
        target,
    })
}

/// Branches to addresses in registers, hints, barriers and system registers.
fn system(word: u32) -> Option<Vec<Operation>> {
    let through = || Some(Source::Register(register(word, 5)?));
    if matches!(word, 0xd65f_03c0 | 0xd65f_0bff | 0xd65f_0fff) {
        return Some(vec![Operation::Return]);
    }
    // With the address signed or not.
    if word & 0xffff_fc1f == 0xd61f_0000 || word & 0xfeff_f800 == 0xd61f_0800 {
        return Some(vec![Operation::JumpThrough(through()?)]);
    }
    if word & 0xffff_fc1f == 0xd63f_0000 || word & 0xfeff_f800 == 0xd63f_0800 {
        return Some(vec![Operation::CallThrough(through()?)]);
    }
    match word & 0xffff_f01f {
        0xd503_201f => return Some(hint(bits(word, 5, 7))),
        0xd503_301f => return Some(Vec::new()),
        _ => {}
    }
    match word & 0xfff0_0000 {
        // mrs and msr
        0xd530_0000 => Some(compute(word, Inputs::default())),
        0xd510_0000 => Some(vec![Operation::Hide(inputs(general(word, 0))), Operation::Spoil(0)]),
        _ => None,
    }
}

/// `nop`, `bti`, `paciasp` and the like, of which some sign an address in a register, or check it.
fn hint(number: u32) -> Vec<Operation> {
    let (to, from) = match number {
        // xpaclri; paciaz to autibsp
        7 | 24..=31 => (X30, X30),
        // pacia1716 to autib1716
        8 | 10 | 12 | 14 => (X17, X16 | X17),
        // chkfeat
        40 => (X16, X16),
        _ => return Vec::new(),
    };
    let from = inputs(from);
    vec![Operation::Compute { to, from }]
}
