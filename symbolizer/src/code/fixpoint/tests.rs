use super::*;
use crate::code::field::Field;
use crate::code::state::Purpose;
use crate::code::value::Value;
use crate::elf::machine::Machine;

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RBX: u8 = 3;
const RSI: u8 = 6;

/// The second argument, which is tracked.
const TRACKED: usize = 1;
const BASE: u64 = 0x1000;

fn argument(index: usize) -> Value {
    Value::Field(Field::argument(index))
}

/// Analyses code, and hands all operations that can be executed to a visitor.
fn analysed_with(
    bytes: &[u8],
    arguments: &[Value],
    starts: &[u64],
    visitor: impl FnMut(Vaddr, Operation, &State),
) -> Result<(), Cause> {
    analysed_within(&Cell::new(limits::ANALYSIS_STEPS), bytes, arguments, starts, visitor)
}

fn analysed_within(
    budget: &Cell<usize>,
    bytes: &[u8],
    arguments: &[Value],
    starts: &[u64],
    visitor: impl FnMut(Vaddr, Operation, &State),
) -> Result<(), Cause> {
    let code = Code {
        machine: Machine::X86_64,
        bytes,
        address: Vaddr(BASE),
    };
    let purpose = Purpose::Everything { tracked: Some(TRACKED) };
    let entry = State::new(code.address, Convention::of(code.machine), arguments, purpose);
    let is_start = |at: Vaddr| at.0.checked_sub(BASE).is_some_and(|at| starts.contains(&at));
    let function = Function {
        code,
        convention: Convention::of(Machine::X86_64),
        is_start: &is_start,
        callee: &|_| Callee::ANY,
        never_returns: &|_| false,
        budget,
    };
    fixpoint(function, &entry)?.visit(visitor);
    Ok(())
}

fn visited(bytes: &[u8], visitor: impl FnMut(Vaddr, Operation, &State)) -> Result<(), Cause> {
    analysed_with(bytes, &[0, 1, 2, 3, 4, 5].map(argument), &[], visitor)
}

fn analysed(bytes: &[u8]) -> Result<(), Cause> {
    visited(bytes, |_, _, _| {})
}

/// Returns what a register holds where a function returns.
fn returned(bytes: &[u8], register: u8) -> Vec<Value> {
    let mut found = Vec::new();
    visited(bytes, |_, operation, state| {
        if operation == Operation::Return {
            found.push(state.register(register));
        }
    })
    .unwrap();
    found
}

#[test]
fn a_value_that_paths_agree_on_is_kept_and_no_other() {
    // test edi,edi; je +5; mov eax,1; (or) mov eax,1; ret
    let agreeing = [0x85, 0xff, 0x74, 7, 0xb8, 1, 0, 0, 0, 0xeb, 5, 0xb8, 1, 0, 0, 0, 0xc3];
    assert_eq!(returned(&agreeing, RAX), [Value::Constant(1)]);
    let mut differing = agreeing;
    differing[12] = 2;
    assert_eq!(returned(&differing, RAX), [Value::Unknown]);
}

#[test]
fn a_branch_on_numbers_is_decided() {
    // mov eax,0x17; cmp eax,0x16; je +2; mov ebx,eax; ret
    let code = [0xb8, 0x17, 0, 0, 0, 0x83, 0xf8, 0x16, 0x74, 2, 0x89, 0xc3, 0xc3];
    assert_eq!(returned(&code, RBX), [Value::Constant(0x17)]);
    let mut equal = code;
    equal[7] = 0x17;
    assert_eq!(returned(&equal, RBX), [Value::Unknown]);
}

#[test]
fn a_pointer_that_moves_in_a_loop_is_still_derived() {
    // mov rbx,rsi; add rbx,rax; dec edx; jne back; ret
    let code = [0x48, 0x89, 0xf3, 0x48, 0x01, 0xc3, 0xff, 0xca, 0x75, 0xf9, 0xc3];
    let values = returned(&code, RBX);
    assert!(values.len() == 1 && values[0].is_from(TRACKED), "{values:?}");
    assert_eq!(returned(&code, RDX), [Value::Unknown]);
}

