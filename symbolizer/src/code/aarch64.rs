//! Instructions of aarch64 as operations.
//!
//! Encodings are those of the Arm Architecture Reference Manual (C4.1). An instruction that only computes spoils its
//! destination. Every other that accessors do not use is unknown, because so is what it writes.

use super::convention::Register;
use super::operation::{Condition, Destination, Lifted, Memory, Operation, Source};
use crate::elf::address::Vaddr;

/// The stack pointer and the zero register share the number 31; here it is always the stack pointer.
const STACK: Register = 31;
const LENGTH: u64 = 4;

/// Translates the first instruction of some bytes, which lie at `at`.
pub(super) fn lift(code: &[u8], at: Vaddr) -> Option<Lifted> {
    let word = u32::from_le_bytes(*code.first_chunk()?);
    let readers = [hint, load_or_store, pair, compare_or_add, moved, computed];
    let operations = readers
        .into_iter()
        .find_map(|read| read(word))
        .or_else(|| control(word, at))?;
    Some(Lifted {
        operations,
        length: LENGTH,
    })
}

/// Some bits of an instruction.
const fn bits(word: u32, low: u32, count: u32) -> u32 {
    (word >> low) & ((1 << count) - 1)
}

fn register(word: u32, low: u32) -> Option<Register> {
    Register::try_from(bits(word, low, 5)).ok()
}

/// A register where 31 means zero.
fn operand(word: u32, low: u32) -> Option<Source> {
    let register = register(word, low)?;
    Some(if register == STACK {
        Source::Constant(0)
    } else {
        Source::Register(register)
    })
}

/// A signed number of words.
fn words(word: u32, low: u32, count: u32) -> Option<i64> {
    let value = i64::from(bits(word, low, count));
    let whole = 1_i64.checked_shl(count)?;
    let signed = if value >= whole >> 1 {
        value.checked_sub(whole)?
    } else {
        value
    };
    signed.checked_mul(4)
}

/// An address below the function's beginning may wrap around, and is outside like one behind its end.
const fn target(at: Vaddr, words: i64) -> Vaddr {
    Vaddr(at.0.wrapping_add_signed(words))
}

/// `nop`, `bti`, `paciasp` and the like.
fn hint(word: u32) -> Option<Vec<Operation>> {
    (word & 0xffff_f01f == 0xd503_201f).then(Vec::new)
}

/// `ldr` and `str` of general registers with an unsigned offset.
fn load_or_store(word: u32) -> Option<Vec<Operation>> {
    (word & 0x3f00_0000 == 0x3900_0000).then_some(())?;
    let width = 1_u8.checked_shl(bits(word, 30, 2))?;
    let offset = i64::from(bits(word, 10, 12)).checked_mul(width.into())?;
    let memory = Memory::at(register(word, 5)?, offset);
    let operation = match bits(word, 22, 2) {
        0 => Operation::Store {
            to: memory,
            from: operand(word, 0)?,
            width,
        },
        1 if bits(word, 0, 5) == 31 => return Some(Vec::new()),
        1 => Operation::Set {
            to: register(word, 0)?,
            from: Source::Memory(memory),
            width,
        },
        _ => return None,
    };
    Some(vec![operation])
}

/// `stp` and `ldp` of 64-bit registers.
fn pair(word: u32) -> Option<Vec<Operation>> {
    (word & 0xfe00_0000 == 0xa800_0000).then_some(())?;
    let base = register(word, 5)?;
    let by = words(word, 15, 7)?.checked_mul(2)?;
    // Written back after the access, not at all, or before it.
    let (before, offset, after) = match bits(word, 23, 2) {
        1 => (0, 0, by),
        2 => (0, by, 0),
        3 => (by, 0, 0),
        _ => return None,
    };
    let moved = |amount| {
        let from = Source::Address(Memory::at(base, amount));
        (amount != 0).then_some(Operation::Set {
            to: base,
            from,
            width: 8,
        })
    };
    let place = |offset| Memory::at(base, offset);
    let (first, second) = (place(offset), place(offset.checked_add(8)?));
    let loads = bits(word, 22, 1) == 1;
    let access = |low, memory| {
        Some(if loads {
            Operation::Set {
                to: register(word, low)?,
                from: Source::Memory(memory),
                width: 8,
            }
        } else {
            Operation::Store {
                to: memory,
                from: operand(word, low)?,
                width: 8,
            }
        })
    };
    // A pair that loads its own base, or the stack pointer's number, is no pair that compilers write.
    let odd = [register(word, 0)?, register(word, 10)?]
        .iter()
        .any(|loaded| *loaded == base || *loaded == STACK);
    (!(loads && odd)).then_some(())?;
    let access = [access(0, first)?, access(10, second)?];
    Some(moved(before).into_iter().chain(access).chain(moved(after)).collect())
}

