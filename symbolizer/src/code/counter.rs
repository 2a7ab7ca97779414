//! A function that counts a number up whose bytes its first argument has, the last byte first.
//!
//! OpenSSL's `tls_increment_sequence_ctr` is such a function. Compilers write its loop in three ways: each byte by itself,
//! a register as index, or a pointer that walks down.

use super::effects::{Place, effects_of};
use super::fixpoint::Function;
use super::value::{Field, Value};
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;

/// How many bytes the number has.
const BYTES: u16 = 8;

/// Returns where in what the first argument points to the number begins; `None` if the function does anything else.
pub(crate) fn counted(function: Function<'_>, entry: Vaddr) -> Option<u16> {
    let effects = effects_of(function, entry).ok()?;
    let mut bytes = Vec::new();
    for store in &effects.stored {
        match (store.to, store.width) {
            (Place::Field(field), 1) => bytes.push(field.one()?.0),
            (Place::Field(_), _) => return None,
            (Place::Stack(_), _) => {}
        }
    }
    bytes.sort_unstable_by(|one, other| other.cmp(one));
    let last = *bytes.first()?;
    let is_in_order = bytes
        .iter()
        .zip((0..=last).rev())
        .all(|(byte, expected)| *byte == expected);
    let first = last.checked_sub(BYTES - 1)?;
    // An index goes down to zero, or to one.
    let is_indexed = |(distance, width): &(i64, u8)| {
        *width == 1 && (*distance == first.into() || distance.checked_add(1) == Some(first.into()))
    };
    let goes_to_first = bytes.len() == usize::from(BYTES)
        || effects.indexed.iter().any(is_indexed)
        || effects
            .compared
            .iter()
            .any(|(left, right, _)| is_end(*left, first) || is_end(*right, first));
    (is_in_order && goes_to_first).then_some(first)
}

/// A pointer that walks down ends at the first byte, or before it.
fn is_end(value: Value, first: u16) -> bool {
    let byte = value.target(1).and_then(Field::one).map(|(at, _)| at);
    byte.is_some_and(|byte| byte == first || byte.checked_add(1) == Some(first))
}

/// Returns whether code may be that of such a function: it changes a byte behind its first argument before long.
pub(crate) fn may_count(machine: Machine, code: &[u8]) -> bool {
    let begin = code.get(..limits::COUNTER_WINDOW).unwrap_or(code);
    match machine {
        // `add` to a byte, `inc` of one, a load of one or its address, at a distance of 32 bits from `rdi`; or a load with
        // an index.
        Machine::X86_64 => begin.windows(2).any(|pair| match pair {
            [0x80 | 0xfe | 0xb6 | 0x8a | 0x8d, operand] => matches!(operand & 0xc7, 0x84 | 0x87),
            _ => false,
        }),
        Machine::Aarch64 => false,
    }
}