#[test]
fn what_may_come_from_the_tracked_argument_is_never_forgotten() {
    let codes: [(&[u8], u8); 6] = [
        // test edi,edi; je +3; mov rsi,rdx; ret
        (&[0x85, 0xff, 0x74, 3, 0x48, 0x89, 0xd6, 0xc3], RSI),
        // xor rcx,rsi
        (&[0x48, 0x31, 0xf1, 0xc3], RCX),
        // movq xmm0,rsi; movq rcx,xmm0
        (&[0x66, 0x48, 0x0f, 0x6e, 0xc6, 0x66, 0x48, 0x0f, 0x7e, 0xc1, 0xc3], RCX),
        // movq xmm0,rsi; movups [rsp-0x18],xmm0; mov rcx,[rsp-0x18]
        (
            &[
                0x66, 0x48, 0x0f, 0x6e, 0xc6, 0x0f, 0x11, 0x44, 0x24, 0xe8, 0x48, 0x8b, 0x4c, 0x24, 0xe8, 0xc3,
            ],
            RCX,
        ),
        // push rsi; xor ecx,ecx; add rcx,[rsp]; pop rdx
        (&[0x56, 0x31, 0xc9, 0x48, 0x03, 0x0c, 0x24, 0x5a, 0xc3], RCX),
        // call +0; the callee may return it
        (&[0xe8, 0, 0, 0, 0, 0xc3], RAX),
    ];
    for (code, register) in codes {
        let values = returned(code, register);
        assert!(
            values.iter().any(|value| value.may_be(Some(TRACKED))),
            "{code:x?}: {values:?}"
        );
    }
}

#[test]
fn two_addresses_that_are_stored_at_once_come_back() {
    // movq xmm0,rdi; movq xmm1,rsi; punpcklqdq xmm0,xmm1; movups [rsp-0x18],xmm0; mov rcx,[rsp-0x18]; mov rdx,[rsp-0x10]
    let code = [
        0x66, 0x48, 0x0f, 0x6e, 0xc7, 0x66, 0x48, 0x0f, 0x6e, 0xce, 0x66, 0x0f, 0x6c, 0xc1, 0x0f, 0x11, 0x44, 0x24,
        0xe8, 0x48, 0x8b, 0x4c, 0x24, 0xe8, 0x48, 0x8b, 0x54, 0x24, 0xf0, 0xc3,
    ];
    assert_eq!(returned(&code, RCX), [argument(0)]);
    assert_eq!(returned(&code, RDX), [argument(1)]);
    // movq xmm0,rdi; movhps xmm0,[rsp-8] behind a push of rsi.
    let code = [
        0x56, 0x5e, 0x66, 0x48, 0x0f, 0x6e, 0xc7, 0x0f, 0x16, 0x44, 0x24, 0xf8, 0x0f, 0x11, 0x44, 0x24, 0xe8, 0x48,
        0x8b, 0x54, 0x24, 0xf0, 0xc3,
    ];
    assert_eq!(returned(&code, RDX), [argument(1)]);
    // vmovq xmm1,rdi; vpinsrq xmm0,xmm1,rsi,1; vmovups [rsp-0x18],xmm0
    let code = [
        0xc4, 0xe1, 0xf9, 0x6e, 0xcf, 0xc4, 0xe3, 0xf1, 0x22, 0xc6, 1, 0xc5, 0xf8, 0x11, 0x44, 0x24, 0xe8, 0x48, 0x8b,
        0x4c, 0x24, 0xe8, 0x48, 0x8b, 0x54, 0x24, 0xf0, 0xc3,
    ];
    assert_eq!(returned(&code, RCX), [argument(0)]);
    assert_eq!(returned(&code, RDX), [argument(1)]);
}

