//! Code of aarch64 as the compiler makes it, and such as it does not.

use super::tests::{MEMMOVE_AT, NAMES, OTHER_AT, WRITE_RECORD_AT, operands};
use super::*;

/// Joins pieces of code; `Err` calls the function of a number.
fn code(pieces: &[Result<&str, usize>]) -> Vec<u8> {
    let mut code = Vec::new();
    for piece in pieces {
        match piece {
            Ok(words) => {
                let words = words.split(' ').map(|word| u32::from_str_radix(word, 16).unwrap());
                code.extend(words.flat_map(u32::to_le_bytes));
            }
            Err(index) => {
                let here = BASE.0 + u64::try_from(code.len()).unwrap();
                let distance = u32::try_from((callee(*index).0 - here) / 4).unwrap();
                code.extend((0x9400_0000 | distance).to_le_bytes());
            }
        }
    }
    code
}

/// str x30, [sp, #-48]!; stur x29, [sp, #-8]; sub x29, sp, #8; str x0, [sp, #56]; str x1, [sp, #64]
const ENTER: &str = "f81d0ffe f81f83fd d10023fd f9001fe0 f90023e1";
/// ldur x29, [sp, #-8]; ldr x30, [sp], #48; ret
const LEAVE: &str = "f85f83fd f84307fe d65f03c0";
/// mov x1, xzr
const FORGET: &str = "aa1f03e1";
/// ldr x3, [sp, #56]; ldr x0, [sp, #64]; ldr x1, [x3, #64]; ldr x2, [x3, #72]
const COPY: &str = "f9401fe3 f94023e0 f9402061 f9402462";
/// ldr x0, [sp, #56]; mov x1, #23; ldr x2, [sp, #64]
const WRITE: &str = "f9401fe0 d28002e1 f94023e2";

fn both(convention: Convention, pieces: &[Result<&str, usize>]) -> (Result<Vec<Tap>, Cause>, Result<Vec<Tap>, Cause>) {
    found(Machine::Aarch64, convention, &code(pieces), &NAMES).unwrap()
}

fn read(pieces: &[Result<&str, usize>]) -> Result<Vec<Tap>, Cause> {
    both(Convention::of_go(Machine::Aarch64), pieces).0
}

fn write(pieces: &[Result<&str, usize>]) -> Result<Vec<Tap>, Cause> {
    both(Convention::of_go(Machine::Aarch64), pieces).1
}

const fn register(number: u8) -> Operand {
    Operand::at(Place::Register(number), 8)
}

#[test]
fn a_read_is_tapped_where_it_copies_to_its_buffer() {
    let pieces = [
        Ok(ENTER),
        Ok(FORGET),
        Err(OTHER_AT),
        Ok(COPY),
        Err(MEMMOVE_AT),
        Ok(LEAVE),
    ];
    let taps = read(&pieces).unwrap();
    let [tap] = &taps[..] else { panic!("{taps:?}") };
    assert_eq!(tap.site.address, Vaddr(BASE.0 + 44));
    assert_eq!(
        (tap.site.tier, tap.site.instruction),
        (Tier::Emulated, Instruction::Call)
    );
    assert_eq!(operands(tap), (register(3), Some(register(1)), Some(register(2))));
}

#[test]
fn a_write_is_tapped_where_it_hands_its_buffer_on_as_application_data() {
    let pieces = [
        Ok(ENTER),
        Ok(WRITE),
        Err(WRITE_RECORD_AT),
        Ok(WRITE),
        Err(WRITE_RECORD_AT),
        Ok(LEAVE),
    ];
    let taps = write(&pieces).unwrap();
    assert_eq!(taps.len(), 2);
    for tap in &taps {
        assert_eq!(operands(tap), (register(0), Some(register(2)), Some(register(3))));
    }
    // mov x1, #21: an alert.
    let alert = WRITE.replace("d28002e1", "d28002a1");
    let alert = [Ok(ENTER), Ok(alert.as_str()), Err(WRITE_RECORD_AT), Ok(LEAVE)];
    assert!(matches!(write(&alert), Err(Cause::TypeLost(_))));
}

