//! Code as the compiler makes it, and such as it does not, with arguments in registers and on the stack.

use super::*;

pub(in crate::libraries::go) const NAMES: [&[u8]; 5] = [
    MEMMOVE,
    WRITE_RECORD,
    b"runtime.morestack_noctxt",
    b"net.(*conn).Read",
    b"runtime.newobject",
];

/// Joins pieces of code; `Err` calls the function of a number.
pub(in crate::libraries::go) fn code(pieces: &[Result<&str, usize>]) -> Vec<u8> {
    let mut code = Vec::new();
    for piece in pieces {
        match piece {
            Ok(hex) => {
                let bytes = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap());
                code.extend(bytes);
            }
            Err(index) => {
                let next = BASE.0 + u64::try_from(code.len()).unwrap() + 5;
                let distance = u32::try_from(callee(*index).0 - next).unwrap();
                code.extend([&[0xe8], &distance.to_le_bytes()[..]].concat());
            }
        }
    }
    code
}

pub(in crate::libraries::go) fn registers() -> Convention {
    Convention::of_go(Machine::X86_64)
}

pub(super) const MEMMOVE_AT: usize = 0;
pub(in crate::libraries::go) const WRITE_RECORD_AT: usize = 1;
pub(in crate::libraries::go) const OTHER_AT: usize = 3;
const NEW_OBJECT_AT: usize = 4;

/// push %rbp; sub $0x20,%rsp; mov %rax,0x30(%rsp); mov %rbx,0x38(%rsp)
pub(in crate::libraries::go) const ENTER: &str = "55 48 83 ec 20 48 89 44 24 30 48 89 5c 24 38";
/// add $0x20,%rsp; pop %rbp; ret
pub(in crate::libraries::go) const LEAVE: &str = "48 83 c4 20 5d c3";
/// xor %ebx,%ebx
const FORGET: &str = "31 db";
/// mov 0x30(%rsp),%rsi; mov 0x38(%rsp),%rax; mov 0x40(%rsi),%rbx; mov 0x48(%rsi),%rcx
const COPY: &str = "48 8b 74 24 30 48 8b 44 24 38 48 8b 5e 40 48 8b 4e 48";
/// mov 0x30(%rsp),%rax; mov $23,%ebx; mov 0x38(%rsp),%rcx
pub(in crate::libraries::go) const WRITE: &str = "48 8b 44 24 30 bb 17 00 00 00 48 8b 4c 24 38";

fn read(pieces: &[Result<&str, usize>]) -> Result<Vec<Tap>, Cause> {
    found(Machine::X86_64, registers(), &code(pieces), &NAMES).unwrap().0
}

fn write(pieces: &[Result<&str, usize>]) -> Result<Vec<Tap>, Cause> {
    found(Machine::X86_64, registers(), &code(pieces), &NAMES).unwrap().1
}

#[test]
fn a_read_is_tapped_where_it_copies_to_its_buffer() {
    let taps = read(&[
        Ok(ENTER),
        Ok(FORGET),
        Err(OTHER_AT),
        Ok(COPY),
        Err(MEMMOVE_AT),
        Ok(LEAVE),
    ])
    .unwrap();
    let [tap] = &taps[..] else { panic!("{taps:?}") };
    let register = |number| Operand::at(Place::Register(number), 8);
    assert_eq!(tap.site.address, Vaddr(BASE.0 + 15 + 2 + 5 + 18));
    let Operands {
        object, buffer, count, ..
    } = tap.operands;
    // rsi, rbx, rcx.
    assert_eq!(
        (object, buffer, count),
        (register(4), Some(register(3)), Some(register(2)))
    );
}

#[test]
fn new_memory_is_not_the_buffer() {
    // mov %rcx,(%rax): to what a function returns that is called while a register holds the buffer's address.
    let with = |function| {
        read(&[
            Ok(ENTER),
            Err(function),
            Ok("48 89 08"),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(LEAVE),
        ])
    };
    assert_eq!(with(NEW_OBJECT_AT).unwrap().len(), 1);
    assert!(with(OTHER_AT).is_err());
}

