//! What is not followed, and how far.

use super::*;

fn follow(code: &[u8]) -> Option<usize> {
    outcomes(Machine::X86_64, code, Call::Object).map(|outcomes| outcomes.len())
}

#[test]
fn code_that_changes_or_loses_something_is_refused() {
    for (code, what) in [
        (&[0x48, 0x89, 0x77, 0x18, 0xc3][..], "a store to the object"),
        (&[0xff, 0x47, 0x18, 0xc3], "an increment of the object"),
        (&[0xff, 0xe1], "a jump by a table"),
        (&[0x48, 0x83, 0xe4, 0xf0, 0xc3], "a stack pointer that is aligned"),
        (&[0x53, 0xc3], "a return with something left on the stack"),
        (&[0xcd, 0x80, 0xc3], "an interrupt"),
        (&[0x06], "an instruction that there is not"),
        (&[0x48, 0x8b], "an instruction cut short"),
        (&[], "nothing"),
    ] {
        assert_eq!(follow(code), None, "{what}");
    }
}

#[test]
fn every_way_is_followed_once() {
    // test $1,8(%rdi); je; ret; ret
    assert_eq!(follow(&[0xf6, 0x47, 8, 1, 0x74, 1, 0xc3, 0xc3]), Some(2));
    // What a field was found to be is remembered: cmpq $0,8(%rdi); je.
    let asked = [0x48, 0x83, 0x7f, 8, 0, 0x74, 0];
    assert_eq!(follow(&[&asked[..], &asked, &asked, &[0xc3]].concat()), Some(2));
}

#[test]
fn code_up_to_the_limit_is_followed_and_no_longer_one() {
    let mut code = vec![0x90; limits::ACCESSOR - 1];
    code.push(0xc3);
    assert_eq!(follow(&code), Some(1));
    code.insert(0, 0x90);
    assert_eq!(follow(&code), None);
}

#[test]
fn as_many_instructions_as_the_limit_are_followed_and_no_more() {
    // Each conditional jump that nothing decides doubles the ways: cmp 8(%rdi),%rsi; je to what follows.
    let forks: u32 = 8;
    let ways = 2_usize.pow(forks);
    let jumps = [0x48, 0x3b, 0x77, 8, 0x74, 0].repeat(8);
    let in_jumps: usize = (0..forks).map(|fork| 2 * 2_usize.pow(fork)).sum();
    let left = limits::ACCESSOR_STEPS - in_jumps;
    let (each, before) = (left / ways, left % ways);
    let code = |before: usize| [vec![0x90; before], jumps.clone(), vec![0x90; each - 1], vec![0xc3]].concat();
    assert_eq!(follow(&code(before)), Some(ways));
    assert_eq!(follow(&code(before + 1)), None);
}

#[test]
fn a_loop_ends_at_the_limit() {
    assert_eq!(follow(&[0xeb, 0xfe]), None);
}

#[test]
fn a_jump_out_of_the_function_leaves_its_result_open() {
    for code in [
        &[0xe9, 0, 1, 0, 0][..],
        &[0xe9, 0, 0xff, 0xff, 0xff],
        &[0xff, 0x25, 0, 1, 0, 0],
    ] {
        let outcomes = outcomes(Machine::X86_64, code, Call::Object).unwrap();
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].returned, Value::Unknown);
    }
}

fn aarch64(words: &[u32], call: Call) -> Option<Vec<Value>> {
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let outcomes = outcomes(Machine::Aarch64, &code, call)?;
    Some(outcomes.iter().map(|outcome| outcome.returned).collect())
}

const RET: u32 = 0xd65f_03c0;

#[test]
fn a_plain_accessor_of_aarch64_is_followed() {
    // bti c; ldr x0, [x0, #16]; ret
    let values = aarch64(&[0xd503_245f, 0xf940_0800, RET], Call::Object).unwrap();
    assert_eq!(
        values
            .iter()
            .map(|value| value.field().unwrap().one())
            .collect::<Vec<_>>(),
        [Some((0x10, 8))]
    );
    // ldr w0, [x0]; ret
    let values = aarch64(&[0xb940_0000, RET], Call::Object).unwrap();
    assert_eq!(values[0].field().unwrap().one(), Some((0, 4)));
}