#[test]
fn a_function_whose_buffer_may_go_elsewhere_is_refused() {
    let with = |word: &'static str| read(&[Ok(ENTER), Ok(word), Ok(FORGET), Ok(COPY), Err(MEMMOVE_AT), Ok(LEAVE)]);
    let behind_entry = Vaddr(BASE.0 + 20);
    assert_eq!(with("d503201f").unwrap().len(), 1, "nop");
    for (word, what) in [
        ("3dc013e0", "ldr q0, [sp, #64]"),
        ("3cc383e0", "ldur q0, [sp, #56]"),
        ("9e670020", "fmov d0, x1"),
    ] {
        assert_eq!(with(word).unwrap_err(), Cause::NotUnderstood(behind_entry), "{what}");
    }
    assert_eq!(
        with("3dc01000").unwrap().len(),
        1,
        "ldr q0, [x0, #64]: of the connection"
    );
    assert_eq!(
        with("39000022").unwrap_err(),
        Cause::CopiedInline(behind_entry),
        "strb w2, [x1]"
    );
    assert_eq!(
        with("f9000001").unwrap_err(),
        Cause::BufferStored(behind_entry),
        "str x1, [x0]"
    );
    // blr x3
    let indirect = read(&[Ok(ENTER), Ok("d63f0060"), Ok(COPY), Err(MEMMOVE_AT), Ok(LEAVE)]);
    assert_eq!(indirect.unwrap_err(), Cause::UnknownCall(behind_entry));
}

#[test]
fn what_is_no_argument_counts_where_the_called_function_may_find_it() {
    for (word, what) in [
        ("aa0103fa", "mov x26, x1: for a closure"),
        ("aa0103f4", "mov x20, x1: for duffcopy"),
    ] {
        let called = read(&[
            Ok(ENTER),
            Ok(word),
            Ok(FORGET),
            Err(OTHER_AT),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(LEAVE),
        ]);
        assert_eq!(called.unwrap_err(), Cause::UnknownCall(Vaddr(BASE.0 + 28)), "{what}");
    }
}

/// str x30, [sp, #-48]!: the connection is at sp + 56, and the slice behind it.
const ENTER_STACK: &str = "f81d0ffe";
/// ldr x30, [sp], #48; ret
const LEAVE_STACK: &str = "f84307fe d65f03c0";
/// ldr x3, [sp, #56]; ldr x0, [sp, #64]; str x0, [sp, #8]; ldr x1, [x3, #64]; str x1, [sp, #16]; ldr x2, [x3, #72];
/// str x2, [sp, #24]
const COPY_STACK: &str = "f9401fe3 f94023e0 f90007e0 f9402061 f9000be1 f9402462 f9000fe2";
/// ldr x0, [sp, #56]; str x0, [sp, #8]; mov x1, #23; strb w1, [sp, #16]; ldr x0, [sp, #64]; str x0, [sp, #24]
const WRITE_STACK: &str = "f9401fe0 f90007e0 d28002e1 390043e1 f94023e0 f9000fe0";

#[test]
fn taps_find_arguments_on_the_stack_above_the_place_of_the_return_address() {
    let on_stack = |pieces: &[Result<&str, usize>]| both(Convention::of_go_on_stack(Machine::Aarch64), pieces);
    let slot = |above| Operand::at(Place::Stack(above), 8);
    let pieces = [Ok(ENTER_STACK), Ok(COPY_STACK), Err(MEMMOVE_AT), Ok(LEAVE_STACK)];
    let taps = on_stack(&pieces).0.unwrap();
    let [tap] = &taps[..] else { panic!("{taps:?}") };
    assert_eq!(operands(tap), (register(3), Some(slot(16)), Some(slot(24))));
    let pieces = [Ok(ENTER_STACK), Ok(WRITE_STACK), Err(WRITE_RECORD_AT), Ok(LEAVE_STACK)];
    let taps = on_stack(&pieces).1.unwrap();
    let [tap] = &taps[..] else { panic!("{taps:?}") };
    assert_eq!(operands(tap), (slot(8), Some(slot(24)), Some(slot(32))));
    // The last word of the arguments of the called function, and the first behind them.
    for (store, is_refused) in [("f90017e0", true), ("f9001be0", false)] {
        let buffer = format!("f94023e0 {store}");
        let called = on_stack(&[
            Ok(ENTER_STACK),
            Ok(COPY_STACK),
            Err(MEMMOVE_AT),
            Ok("f90007ff"),
            Ok(buffer.as_str()),
            Ok("aa1f03e0"),
            Err(OTHER_AT),
            Ok(LEAVE_STACK),
        ]);
        assert_eq!(called.0.is_err(), is_refused, "{store}");
    }
}

#[test]
fn no_code_makes_it_panic() {
    let whole = code(&[
        Ok(ENTER),
        Ok(FORGET),
        Err(OTHER_AT),
        Ok(COPY),
        Err(MEMMOVE_AT),
        Ok(LEAVE),
    ]);
    for cut in 0..whole.len() {
        any_code(&whole[..cut]);
        any_code(&whole[cut..]);
        let mut damaged = whole.clone();
        damaged[cut] ^= 0x20;
        any_code(&damaged);
    }
}
