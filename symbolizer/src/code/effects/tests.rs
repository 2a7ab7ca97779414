//! What is seen of code of x86-64.

use std::cell::Cell;

use super::*;
use crate::code::bytes::Code;
use crate::code::callee::Callee;
use crate::code::convention::Convention;
use crate::elf::machine::Machine;
use crate::limits;

const BASE: u64 = 0x1000;

fn effects(bytes: &[u8]) -> Effects {
    let address = Vaddr(BASE);
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
    effects_of(function, address).unwrap()
}

const fn argument(index: usize) -> Value {
    Value::Field(Field::argument(index))
}

/// Returns the offset and the width of a field of the first argument.
fn field(value: Value) -> Option<(u16, u8)> {
    value.field().and_then(Field::one)
}

fn part(value: Value) -> Option<(usize, u8)> {
    value.field().and_then(Field::as_part_of_argument)
}

#[test]
fn fields_are_compared_where_they_are_and_where_they_were_moved_to() {
    // cmp %rcx,0x10(%rdi); mov %rdi,%rbx; mov 0x18(%rbx),%eax; cmp %esi,%eax; cmp %dl,0x20(%rbx); ret
    let code = [
        0x48, 0x39, 0x4f, 0x10, 0x48, 0x89, 0xfb, 0x8b, 0x43, 0x18, 0x39, 0xf0, 0x38, 0x53, 0x20, 0xc3,
    ];
    let found = effects(&code);
    let compared = found
        .compared
        .iter()
        .map(|(left, right, width)| (field(*left), part(*right), *width));
    let expected = [
        (Some((0x10, 8)), Some((3, 8)), 8),
        (Some((0x18, 4)), Some((1, 4)), 4),
        (Some((0x20, 1)), Some((2, 1)), 1),
    ];
    assert_eq!(compared.collect::<Vec<_>>(), expected);
    let loaded: Vec<_> = found.loaded.iter().map(|field| field.one().unwrap()).collect();
    assert_eq!(loaded, [(0x10, 8), (0x18, 4), (0x20, 1)]);
}

#[test]
fn stores_go_to_fields_and_to_the_stack() {
    // lea 0x100(%rdi),%rax; mov %rdx,8(%rax); addb $1,0x17(%rdi); mov %esi,-8(%rsp); mov %r8,(%rcx,%rdx); ret
    let code = [
        0x48, 0x8d, 0x87, 0, 1, 0, 0, 0x48, 0x89, 0x50, 8, 0x80, 0x47, 0x17, 1, 0x89, 0x74, 0x24, 0xf8, 0x4c, 0x89,
        0x04, 0x11, 0xc3,
    ];
    let found = effects(&code);
    let stored = found.stored.iter().map(|store| match store.to {
        Place::Field(field) => (
            field.one().map(|(offset, _)| i64::from(offset)),
            part(store.value),
            store.width,
        ),
        Place::Stack(at) => (Some(at), part(store.value), store.width),
    });
    let expected = [
        (Some(0x108), Some((2, 8)), 8),
        (Some(0x17), None, 1),
        (Some(-8), Some((1, 4)), 4),
    ];
    assert_eq!(stored.collect::<Vec<_>>(), expected);
    assert_eq!(found.indexed, [(0, 8)]);
}

#[test]
fn what_the_first_round_of_a_loop_stores_is_seen() {
    // lea -0x40(%rsp),%rax; mov %rsi,8(%rax); add $0x18,%rax; mov %dl,-0x18(%rax); cmp %rcx,%rax; jne; ret
    let code = [
        0x48, 0x8d, 0x44, 0x24, 0xc0, 0x48, 0x89, 0x70, 8, 0x48, 0x83, 0xc0, 0x18, 0x88, 0x50, 0xe8, 0x48, 0x39, 0xc8,
        0x75, 0xf0, 0xc3,
    ];
    let stored: Vec<_> = effects(&code)
        .stored
        .iter()
        .map(|store| (store.to, part(store.value)))
        .collect();
    assert_eq!(
        stored,
        [(Place::Stack(-0x38), Some((1, 8))), (Place::Stack(-0x40), Some((2, 1)))]
    );
}