#[test]
fn a_flag_that_is_decided_is_a_number() {
    // mov eax,0x17; cmp eax,0x17; sete [rsp-8]; mov ecx,0; setne cl; movzx edx,byte [rsp-8]; ret
    let code = [
        0xb8, 0x17, 0, 0, 0, 0x83, 0xf8, 0x17, 0x0f, 0x94, 0x44, 0x24, 0xf8, 0xb9, 0, 0, 0, 0, 0x0f, 0x95, 0xc1, 0x0f,
        0xb6, 0x54, 0x24, 0xf8, 0xc3,
    ];
    assert_eq!(returned(&code, RCX), [Value::Constant(0)]);
    assert_eq!(returned(&code, RDX), [Value::Constant(1)]);
}

#[test]
fn an_address_of_half_a_register_is_no_number() {
    // lea rcx,[edi+8]; lea rdx,[rip+8]
    let code = [0x67, 0x48, 0x8d, 0x4f, 8, 0x48, 0x8d, 0x15, 8, 0, 0, 0, 0xc3];
    assert!(returned(&code, RCX)[0].number().is_none());
    assert_eq!(returned(&code, RDX), [Value::Constant(BASE + 20)]);
}

#[test]
fn a_pointer_on_the_stack_may_move() {
    // push rsi; add [rsp],rdx; pop rcx; ret
    let code = [0x56, 0x48, 0x01, 0x14, 0x24, 0x59, 0xc3];
    assert!(returned(&code, RCX)[0].is_from(TRACKED));
}

#[test]
fn a_call_changes_the_stack_above_an_address_that_it_is_given() {
    let slots = |bytes: &[u8]| {
        // sub rsp,0x28; mov [rsp+8],edx; ...; call; mov ebx,[rsp+8]; mov eax,[rsp+0x18]; add rsp,0x28; ret
        let before = [
            0x48, 0x83, 0xec, 0x28, 0xc7, 0x44, 0x24, 8, 7, 0, 0, 0, 0xc7, 0x44, 0x24, 0x18, 9, 0, 0, 0,
        ];
        let after = [
            0xe8, 0, 1, 0, 0, 0x8b, 0x5c, 0x24, 8, 0x8b, 0x44, 0x24, 0x18, 0x48, 0x83, 0xc4, 0x28, 0xc3,
        ];
        let code = [&before[..], bytes, &after].concat();
        (returned(&code, RBX), returned(&code, RAX))
    };
    assert_eq!(slots(&[]), (vec![Value::Constant(7)], vec![Value::Constant(9)]));
    // lea rdi,[rsp+0x10]
    let above = [0x48, 0x8d, 0x7c, 0x24, 0x10];
    assert_eq!(slots(&above), (vec![Value::Constant(7)], vec![Value::Unknown]));
    // mov rdi,rsp
    let below = [0x48, 0x89, 0xe7];
    assert_eq!(slots(&below), (vec![Value::Unknown], vec![Value::Unknown]));
}

#[test]
fn a_part_that_lies_behind_another_function_is_followed() {
    // push rbx; jmp cold; (other function:) ret; cold: mov ebx,1; mov eax,ebx; pop rbx; ret
    let code = [0x53, 0xeb, 1, 0xc3, 0xb8, 1, 0, 0, 0, 0x5b, 0xc3];
    let mut returns = 0;
    let visitor = |_, operation, _: &State| returns += usize::from(operation == Operation::Return);
    analysed_with(&code, &[], &[0, 3, 4], visitor).unwrap();
    assert_eq!(returns, 1);
}