#[test]
fn ways_of_aarch64_are_told_apart() {
    // ldr x0, [x0, #0x918]; cbz x0, 1f; ldr x0, [x0, #0x2f8]; 1: ret
    let values = aarch64(&[0xf944_8c00, 0xb400_0040, 0xf941_7c00, RET], Call::Ssl).unwrap();
    assert_eq!(values.len(), 2);
    assert!(values.contains(&Value::Constant(0)));
    assert!(
        values
            .iter()
            .any(|value| value.field().and_then(Field::two) == Some(([0x918, 0x2f8], 8)))
    );
    // ldr w1, [x0]; cbnz w1, 1f; ldr x0, [x0, #0x50]; ret; 1: mov x0, #0; ret
    let typed = [0xb940_0001, 0x3500_0061, 0xf940_2800, RET, 0xd280_0000, RET];
    let values = aarch64(&typed, Call::Ssl).unwrap();
    assert_eq!(
        values
            .iter()
            .map(|value| value.field().unwrap().one())
            .collect::<Vec<_>>(),
        [Some((0x50, 8))]
    );
}

#[test]
fn a_frame_of_aarch64_is_followed() {
    // paciasp; stp x29, x30, [sp, #-32]!; mov x29, sp; str x19, [sp, #16]; mov x19, x0; bl; ldr x0, [x19, #24];
    // ldr x19, [sp, #16]; ldp x29, x30, [sp], #32; autiasp; ret
    let code = [
        0xd503_233f,
        0xa9be_7bfd,
        0x9100_03fd,
        0xf900_0bf3,
        0xaa00_03f3,
        0x9400_0400,
        0xf940_0e60,
        0xf940_0bf3,
        0xa8c2_7bfd,
        0xd503_23bf,
        RET,
    ];
    let values = aarch64(&code, Call::Object).unwrap();
    assert_eq!(values[0].field().unwrap().one(), Some((0x18, 8)));
}

#[test]
fn what_aarch64_computes_is_no_field_any_more() {
    // ldr x0, [x0, #16]; then eor x0, x0, x1; and x0, x0, #1; sub x0, x0, x1
    for computing in [0xca01_0000, 0x9240_0000, 0xcb01_0000] {
        let values = aarch64(&[0xf940_0800, computing, RET], Call::Object);
        assert_eq!(values, Some(vec![Value::Unknown]), "{computing:#x}");
    }
    // csel x0, x0, x1, eq
    let either = aarch64(&[0xf940_0800, 0x9a81_0000, RET], Call::Object).unwrap();
    assert_eq!(either.len(), 2, "each of both");
    // The same before comparing: ccmp w0, w1, #4, gt; tst w1, #8; tst w1, w2
    for comparing in [0x7a41_c004, 0x721d_003f, 0x6a02_003f] {
        // ...; b.ne 1f; ldr x0, [x0, #16]; ret; 1: mov x0, #0; ret
        let code = [comparing, 0x5400_0061, 0xf940_0800, RET, 0xd280_0000, RET];
        assert_eq!(aarch64(&code, Call::Object).unwrap().len(), 2, "{comparing:#x}");
    }
}

#[test]
fn an_unknown_instruction_of_aarch64_is_refused() {
    for (word, what) in [
        (0xd61f_0020, "br x1"),
        (0x3d80_0000, "str q0, [x0]"),
        (0x9240_e41f, "and sp, x0, #0x3ffffffffffffff"),
        (0xd400_0001, "svc #0"),
        (0xa400_a000, "ld1b {z0.b}, p0/z, [x0]"),
    ] {
        assert_eq!(aarch64(&[0xf940_0800, word, RET], Call::Object), None, "{what}");
    }
    assert_eq!(
        aarch64(&[0xf940_0800], Call::Object),
        Some(vec![Value::Unknown]),
        "it runs on into something else"
    );
}

proptest::proptest! {
    #[test]
    fn any_code_is_followed_or_refused(code in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
        for machine in [Machine::X86_64, Machine::Aarch64] {
            let ways = outcomes(machine, &code, Call::Ssl).map_or(0, |outcomes| outcomes.len());
            assert!(ways <= limits::ACCESSOR_STEPS);
        }
    }
}