#[test]
fn a_call_through_two_fields_is_listed_with_what_was_stored_before() {
    // sub $8,%rsp; mov %rcx,0x30(%rdi); mov 0x20(%rdi),%rax; call *0x18(%rax); add $8,%rsp; ret
    let code = [
        0x48, 0x83, 0xec, 8, 0x48, 0x89, 0x4f, 0x30, 0x48, 0x8b, 0x47, 0x20, 0xff, 0x50, 0x18, 0x48, 0x83, 0xc4, 8,
        0xc3,
    ];
    let found = effects(&code);
    let [call] = found.calls[..] else {
        panic!("{:?}", found.calls)
    };
    let Target::Value(target) = call.target else {
        panic!("{:?}", call.target)
    };
    assert_eq!(target.field().and_then(Field::two), Some(([0x20, 0x18], 8)));
    assert_eq!((call.at, call.next), (Vaddr(BASE + 12), Vaddr(BASE + 15)));
    assert_eq!(call.stack, Some(-8));
    assert_eq!(call.stored.and_then(Field::one), Some((0x30, 8)));
    assert_eq!(call.arguments, [0, 1, 2, 3, 4, 5].map(argument));
}

#[test]
fn a_store_on_one_path_alone_is_not_the_last() {
    // test %esi,%esi; je +4; mov %rcx,0x30(%rdi); sub $8,%rsp; call *0x18(%rdi); add $8,%rsp; ret
    let code = [
        0x85, 0xf6, 0x74, 4, 0x48, 0x89, 0x4f, 0x30, 0x48, 0x83, 0xec, 8, 0xff, 0x57, 0x18, 0x48, 0x83, 0xc4, 8, 0xc3,
    ];
    assert_eq!(effects(&code).calls[0].stored, None);
}

#[test]
fn a_jump_that_leaves_the_function_without_a_frame_is_a_call() {
    // mov 8(%rdi),%rax; jmp *0x48(%rax)
    let through = effects(&[0x48, 0x8b, 0x47, 8, 0xff, 0x60, 0x48]).calls;
    assert!(
        matches!(
            through[..],
            [Call {
                target: Target::Value(Value::Field(_)),
                ..
            }]
        ),
        "{through:?}"
    );
    let away = effects(&[0xe9, 0, 1, 0, 0]).calls;
    let target = Target::To(Destination::Code(Vaddr(BASE + 0x105)));
    assert!(matches!(away[..], [call] if call.target == target), "{away:?}");
}

/// Spills `rsi` above an array, whose address a call is given: sub $0x48,%rsp; mov %rsi,0x40(%rsp); lea N(%rsp),%rdi;
/// call; mov 0x40(%rsp),%rsi; call; add $0x48,%rsp; ret
fn spilling(array: u8) -> Vec<u8> {
    [
        &[
            0x48, 0x83, 0xec, 0x48, 0x48, 0x89, 0x74, 0x24, 0x40, 0x48, 0x8d, 0x7c, 0x24, array,
        ][..],
        &[
            0xe8, 0, 1, 0, 0, 0x48, 0x8b, 0x74, 0x24, 0x40, 0xe8, 0, 1, 0, 0, 0x48, 0x83, 0xc4, 0x48, 0xc3,
        ],
    ]
    .concat()
}

#[test]
fn an_argument_on_the_stack_outlives_a_call_unless_its_own_address_is_handed_out() {
    let second = |code: &[u8]| effects(code).calls.last().map(|call| call.arguments[1]);
    assert_eq!(second(&spilling(8)), Some(argument(1)));
    assert_ne!(second(&spilling(0x40)), Some(argument(1)));
    assert_ne!(second(&spilling(0x44)), Some(argument(1)), "a part of it");
}

#[test]
fn an_argument_on_the_stack_that_is_stored_to_again_is_none() {
    let mut code = spilling(8);
    code.splice(9..9, [0x48, 0x89, 0x54, 0x24, 0x40]); // mov %rdx,0x40(%rsp)
    let second = effects(&code).calls.last().map(|call| call.arguments[1]);
    assert!(second.is_some_and(|value| value.field().is_none()), "{second:?}");
}

#[test]
fn the_lowest_byte_of_a_register_is_stored_as_what_was_loaded() {
    // mov %sil,-5(%rsp); mov -5(%rsp),%r9b; mov %r9b,0x20(%rdi); ret
    let code = [
        0x40, 0x88, 0x74, 0x24, 0xfb, 0x44, 0x8a, 0x4c, 0x24, 0xfb, 0x44, 0x88, 0x4f, 0x20, 0xc3,
    ];
    let last = |code: &[u8]| effects(code).stored.last().map(|store| part(store.value));
    assert_eq!(last(&code), Some(Some((1, 1))));
    let mut inverted = code.to_vec();
    inverted.splice(10..10, [0x41, 0xf6, 0xd1]); // not %r9b
    assert_eq!(last(&inverted), Some(None));
    let mut joined = code.to_vec();
    joined.splice(10..10, [0x85, 0xd2, 0x74, 0]); // test %edx,%edx; je to the next instruction
    assert_eq!(last(&joined), Some(None), "other paths may come there");
}