#[test]
fn a_read_whose_buffer_may_be_filled_otherwise_is_refused() {
    let refused = |pieces: &[Result<&str, usize>]| read(pieces).unwrap_err();
    let elsewhere = refused(&[Ok(ENTER), Err(OTHER_AT), Ok(COPY), Err(MEMMOVE_AT), Ok(LEAVE)]);
    assert_eq!(elsewhere, Cause::UnknownCall(Vaddr(BASE.0 + 15)));
    assert_eq!(refused(&[Ok(ENTER), Ok(LEAVE)]), Cause::NoCopy);
    // mov %cl,(%rbx)
    assert_eq!(refused(&[Ok("88 0b c3")]), Cause::CopiedInline(BASE));
    // mov %rbx,(%rax)
    assert_eq!(refused(&[Ok("48 89 18 c3")]), Cause::BufferStored(BASE));
    let twice = [
        Ok(ENTER),
        Ok(COPY),
        Err(MEMMOVE_AT),
        Ok(COPY),
        Err(MEMMOVE_AT),
        Ok(LEAVE),
    ];
    assert_eq!(refused(&twice), Cause::SeveralHandovers(BASE));
    // xor %eax,%eax; mov %rax,0x30(%rsp)
    let lost = [
        Ok(ENTER),
        Ok("31 c0 48 89 44 24 30"),
        Ok(COPY),
        Err(MEMMOVE_AT),
        Ok(LEAVE),
    ];
    assert!(matches!(refused(&lost), Cause::ConnectionLost(_)));
    assert!(matches!(refused(&[Ok("06")]), Cause::NotUnderstood(_)));
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
    for tap in taps {
        let register = |number| Operand::at(Place::Register(number), 8);
        let Operands {
            object, buffer, count, ..
        } = tap.operands;
        // rax, rcx, rdi.
        assert_eq!(
            (object, buffer, count),
            (register(0), Some(register(2)), Some(register(5)))
        );
    }
    // An alert.
    let alert = WRITE.replace("17", "15");
    let alert = [Ok(ENTER), Ok(alert.as_str()), Err(WRITE_RECORD_AT), Ok(LEAVE)];
    assert!(matches!(write(&alert), Err(Cause::TypeLost(_))));
    let elsewhere = [Ok(ENTER), Ok(WRITE), Err(OTHER_AT), Ok(LEAVE)];
    assert!(matches!(write(&elsewhere), Err(Cause::UnknownCall(_))));
}

/// Has code analysed whose arguments are on the stack.
fn on_stack(pieces: &[Result<&str, usize>]) -> (Result<Vec<Tap>, Cause>, Result<Vec<Tap>, Cause>) {
    let convention = Convention::of_go_on_stack(Machine::X86_64);
    found(Machine::X86_64, convention, &code(pieces), &NAMES).unwrap()
}

/// sub $0x28,%rsp: the connection is at 0x30(%rsp), and the slice behind it.
const ENTER_STACK: &str = "48 83 ec 28";
/// add $0x28,%rsp; ret
const LEAVE_STACK: &str = "48 83 c4 28 c3";
/// mov 0x30(%rsp),%rbx; mov 0x38(%rsp),%rdi; mov %rdi,(%rsp); mov 0x40(%rbx),%rsi; mov %rsi,8(%rsp); mov 0x48(%rbx),%rdx;
/// mov %rdx,0x10(%rsp)
const COPY_STACK: &str =
    "48 8b 5c 24 30 48 8b 7c 24 38 48 89 3c 24 48 8b 73 40 48 89 74 24 08 48 8b 53 48 48 89 54 24 10";
/// mov 0x30(%rsp),%rcx; mov %rcx,(%rsp); movb $23,8(%rsp); mov 0x38(%rsp),%rbx; mov %rbx,0x10(%rsp)
const WRITE_STACK: &str = "48 8b 4c 24 30 48 89 0c 24 c6 44 24 08 17 48 8b 5c 24 38 48 89 5c 24 10";
/// movq $0,(%rsp)
const CLEAR_STACK: &str = "48 c7 04 24 00 00 00 00";

