//! What becomes of arguments in straight code of x86-64.

use super::*;
use crate::code::bytes::Code;
use crate::code::lift::lift;
use crate::elf::machine::Machine;

const RCX: Register = 1;
const RDX: Register = 2;
const RSP: Register = 4;
const RBP: Register = 5;
const RSI: Register = 6;
const RDI: Register = 7;
const R8: Register = 8;

fn argument(index: usize) -> Value {
    Value::Field(Field::argument(index))
}

/// The lower 32 bits of an argument, extended.
fn half(index: usize) -> Value {
    argument(index).truncated(4)
}

/// Returns what registers hold after straight code.
fn after(code: &[u8]) -> State {
    let code = Code {
        machine: Machine::X86_64,
        bytes: code,
        address: Vaddr(0x1000),
    };
    let mut state = State::at_entry(code.address, Convention::of(code.machine));
    while code.contains(state.at) {
        let instruction = lift(code, state.at).unwrap();
        for operation in instruction.operations {
            assert_eq!(state.step(operation), Some(Step::Next));
        }
        state.at = state.at.checked_add(instruction.length).unwrap();
    }
    state
}

#[test]
fn arguments_are_followed_through_copies() {
    let state = after(&[0x48, 0x89, 0xfd, 0x48, 0x63, 0xd2, 0x49, 0x89, 0xc8]); // mov rbp,rdi; movsxd rdx,edx; mov r8,rcx
    assert_eq!(state.register(RBP), argument(0));
    assert_eq!(state.register(RDX), half(2));
    assert_eq!(state.register(R8), argument(3));
}

#[test]
fn the_stack_pointer_is_followed_through_frames_and_pointers_to_them() {
    // push rbp; mov rbp,rsp; sub rsp,0x10; lea rcx,[rbp-8]
    let frame = [0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0x48, 0x8d, 0x4d, 0xf8];
    assert_eq!(after(&frame).register(RSP), Value::Stack(-24));
    assert_eq!(after(&frame).register(RCX), Value::Stack(-16));
    let left = [&frame[..], &[0xc9]].concat(); // leave
    assert_eq!(after(&left).register(RSP), Value::Stack(0));
    assert_eq!(after(&[0x53, 0x5b]).register(RSP), Value::Stack(0)); // push rbx; pop rbx
    assert_eq!(after(&[0x48, 0x83, 0xc4, 0x08]).register(RSP), Value::Stack(8)); // add rsp,8
}

#[test]
fn a_stack_pointer_that_is_aligned_is_unknown() {
    assert_eq!(after(&[0x48, 0x83, 0xe4, 0xf0]).register(RSP), Value::Unknown); // and rsp,-16
    assert_eq!(after(&[0xc9]).register(RSP), Value::Unknown); // leave, of an unknown frame
}

#[test]
fn whatever_is_not_followed_is_unknown() {
    assert_eq!(after(&[0x48, 0x8b, 0x3f]).register(RDI), Value::Unknown); // mov rdi,[rdi]
    assert_eq!(after(&[0x40, 0xb7, 0x01]).register(RDI), Value::Unknown); // mov dil,1
    assert_eq!(after(&[0x48, 0x0f, 0x44, 0xfe]).register(RDI), Value::Unknown); // cmove rdi,rsi
    assert_eq!(after(&[0x48, 0x87, 0xfe]).register(RSI), Value::Unknown); // xchg rsi,rdi
    assert_eq!(after(&[0x48, 0xff, 0xc6]).register(RSI), Value::Unknown); // inc rsi
    assert_eq!(after(&[0x48, 0x83, 0xc7, 0x01]).register(RDI), Value::Unknown); // add rdi,1
    assert_eq!(after(&[0x5f]).register(RDI), Value::Unknown); // pop rdi
}

#[test]
fn constants_are_followed_and_their_signs_are_not() {
    assert_eq!(after(&[0x31, 0xc9]).register(RCX), Value::Constant(0)); // xor ecx,ecx
    assert_eq!(after(&[0x33, 0xca]).register(RCX), Value::Unknown); // xor ecx,edx
    assert_eq!(after(&[0xb9, 7, 0, 0, 0]).register(RCX), Value::Constant(7)); // mov ecx,7
    assert_eq!(
        after(&[0xb9, 7, 0, 0, 0, 0x48, 0x63, 0xc9]).register(RCX),
        Value::Unknown
    ); // movsxd rcx,ecx
}

#[test]
fn numbers_are_added_to() {
    let seven = [0xb9, 7, 0, 0, 0]; // mov ecx,7
    let after = |code: &[u8]| after(&[&seven, code].concat()).register(RCX);
    assert_eq!(after(&[0xff, 0xc1]), Value::Constant(8)); // inc ecx
    assert_eq!(after(&[0x48, 0xff, 0xc9]), Value::Constant(6)); // dec rcx
    assert_eq!(after(&[0x83, 0xe9, 8]), Value::Constant(0xffff_ffff)); // sub ecx,8
    assert_eq!(after(&[0x48, 0x8d, 0x49, 0xf7]), Value::Constant(u64::MAX - 1)); // lea rcx,[rcx-9]
    assert_eq!(after(&[0x48, 0x8d, 0x0c, 0xcd, 0, 0, 0, 0]), Value::Unknown); // lea rcx,[rcx*8]
    assert_eq!(after(&[0x48, 0x8d, 0x0c, 0x09]), Value::Unknown); // lea rcx,[rcx+rcx]
}

#[test]
fn half_an_argument_is_not_the_argument() {
    assert_eq!(after(&[0x89, 0xd2]).register(RDX), half(2)); // mov edx,edx
    assert_eq!(after(&[0x89, 0xff, 0x48, 0x89, 0xf9]).register(RCX), half(0)); // mov edi,edi; mov rcx,rdi
}

#[test]
fn a_call_leaves_only_what_it_must_preserve() {
    let mut state = after(&[0x48, 0x89, 0xfd]); // mov rbp,rdi
    state.call();
    assert_eq!(state.arguments::<5>(), [Value::Unknown; 5]);
    assert_eq!(state.register(RBP), argument(0));
}