/// `add`, `sub` and `cmp` with a number, and `cmp` of registers.
fn compare_or_add(word: u32) -> Option<Vec<Operation>> {
    let width = if bits(word, 31, 1) == 1 { 8 } else { 4 };
    if word & 0x7fe0_fc1f == 0x6b00_001f {
        let (left, right) = (operand(word, 5)?, operand(word, 16)?);
        return Some(vec![Operation::Compare { left, right, width }]);
    }
    (word & 0x1f80_0000 == 0x1100_0000).then_some(())?;
    let shift = if bits(word, 22, 1) == 1 { 12 } else { 0 };
    let number = bits(word, 10, 12).checked_shl(shift)?;
    let base = register(word, 5)?;
    match (bits(word, 29, 2), register(word, 0)?) {
        (3, STACK) => {
            let (left, right) = (Source::Register(base), Source::Constant(number.into()));
            Some(vec![Operation::Compare { left, right, width }])
        }
        (kind @ (0 | 2), to) => {
            let offset = if kind == 0 {
                i64::from(number)
            } else {
                i64::from(number).checked_neg()?
            };
            let from = Source::Address(Memory::at(base, offset));
            Some(vec![Operation::Set { to, from, width }])
        }
        _ => None,
    }
}

/// `mov` between registers, `mov` of a number, and addresses of the image.
fn moved(word: u32) -> Option<Vec<Operation>> {
    let to = register(word, 0)?;
    let width = if bits(word, 31, 1) == 1 { 8 } else { 4 };
    if to == STACK {
        return None;
    }
    if word & 0x7fe0_ffe0 == 0x2a00_03e0 {
        return Some(vec![Operation::Set {
            to,
            from: operand(word, 16)?,
            width,
        }]);
    }
    if word & 0x7f80_0000 == 0x5280_0000 {
        let shift = bits(word, 21, 2).checked_mul(16)?;
        let number = u64::from(bits(word, 5, 16)).checked_shl(shift)?;
        return Some(vec![Operation::Set {
            to,
            from: Source::Constant(number),
            width,
        }]);
    }
    None
}

/// What else computes from numbers and registers: all of it writes one register, or the flags alone.
fn computed(word: u32) -> Option<Vec<Operation>> {
    // ccmp and ccmn, tst with a number, tst with a register
    let is_test =
        word & 0x3fe0_0000 == 0x3a40_0000 || word & 0x7f80_001f == 0x7200_001f || word & 0x7f20_001f == 0x6a00_001f;
    if is_test {
        return Some(vec![Operation::Spoil(0)]);
    }
    let is_computed = word & 0x1c00_0000 == 0x1000_0000 || word & 0x0e00_0000 == 0x0a00_0000;
    // The number 31 may mean the stack pointer here.
    let to = register(word, 0).filter(|to| *to != STACK)?;
    is_computed.then(|| vec![Operation::Spoil(1_u32 << to)])
}

fn control(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    // ret and retaa
    if matches!(word, 0xd65f_03c0 | 0xd65f_0bff) {
        return Some(vec![Operation::Return]);
    }
    // brk
    if word & 0xffe0_001f == 0xd420_0000 {
        return Some(vec![Operation::Trap]);
    }
    if word & 0xfc00_0000 == 0x1400_0000 {
        return Some(vec![Operation::Jump(Destination::Code(target(
            at,
            words(word, 0, 26)?,
        )))]);
    }
    // bl and blr
    if word & 0xfc00_0000 == 0x9400_0000 {
        return Some(vec![Operation::Call(Destination::Code(target(
            at,
            words(word, 0, 26)?,
        )))]);
    }
    if word & 0xffff_fc1f == 0xd63f_0000 {
        return Some(vec![Operation::Call(Destination::Unknown)]);
    }
    if word & 0xff00_0010 == 0x5400_0000 {
        let when = match bits(word, 0, 4) {
            0 => Condition::Equal,
            1 => Condition::NotEqual,
            _ => Condition::Other,
        };
        let target = target(at, words(word, 5, 19)?);
        return Some(vec![Operation::Branch { when, target }]);
    }
    branch_on_register(word, at)
}

/// `cbz`, `cbnz`, `tbz` and `tbnz`.
fn branch_on_register(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    let width = if bits(word, 31, 1) == 1 { 8 } else { 4 };
    let when = if bits(word, 24, 1) == 0 {
        Condition::Equal
    } else {
        Condition::NotEqual
    };
    let left = operand(word, 0)?;
    match word & 0x7e00_0000 {
        0x3400_0000 => {
            let compared = (left, Source::Constant(0));
            let target = target(at, words(word, 5, 19)?);
            Some(vec![Operation::BranchOn {
                compared,
                width,
                when,
                target,
            }])
        }
        // The bit of a field says nothing of the whole.
        0x3600_0000 => {
            let target = target(at, words(word, 5, 14)?);
            Some(vec![Operation::Branch {
                when: Condition::Other,
                target,
            }])
        }
        _ => None,
    }
}
