//! A function that counts a number up whose bytes its first argument has, the last byte first.
//!
//! OpenSSL's `tls_increment_sequence_ctr` is such a function. Compilers write its loop in three ways: each byte by itself,
//! a register as index, or a pointer that walks down.

use super::effects::{Place, effects_of};
use super::field::Field;
use super::fixpoint::Function;
use super::value::Value;
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
    // The last byte comes first, whatever the order of the code that follows.
    let last = *bytes.first()?;
    bytes.sort_unstable_by(|one, other| other.cmp(one));
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::code::bytes::Code;
    use crate::code::callee::Callee;
    use crate::code::convention::Convention;

    fn counts(bytes: &[u8]) -> Option<u16> {
        let address = Vaddr(0x1000);
        let machine = Machine::X86_64;
        let code = Code {
            machine,
            bytes,
            address,
        };
        let function = Function {
            code,
            convention: Convention::of(machine),
            is_start: &|_| false,
            callee: &|_| Callee::ANY,
            never_returns: &|_| false,
            budget: &Cell::new(limits::ANALYSIS_STEPS),
        };
        let found = counted(function, address);
        assert!(found.is_none() || may_count(machine, bytes));
        found
    }

    /// Counts bytes of `rdi` in this order, as far as each overflows: `addb $1,N(%rdi); jne end`, and `ret`.
    fn unrolled(offsets: impl ExactSizeIterator<Item = u16>) -> Vec<u8> {
        let mut left = offsets.len();
        let step = |offset: u16| {
            left -= 1;
            let [low, high] = offset.to_le_bytes();
            [0x80, 0x87, low, high, 0, 0, 1, 0x75, u8::try_from(9 * left).unwrap()]
        };
        offsets.flat_map(step).chain([0xc3]).collect()
    }

    #[test]
    fn a_loop_that_is_unrolled_is_understood() {
        assert_eq!(
            counts(&unrolled((0x1000..0x1008).rev().collect::<Vec<_>>().into_iter())),
            Some(0x1000)
        );
    }

    #[test]
    fn a_loop_with_an_index_is_understood_with_its_first_round_apart_and_without() {
        // gcc 8 -O1: movzbl; add; mov; test; jne; mov $6; movzbl (,%rax); lea; mov (,%rax); test; jne; sub; cmp; jne; ret
        let apart = [
            0x0f, 0xb6, 0x87, 7, 0x10, 0, 0, 0x83, 0xc0, 1, 0x88, 0x87, 7, 0x10, 0, 0, 0x84, 0xc0, 0x75, 0x25, 0xb8, 6,
            0, 0, 0, 0x0f, 0xb6, 0x8c, 7, 0, 0x10, 0, 0, 0x8d, 0x51, 1, 0x88, 0x94, 7, 0, 0x10, 0, 0, 0x84, 0xd2, 0x75,
            0x0a, 0x48, 0x83, 0xe8, 1, 0x48, 0x83, 0xf8, 0xff, 0x75, 0xe0, 0xc3,
        ];
        assert_eq!(counts(&apart), Some(0x1000));
        // gcc 12 -O2: push; mov $8; mov; jmp; movzbl (,%rax); lea; lea; mov (,%rax); test; jne; mov; test; jne; pop; ret
        let whole = [
            0x53, 0xb8, 8, 0, 0, 0, 0x48, 0x89, 0xfb, 0xeb, 0x1d, 0x0f, 0xb6, 0xb4, 3, 0xff, 0x0f, 0, 0, 0x48, 0x8d,
            0x48, 0xff, 0x8d, 0x56, 1, 0x88, 0x94, 3, 0xff, 0x0f, 0, 0, 0x84, 0xd2, 0x75, 8, 0x48, 0x89, 0xc8, 0x48,
            0x85, 0xc0, 0x75, 0xde, 0x5b, 0xc3,
        ];
        assert_eq!(counts(&whole), Some(0x1000));
    }

    #[test]
    fn an_index_that_is_counted_down_first_is_understood() {
        // clang -Os: mov $9,%eax; dec %eax; incb 0xfff(%rdi,%rax); jne; cmp $1,%eax; ja; ret
        let code = [
            0xb8, 9, 0, 0, 0, 0xff, 0xc8, 0xfe, 0x84, 7, 0xff, 0x0f, 0, 0, 0x75, 5, 0x83, 0xf8, 1, 0x77, 0xf0, 0xc3,
        ];
        assert_eq!(counts(&code), Some(0x1000));
    }

    #[test]
    fn a_pointer_that_walks_down_is_understood() {
        // lea 0x1007(%rdi),%rax; lea 0xfff(%rdi),%rcx; addb $1,(%rax); jne; sub $1,%rax; cmp %rcx,%rax; jne; ret
        let code = [
            0x48, 0x8d, 0x87, 7, 0x10, 0, 0, 0x48, 0x8d, 0x8f, 0xff, 0x0f, 0, 0, 0x80, 0, 1, 0x75, 9, 0x48, 0x83, 0xe8,
            1, 0x48, 0x39, 0xc8, 0x75, 0xf2, 0xc3,
        ];
        assert_eq!(counts(&code), Some(0x1000));
    }

    #[test]
    fn a_function_that_counts_otherwise_is_none() {
        assert_eq!(
            counts(&unrolled((0x1000..0x1008).collect::<Vec<_>>().into_iter())),
            None,
            "first byte first"
        );
        assert_eq!(
            counts(&unrolled((0x1001..0x1008).rev().collect::<Vec<_>>().into_iter())),
            None,
            "seven bytes"
        );
        assert_eq!(
            counts(&unrolled((0x0fff..0x1008).rev().collect::<Vec<_>>().into_iter())),
            None,
            "nine bytes"
        );
        assert_eq!(counts(&unrolled([0x1007].into_iter())), None, "one byte");
        assert_eq!(counts(&[0x48, 0x83, 0x87, 0, 0x10, 0, 0, 1, 0xc3]), None, "a word"); // addq $1,0x1000(%rdi)
        assert_eq!(counts(&[0xc3]), None);
    }
}