#[test]
fn a_jump_to_another_function_without_a_frame_is_not_followed() {
    let code = [0xeb, 1, 0xc3, 0x06]; // jmp; ret; no instruction
    assert!(analysed_with(&code, &[], &[0, 3], |_, _, _| {}).is_ok());
    assert_eq!(analysed(&code).err(), Some(Cause::NotUnderstood(Vaddr(BASE + 3))));
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_place() {
    let at = |distance| Vaddr(BASE + distance);
    let codes: [(&[u8], Cause); 7] = [
        (&[0x53, 0xff, 0xe0], Cause::ComputedJump(at(1))), // push; jmp rax
        (&[0x53, 0xc3], Cause::StackPointer(at(1))),       // push; ret
        (&[0x48, 0x83, 0xe4, 0xf0, 0xc3], Cause::StackPointer(at(0))), // and rsp,-16
        (&[0x53, 0xeb, 0xfd], Cause::StackPointer(at(0))), // push in a loop
        (&[0x0f, 0x05, 0xc3], Cause::NotUnderstood(at(0))), // syscall
        (&[0x06], Cause::NotUnderstood(at(0))),
        (&[0xb8, 0xeb, 0xfe, 0, 0, 0x74, 0xfa, 0xc3], Cause::Overlapping(at(0))), // je into mov
    ];
    for (code, cause) in codes {
        assert_eq!(analysed(code).err(), Some(cause), "{code:x?}");
    }
}

#[test]
fn the_instructions_may_fill_their_limit_and_no_more() {
    let mut code = vec![0x90; limits::FUNCTION_INSTRUCTIONS - 1];
    code.push(0xc3);
    assert!(analysed(&code).is_ok());
    code.insert(0, 0x90);
    assert_eq!(analysed(&code).err(), Some(Cause::TooLarge(Vaddr(BASE))));
}

#[test]
fn the_parts_may_fill_their_limit_and_no_more() {
    let function = |parts: usize| {
        // push rbx; je to each part; pop rbx; ret; parts: pop rbx; ret
        let mut code = vec![0x53];
        for part in 0..parts {
            code.extend([0x74, u8::try_from(2 * (parts - part - 1) + 2 + 2 * part).unwrap()]);
        }
        code.extend([0x5b, 0xc3]);
        let first = code.len();
        code.extend([0x5b, 0xc3].repeat(parts));
        let starts: Vec<_> = (0..parts)
            .map(|part| u64::try_from(first + 2 * part).unwrap())
            .collect();
        (code, starts)
    };
    for (parts, is_followed) in [(limits::FUNCTION_PARTS, true), (limits::FUNCTION_PARTS + 1, false)] {
        let (code, starts) = function(parts);
        assert_eq!(
            analysed_with(&code, &[], &starts, |_, _, _| {}).is_ok(),
            is_followed,
            "{parts}"
        );
    }
}

#[test]
fn the_budget_may_be_spent_and_no_more() {
    let code = [0x90, 0x90, 0xc3];
    // Each instruction is decoded and executed.
    for (budget, is_enough) in [(6, true), (5, false), (2, false)] {
        let budget = Cell::new(budget);
        let analysed = analysed_within(&budget, &code, &[], &[], |_, _, _| {});
        assert_eq!(analysed.is_ok(), is_enough);
        assert_eq!(budget.get(), 0);
    }
}

#[test]
fn states_that_take_too_many_steps_to_settle_are_refused() {
    // What is unknown moves on by a register in each round of a loop.
    let looping = |filler: usize| {
        let shift: &[u8] = &[
            0x48, 0x89, 0xd8, 0x48, 0x89, 0xcb, 0x48, 0x89, 0xd1, 0x48, 0x89, 0xf2, 0x4c, 0x89, 0xc6,
        ];
        let numbers: Vec<u8> = [0xb8, 0xbb, 0xb9, 0xba, 0xbe]
            .iter()
            .flat_map(|code| [*code, 1, 0, 0, 0])
            .collect();
        let mut code = [&numbers, shift, &vec![0x90; filler]].concat();
        let back = i32::try_from(numbers.len()).unwrap() - i32::try_from(code.len()).unwrap() - 6;
        code.extend([0x0f, 0x84]);
        code.extend(back.to_le_bytes());
        code.push(0xc3);
        code
    };
    assert!(analysed(&looping(1000)).is_ok());
    let most = limits::FUNCTION_INSTRUCTIONS - 20;
    assert_eq!(analysed(&looping(most)).err(), Some(Cause::TooLarge(Vaddr(BASE))));
}

#[test]
fn the_places_on_the_stack_may_fill_their_limit_and_no_more() {
    let storing = |slots: usize| {
        let place = |slot: usize| -4 * i32::try_from(slot + 1).unwrap();
        let store = |slot| [&[0xc7, 0x84, 0x24][..], &place(slot).to_le_bytes(), &[1, 0, 0, 0]].concat();
        let mut code: Vec<u8> = (0..slots).flat_map(store).collect();
        code.push(0xc3);
        code
    };
    assert!(analysed(&storing(limits::STACK_SLOTS)).is_ok());
    assert!(analysed(&storing(limits::STACK_SLOTS + 1)).is_err());
}

/// Returns which arguments a function reads; functions that it calls read those that `callee` says.
fn read(bytes: &[u8], callee: Callee) -> u32 {
    let function = Function {
        code: Code {
            machine: Machine::X86_64,
            bytes,
            address: Vaddr(BASE),
        },
        convention: Convention::of(Machine::X86_64),
        is_start: &|_| false,
        callee: &|_| callee,
        never_returns: &|_| false,
        budget: &Cell::new(limits::ANALYSIS_STEPS),
    };
    read_arguments(function, Vaddr(BASE))
}

#[test]
fn an_argument_is_read_if_some_path_does_before_it_is_overwritten() {
    let none = Callee::of(0);
    assert_eq!(read(&[0x48, 0x89, 0xf8, 0xc3], none), 0b1); // mov rax,rdi
    assert_eq!(read(&[0x31, 0xff, 0x48, 0x89, 0xf8, 0xc3], none), 0); // xor edi,edi; mov rax,rdi
    assert_eq!(read(&[0x74, 3, 0x48, 0x89, 0xf0, 0xc3], none), 0b10); // je; mov rax,rsi
    assert_eq!(read(&[0x48, 0x8b, 0x04, 0xca, 0xc3], none), 0b1100); // mov rax,[rdx+rcx*8]
    assert_eq!(read(&[0x48, 0x89, 0x37, 0xc3], none), 0b11); // mov [rdi],rsi
    assert_eq!(read(&[0x41, 0x50, 0xc3], none), 0b1_0000); // push r8
}

#[test]
fn a_function_reads_what_it_leaves_to_those_that_it_calls() {
    let two = Callee::of(2);
    let call = [0xe8, 0, 1, 0, 0, 0x48, 0x89, 0xd0, 0xc3]; // call; mov rax,rdx; ret
    assert_eq!(
        read(&call, two),
        0b11,
        "what is left after a call is the called function's"
    );
    assert_eq!(read(&[0xe9, 0, 1, 0, 0], two), 0b11); // jmp
    assert_eq!(read(&[0x31, 0xf6, 0xe9, 0, 1, 0, 0], two), 0b1); // xor esi,esi; jmp
    assert_eq!(read(&[0xff, 0xe0], two), 0b11_1111); // jmp rax
    assert_eq!(read(&[0x06], two), u32::MAX, "no instruction");
}

#[test]
fn as_many_instructions_are_followed_for_what_is_read_as_the_limit() {
    let mut code = vec![0x90; limits::READ_STEPS - 1];
    code.push(0xc3);
    assert_eq!(read(&code, Callee::ANY), 0);
    code.insert(0, 0x90);
    assert_eq!(read(&code, Callee::ANY), u32::MAX);
}

#[test]
fn a_call_that_does_not_take_an_address_does_not_return_it() {
    let code = [0xe8, 0, 1, 0, 0, 0xc3];
    for (callee, may_return) in [(Callee::of(1), false), (Callee::of(2), true)] {
        let entry = [0, 1].map(argument);
        let code = Code {
            machine: Machine::X86_64,
            bytes: &code,
            address: Vaddr(BASE),
        };
        let function = Function {
            code,
            convention: Convention::of(Machine::X86_64),
            is_start: &|_| false,
            callee: &|_| callee,
            never_returns: &|_| false,
            budget: &Cell::new(limits::ANALYSIS_STEPS),
        };
        let purpose = Purpose::Everything { tracked: Some(TRACKED) };
        let state = State::new(code.address, Convention::of(code.machine), &entry, purpose);
        fixpoint(function, &state).unwrap().visit(|_, operation, state| {
            if operation == Operation::Return {
                assert_eq!(state.returned().may_be(Some(TRACKED)), may_return);
            }
        });
    }
}