pub(super) fn operands(tap: &Tap) -> (Operand, Option<Operand>, Option<Operand>) {
    let Operands {
        object, buffer, count, ..
    } = tap.operands;
    (object, buffer, count)
}

#[test]
fn taps_find_arguments_on_the_stack_where_the_call_leaves_them() {
    let slot = |above| Operand::at(Place::Stack(above), 8);
    let pieces = [Ok(ENTER_STACK), Ok(COPY_STACK), Err(MEMMOVE_AT), Ok(LEAVE_STACK)];
    let taps = on_stack(&pieces).0.unwrap();
    let [tap] = &taps[..] else { panic!("{taps:?}") };
    let rbx = Operand::at(Place::Register(3), 8);
    assert_eq!(operands(tap), (rbx, Some(slot(8)), Some(slot(16))));
    // The same twice: the first byte by itself, as in TLS 1.0.
    let pieces = [
        Ok(ENTER_STACK),
        Ok(WRITE_STACK),
        Err(WRITE_RECORD_AT),
        Ok(WRITE_STACK),
        Err(WRITE_RECORD_AT),
        Ok(LEAVE_STACK),
    ];
    let taps = on_stack(&pieces).1.unwrap();
    assert_eq!(taps.len(), 2);
    for tap in &taps {
        assert_eq!(operands(tap), (slot(0), Some(slot(16)), Some(slot(24))));
    }
    // An alert.
    let alert = WRITE_STACK.replace("17", "15");
    let alert = [
        Ok(ENTER_STACK),
        Ok(alert.as_str()),
        Err(WRITE_RECORD_AT),
        Ok(LEAVE_STACK),
    ];
    assert!(matches!(on_stack(&alert).1, Err(Cause::TypeLost(_))));
}

#[test]
fn what_a_call_has_left_on_the_stack_is_an_argument_of_the_next_one() {
    let with = |between: &[Result<&'static str, usize>]| {
        let before = [Ok(ENTER_STACK), Ok(COPY_STACK), Err(MEMMOVE_AT)];
        on_stack(&[&before[..], between, &[Ok(LEAVE_STACK)]].concat()).0
    };
    assert!(matches!(with(&[Err(OTHER_AT)]), Err(Cause::UnknownCall(_))));
    assert_eq!(with(&[Ok(CLEAR_STACK), Err(OTHER_AT)]).unwrap().len(), 1);
    // mov 0x38(%rsp),%rdi; call *%rax, which may take any register
    let indirect = with(&[Ok(CLEAR_STACK), Ok("48 8b 7c 24 38 ff d0")]);
    assert!(matches!(indirect, Err(Cause::UnknownCall(_))));
}

#[test]
fn a_function_that_another_one_jumps_to_takes_over_its_arguments_on_the_stack() {
    // jmp to what lies far behind
    let elsewhere = on_stack(&[Ok("e9 00 00 01 00")]).0;
    assert_eq!(elsewhere.unwrap_err(), Cause::UnknownCall(BASE));
    // jmp *%rax
    let indirect = on_stack(&[Ok("ff e0")]).0;
    assert!(indirect.is_err(), "{indirect:?}");
}

#[test]
fn an_argument_on_the_stack_that_may_be_another_one_by_now_is_refused() {
    let with = |before: &[Result<&'static str, usize>]| {
        let after = [Ok(COPY_STACK), Err(MEMMOVE_AT), Ok(LEAVE_STACK)];
        on_stack(&[&[Ok(ENTER_STACK)], before, &after[..]].concat()).0
    };
    assert_eq!(
        with(&[Err(OTHER_AT)]).unwrap().len(),
        1,
        "a call leaves them as they are"
    );
    // movq $0,0x30(%rsp)
    let changed = with(&[Ok("48 c7 44 24 30 00 00 00 00")]);
    assert!(matches!(changed, Err(Cause::ConnectionLost(_))));
    // lea 0x30(%rsp),%rax; mov %rax,(%rsp)
    let taken = with(&[Ok("48 8d 44 24 30 48 89 04 24"), Err(OTHER_AT)]);
    assert!(matches!(taken, Err(Cause::ConnectionLost(_))), "{taken:?}");
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
    }
}
