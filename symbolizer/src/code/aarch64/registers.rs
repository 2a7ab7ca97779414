//! What computes with registers alone.

use super::{STACK, bits, by_flags, compute, general, inputs, operand, register, set, sum, width};
use crate::code::operation::{Condition, Memory, Operation, Sign, Source, bit};

pub(super) fn lift(word: u32) -> Option<Vec<Operation>> {
    let operands = inputs(general(word, 5) | general(word, 16));
    if bits(word, 28, 1) == 0 {
        return match (bits(word, 24, 1), bits(word, 21, 1)) {
            (0, _) => logical(word),
            (_, 0) => add(word),
            _ => add_extended(word),
        };
    }
    match bits(word, 21, 4) {
        // With carry; and what sets the flags alone, whose first register is a mask.
        0 if bits(word, 10, 6) == 0 => Some(compute(word, operands)),
        0 if bits(word, 10, 5) == 1 || bits(word, 10, 4) == 2 => Some(vec![Operation::Spoil(0)]),
        // ccmp and ccmn
        2 => Some(vec![Operation::Spoil(0)]),
        4 => select(word),
        // Of one source, which may be signed with what else is in the first register.
        6 if bits(word, 30, 1) == 1 => Some(compute(word, inputs(general(word, 0) | general(word, 5)))),
        6 => Some(compute(word, operands)),
        8..=15 => Some(compute(word, inputs(operands.registers | general(word, 10)))),
        _ => None,
    }
}

/// `and`, `orr`, `eor`, `ands` and what negates the second operand; `mov` and `tst`.
fn logical(word: u32) -> Option<Vec<Operation>> {
    let is_plain = bits(word, 10, 6) == 0 && bits(word, 21, 3) == 0;
    let (left, right, width) = (operand(word, 5)?, operand(word, 16)?, width(word));
    match (bits(word, 29, 2), register(word, 0)?) {
        (1, to) if is_plain && left == Source::Constant(0) => Some(set(to, right, width)),
        (3, STACK) if is_plain => Some(vec![Operation::Test { left, right, width }]),
        _ => Some(compute(word, inputs(general(word, 5) | general(word, 16)))),
    }
}

/// `add` and `sub` of a register that may be shifted; `cmp`.
fn add(word: u32) -> Option<Vec<Operation>> {
    let is_plain = bits(word, 10, 6) == 0;
    let (to, left, right, width) = (register(word, 0)?, operand(word, 5)?, operand(word, 16)?, width(word));
    match (bits(word, 29, 2), left, right) {
        (0, Source::Register(left), Source::Register(right)) => {
            Some(set(to, Source::Address(sum(left, right, is_plain)), width))
        }
        (0, left, Source::Constant(0)) => Some(set(to, left, width)),
        (3, ..) if to == STACK && is_plain => Some(vec![Operation::Compare { left, right, width }]),
        _ => Some(compute(word, inputs(general(word, 5) | general(word, 16)))),
    }
}

/// `add` and `sub` of a register that may be extended, with the stack pointer.
fn add_extended(word: u32) -> Option<Vec<Operation>> {
    let (to, left, right) = (register(word, 0)?, register(word, 5)?, operand(word, 16)?);
    let from = inputs(bit(left) | general(word, 16));
    // All bits of the register, unshifted.
    let is_plain = bits(word, 10, 6) == 0b01_1000;
    match (bits(word, 29, 2), right) {
        (1 | 3, _) => Some(compute(word, from)),
        (0, Source::Register(right)) => {
            let from = Source::Address(sum(left, right, is_plain));
            let width = width(word);
            Some(vec![Operation::Set { to, from, width }])
        }
        _ => Some(vec![Operation::Compute { to: bit(to), from }]),
    }
}

/// `csel`, `csinc`, `csinv` and `csneg`: the first operand if a condition holds, and else what is made of the second.
fn select(word: u32) -> Option<Vec<Operation>> {
    let (to, width) = (register(word, 0)?, width(word));
    let (first, second) = (operand(word, 5)?, operand(word, 16)?);
    let second = match (bits(word, 30, 1), bits(word, 10, 2), second) {
        (0, 0, second) => second,
        (0, 1, Source::Constant(0)) => Source::Constant(1),
        (0, 1, Source::Register(second)) => Source::Address(Memory::at(second, 1)),
        (1, 0, Source::Constant(0)) if width == 4 => Source::Constant(u32::MAX.into()),
        (1, 0, Source::Constant(0)) => Source::Constant(u64::MAX),
        (1, 0 | 1, _) => return Some(compute(word, inputs(general(word, 5) | general(word, 16)))),
        _ => return None,
    };
    let when = by_flags(bits(word, 12, 4));
    if to == STACK {
        return Some(Vec::new());
    }
    // The register is set to one of both first, which must not be what the other one is read from.
    if first == Source::Register(to) {
        let from = second;
        let when = negated(when);
        return Some(vec![Operation::SetIf { when, to, from, width }]);
    }
    let set = Operation::Set {
        to,
        from: second,
        width,
    };
    let set_if = Operation::SetIf {
        when,
        to,
        from: first,
        width,
    };
    Some(vec![set, set_if])
}

const fn negated(when: Condition) -> Condition {
    match when {
        Condition::Equal => Condition::NotEqual,
        Condition::NotEqual => Condition::Equal,
        Condition::Signed(sign) => Condition::Signed(match sign {
            Sign::Less => Sign::GreaterOrEqual,
            Sign::LessOrEqual => Sign::Greater,
            Sign::Greater => Sign::LessOrEqual,
            Sign::GreaterOrEqual => Sign::Less,
            Sign::Negative => Sign::NotNegative,
            Sign::NotNegative => Sign::Negative,
        }),
        Condition::Other => Condition::Other,
    }
}
