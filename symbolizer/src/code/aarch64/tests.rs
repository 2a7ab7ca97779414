use super::*;
use crate::code::operation::Destination;

const HERE: Vaddr = Vaddr(0x1_0000);

fn lifted(word: u32) -> Option<Vec<Operation>> {
    lift(&word.to_le_bytes(), HERE).map(|lifted| lifted.operations)
}

fn assert_lifted(word: u32, what: &str, expected: &[Operation]) {
    assert_eq!(lifted(word).as_deref(), Some(expected), "{what}");
}

const fn set_to(to: Register, from: Source, width: u8) -> Operation {
    Operation::Set { to, from, width }
}

const fn number(to: Register, number: u64) -> Operation {
    set_to(to, Source::Constant(number), 8)
}

const fn load(to: Register, base: Register, offset: i64, width: u8) -> Operation {
    set_to(to, Source::Memory(Memory::at(base, offset)), width)
}

const fn store(from: Source, base: Register, offset: i64, width: u8) -> Operation {
    let to = Memory::at(base, offset);
    Operation::Store { to, from, width }
}

const fn moved(to: Register, base: Register, offset: i64) -> Operation {
    set_to(to, Source::Address(Memory::at(base, offset)), 8)
}

const fn compare(left: Register, right: Source, width: u8) -> Operation {
    let left = Source::Register(left);
    Operation::Compare { left, right, width }
}

const fn computed(to: u32, from: u32) -> Operation {
    let from = inputs(from);
    Operation::Compute { to, from }
}

#[test]
fn what_is_computed_with_numbers() {
    assert_lifted(0x1000_00a1, "adr x1, .+0x14", &[number(1, 0x1_0014)]);
    assert_lifted(0xf0ff_ffe2, "adrp x2, .-0x1000", &[number(2, 0xf000)]);
    assert_lifted(0xd2a0_0023, "mov x3, #0x10000", &[number(3, 0x1_0000)]);
    let all = Source::Constant(0xffff_ffff);
    assert_lifted(0x1280_0000, "mov w0, #-1", &[set_to(0, all, 4)]);
    assert_lifted(0xf280_00a3, "movk x3, #5", &[computed(8, 8)]);
    assert_lifted(0x9100_43fd, "add x29, sp, #16", &[moved(29, 31, 16)]);
    assert_lifted(0xd140_07ff, "sub sp, sp, #1, lsl #12", &[moved(31, 31, -0x1000)]);
    assert_lifted(0x7100_041f, "cmp w0, #1", &[compare(0, Source::Constant(1), 4)]);
    let minus_one = Source::Constant(u64::MAX);
    assert_lifted(0xb100_069f, "cmn x20, #1", &[compare(20, minus_one, 8)]);
    let difference = set_to(1, Source::Address(Memory::at(0, -1)), 4);
    let compared = compare(0, Source::Constant(1), 4);
    assert_lifted(0x7100_0401, "subs w1, w0, #1", &[compared, difference]);
    assert_lifted(0x9240_e41f, "and sp, x0, #0x3ffffffffffffff", &[computed(1 << 31, 1)]);
    assert_lifted(0xd343_fca4, "lsr x4, x5, #3", &[computed(1 << 4, 3 << 4)]);
}

#[test]
fn what_is_extended() {
    let from = Source::Register(2);
    let signed = |width| Operation::SetSigned { to: 2, from, width };
    assert_lifted(0x9340_7c42, "sxtw x2, w2", &[signed(4)]);
    assert_lifted(0x9340_3c42, "sxth x2, w2", &[signed(2)]);
    assert_lifted(0x1300_1c42, "sxtb w2, w2", &[computed(4, 4)]);
    assert_lifted(0x5300_1ca4, "uxtb w4, w5", &[set_to(4, Source::Register(5), 1)]);
}

#[test]
fn what_is_computed_with_registers() {
    assert_lifted(0xaa00_03f3, "mov x19, x0", &[set_to(19, Source::Register(0), 8)]);
    assert_lifted(0x2a1f_03e1, "mov w1, wzr", &[set_to(1, Source::Constant(0), 4)]);
    let (left, right) = (Source::Register(1), Source::Register(1));
    assert_lifted(0x6a01_003f, "tst w1, w1", &[Operation::Test { left, right, width: 4 }]);
    assert_lifted(0xeb02_003f, "cmp x1, x2", &[compare(1, Source::Register(2), 8)]);
    let sum = |scaled| Memory {
        base: None,
        offset: 0,
        several: 0b110,
        scaled,
    };
    let added = |scaled| set_to(0, Source::Address(sum(scaled)), 8);
    assert_lifted(0x8b02_0020, "add x0, x1, x2", &[added(false)]);
    assert_lifted(0x8b02_0c20, "add x0, x1, x2, lsl #3", &[added(true)]);
    assert_lifted(0xcb02_0020, "sub x0, x1, x2", &[computed(1, 0b110)]);
    assert_lifted(0xcb29_63ff, "sub sp, sp, x9", &[computed(1 << 31, 1 << 31 | 1 << 9)]);
    assert_lifted(0x9b02_0c20, "madd x0, x1, x2, x3", &[computed(1, 0b1110)]);
    assert_lifted(0x7a41_c004, "ccmp w0, w1, #4, gt", &[Operation::Spoil(0)]);
    assert_lifted(0xcb01_001f, "sub xzr, x0, x1", &[Operation::Spoil(0)]);
}

#[test]
fn what_is_chosen_by_the_flags() {
    let set_if = |when, from, width| Operation::SetIf {
        when,
        to: 0,
        from,
        width,
    };
    let (greater, less) = (Condition::Signed(Sign::Greater), Condition::Signed(Sign::Less));
    let first = Source::Register(1);
    let kept = set_to(0, Source::Register(0), 4);
    assert_lifted(0x1a80_c020, "csel w0, w1, w0, gt", &[kept, set_if(greater, first, 4)]);
    let zero = Source::Constant(0);
    assert_lifted(0x1a9f_a000, "csel w0, w0, wzr, ge", &[set_if(less, zero, 4)]);
    let one = set_to(0, Source::Constant(1), 4);
    assert_lifted(0x1a9f_07e0, "cset w0, ne", &[one, set_if(Condition::Equal, zero, 4)]);
    let all = set_to(0, Source::Constant(u64::MAX), 8);
    let unequal = Condition::NotEqual;
    assert_lifted(0xda9f_13e0, "csetm x0, eq", &[all, set_if(unequal, zero, 8)]);
    let increased = moved(0, 1, 1);
    let at_least = Condition::Signed(Sign::GreaterOrEqual);
    assert_lifted(0x9a81_a420, "cinc x0, x1, lt", &[increased, set_if(at_least, first, 8)]);
    assert_lifted(0xda82_0420, "csneg x0, x1, x2, eq", &[computed(1, 0b110)]);
}

#[test]
fn what_is_loaded_and_stored() {
    assert_lifted(0xb940_0fe1, "ldr w1, [sp, #12]", &[load(1, 31, 12, 4)]);
    assert_lifted(0x3940_0441, "ldrb w1, [x2, #1]", &[load(1, 2, 1, 1)]);
    let from = Source::Memory(Memory::at(2, 4));
    assert_lifted(
        0xb980_0441,
        "ldrsw x1, [x2, #4]",
        &[Operation::SetSigned { to: 1, from, width: 4 }],
    );
    assert_lifted(
        0xf900_0e7f,
        "str xzr, [x19, #24]",
        &[store(Source::Constant(0), 19, 24, 8)],
    );
    assert_lifted(0xf85f_8041, "ldur x1, [x2, #-8]", &[load(1, 2, -8, 8)]);
    assert_lifted(0xf840_8401, "ldr x1, [x0], #8", &[load(1, 0, 0, 8), moved(0, 0, 8)]);
    let pushed = [moved(31, 31, -16), store(Source::Register(1), 31, 0, 8)];
    assert_lifted(0xf81f_0fe1, "str x1, [sp, #-16]!", &pushed);
    assert_lifted(0xf940_001f, "ldr xzr, [x0]", &[]);
    assert_lifted(0xf980_0000, "prfm pldl1keep, [x0]", &[]);
    let indexed = |scaled: bool| Source::Memory(sum(2, 3, !scaled));
    assert_lifted(0xf863_6841, "ldr x1, [x2, x3]", &[set_to(1, indexed(false), 8)]);
    assert_lifted(0xf863_7841, "ldr x1, [x2, x3, lsl #3]", &[set_to(1, indexed(true), 8)]);
    assert_lifted(0x88df_fc01, "ldar w1, [x0]", &[load(1, 0, 0, 4)]);
    assert_lifted(0x889f_fc01, "stlr w1, [x0]", &[store(Source::Register(1), 0, 0, 4)]);
}

#[test]
fn pairs_are_loaded_so_that_their_base_is_the_last() {
    let saved = [
        moved(31, 31, -32),
        store(Source::Register(29), 31, 0, 8),
        store(Source::Register(30), 31, 8, 8),
    ];
    assert_lifted(0xa9be_7bfd, "stp x29, x30, [sp, #-32]!", &saved);
    let restored = [load(1, 31, 0, 4), load(2, 31, 4, 4), moved(31, 31, 16)];
    assert_lifted(0x28c2_0be1, "ldp w1, w2, [sp], #16", &restored);
    let base_first = [load(1, 0, 8, 8), load(0, 0, 0, 8)];
    assert_lifted(0xa940_0400, "ldp x0, x1, [x0]", &base_first);
    let base_second = [load(1, 0, 16, 8), load(0, 0, 24, 8)];
    assert_lifted(0xa941_0001, "ldp x1, x0, [x0, #16]", &base_second);
}

#[test]
fn what_changes_memory_in_a_way_that_is_not_followed_says_so() {
    for (word, what, written) in [
        (0xad01_0400, "stp q0, q1, [x0, #32]", 0),
        (0xfc1f_0fe8, "str d8, [sp, #-16]!", 1 << 31),
        (0x4c9f_7000, "st1 {v0.16b}, [x0], #16", 1),
        (0x8802_7c01, "stxr w2, w1, [x0]", 0b110),
        (0x88a1_7c02, "cas w1, w2, [x0]", 0b110),
        (0x4822_7c04, "casp x2, x3, x4, x5, [x0]", 0b1_1100),
        (0xb821_0002, "ldadd w1, w2, [x0]", 0b100),
    ] {
        let operations = lifted(word).unwrap_or_default();
        let overwrites = operations
            .iter()
            .any(|operation| matches!(operation, Operation::Overwrite { .. }));
        assert!(overwrites, "{what}");
        let writes = operations.iter().fold(0, |all, operation| all | operation.writes());
        assert_eq!(writes, written, "{what}");
    }
    assert_lifted(0xf820_1c01, "ldraa x1, [x0, #8]!", &[computed(0b11, 1)]);
}

#[test]
fn where_branches_lead() {
    let to = |distance: i64| Vaddr(HERE.0.wrapping_add_signed(distance));
    let code = |distance| Destination::Code(to(distance));
    assert_lifted(0x1400_0002, "b .+8", &[Operation::Jump(code(8))]);
    assert_lifted(0x97ff_ffff, "bl .-4", &[Operation::Call(code(-4))]);
    let when = Condition::Signed(Sign::LessOrEqual);
    let branch = Operation::Branch { when, target: to(12) };
    assert_lifted(0x5400_006d, "b.le .+12", &[branch]);
    assert_lifted(0x5400_006e, "b.al .+12", &[Operation::Jump(code(12))]);
    let on = |register, width, when, distance| Operation::BranchOn {
        compared: (Source::Register(register), Source::Constant(0)),
        width,
        when,
        target: to(distance),
    };
    let (negative, not_negative) = (Sign::Negative, Sign::NotNegative);
    assert_lifted(0x3400_0040, "cbz w0, .+8", &[on(0, 4, Condition::Equal, 8)]);
    assert_lifted(0xb5ff_ffc3, "cbnz x3, .-8", &[on(3, 8, Condition::NotEqual, -8)]);
    let of_sign = on(2, 4, Condition::Signed(not_negative), 16);
    assert_lifted(0x36f8_0082, "tbz w2, #31, .+16", &[of_sign]);
    let of_sign = on(2, 8, Condition::Signed(negative), 16);
    assert_lifted(0xb7f8_0082, "tbnz x2, #63, .+16", &[of_sign]);
    assert_lifted(0x3718_0082, "tbnz w2, #3, .+16", &[on(2, 4, Condition::Other, 16)]);
    for word in [0xd65f_03c0, 0xd65f_0bff, 0xd65f_0fff] {
        assert_lifted(word, "ret, retaa, retab", &[Operation::Return]);
    }
    let through = |register| Operation::JumpThrough(Source::Register(register));
    assert_lifted(0xd61f_0200, "br x16", &[through(16)]);
    assert_lifted(0xd71f_0822, "braa x1, x2", &[through(1)]);
    let called = |register| Operation::CallThrough(Source::Register(register));
    assert_lifted(0xd63f_0040, "blr x2", &[called(2)]);
    assert_lifted(0xd63f_087f, "blraaz x3", &[called(3)]);
    assert_lifted(0xd420_7d00, "brk #1000", &[Operation::Trap]);
    assert_lifted(0, "udf #0", &[Operation::Trap]);
}

#[test]
fn hints_and_barriers_change_no_more_than_a_signed_address() {
    for (word, what) in [
        (0xd503_201f, "nop"),
        (0xd503_245f, "bti c"),
        (0xd503_3bbf, "dmb ish"),
        (0x4ea1_1c20, "mov v0.16b, v1.16b"),
    ] {
        assert_lifted(word, what, &[]);
    }
    assert_lifted(0xd503_233f, "paciasp", &[computed(1 << 30, 1 << 30)]);
    assert_lifted(0xd503_219f, "autia1716", &[computed(1 << 17, 0b11 << 16)]);
    assert_lifted(0xd53b_d040, "mrs x0, tpidr_el0", &[computed(1, 0)]);
    let hidden = |registers| Operation::Hide(inputs(registers));
    assert_lifted(0xd51b_4420, "msr fpsr, x0", &[hidden(1), Operation::Spoil(0)]);
    assert_lifted(0x9e66_0020, "fmov x0, d1", &[hidden(2), computed(1, 0)]);
    assert_lifted(0x1e61_2000, "fcmp d0, d1", &[computed(1, 0)]);
    assert_lifted(0x0e0c_3c03, "umov w3, v0.s[1]", &[computed(8, 0)]);
}

#[test]
fn a_stub_is_one_jump_through_its_slot() {
    // adrp x16, .+0x90000; ldr x17, [x16, #0x970]; add x16, x16, #0x970; br x17
    let words = [0x9000_0490_u32, 0xf944_ba11, 0x9125_c210, 0xd61f_0220];
    let code = |words: [u32; 4]| words.map(u32::to_le_bytes).concat();
    let slot = Destination::Slot(Vaddr(0xa_0970));
    let stub = lift(&code(words), HERE).unwrap();
    assert_eq!(stub.operations, [Operation::Spoil(0b11 << 16), Operation::Jump(slot)]);
    assert_eq!(stub.length, 16);
    let other_slot = [words[0], words[1], 0x9125_d210, words[3]];
    let a_call = [words[0], words[1], words[2], 0xd63f_0220];
    for other in [other_slot, a_call] {
        assert_eq!(lift(&code(other), HERE).unwrap().length, 4);
    }
}

#[test]
fn what_is_not_known_is_refused() {
    for (word, what) in [
        (0xd400_0001, "svc #0"),
        (0xd440_0000, "hlt #0"),
        (0xd69f_03e0, "eret"),
        (0xd65f_0020, "ret x1"),
        (0xd50b_7420, "dc zva, x0"),
        (0xa400_a000, "ld1b {z0.b}, p0/z, [x0]"),
        (0x8080_0000, "an instruction of SME"),
        (0xd920_0820, "stg x0, [x1]"),
        (0x6900_0440, "stgp x0, x1, [x2]"),
        (0xf83f_d040, "ld64b x0, [x2]"),
        (0xd940_0041, "ldapur x1, [x2]"),
        (0x1901_0440, "cpyfp [x0]!, [x1]!, x2!"),
        (0xf840_8421, "ldr x1, [x1], #8"),
        (0xa940_0401, "ldp x1, x1, [x0]"),
    ] {
        assert_eq!(lifted(word), None, "{what}");
    }
    for length in 0..4 {
        assert_eq!(lift(&[0; 4][..length], HERE), None);
    }
}

#[test]
fn the_last_two_conditions_are_none() {
    let condition = |word: u32| condition(&word.to_le_bytes());
    assert_eq!(condition(0x5400_006d), Some(13));
    assert_eq!(condition(0x5400_006e), None, "b.al");
    assert_eq!(condition(0x3400_0040), None, "cbz");
}

#[test]
fn what_goes_to_a_vector_register_is_hidden() {
    let loaded = |base, offset, width| {
        let memory = Some((Memory::at(base, offset), width));
        Operation::Hide(Inputs { registers: 0, memory })
    };
    assert_lifted(0x3dc0_0000, "ldr q0, [x0]", &[loaded(0, 0, 16)]);
    assert_lifted(0xfd40_0420, "ldr d0, [x1, #8]", &[loaded(1, 8, 8)]);
    assert_lifted(
        0xad41_07e0,
        "ldp q0, q1, [sp, #32]",
        &[loaded(31, 32, 16), loaded(31, 48, 16)],
    );
    assert_lifted(
        0x4cdf_7000,
        "ld1 {v0.16b}, [x0], #16",
        &[loaded(0, 0, 64), computed(1, 1)],
    );
    for (word, what, registers) in [
        (0x9e67_0020, "fmov d0, x1", 0b10),
        (0x9e62_0020, "scvtf d0, x1", 0b10),
        (0x9e42_fc20, "scvtf d0, x1, #1", 0b10),
        (0x4e08_0c20, "dup v0.2d, x1", 0b10),
        (0x4e08_1c40, "ins v0.d[0], x2", 0b100),
    ] {
        let operations = lifted(word).unwrap_or_default();
        assert_eq!(operations.first(), Some(&Operation::Hide(inputs(registers))), "{what}");
    }
    for (word, what) in [(0x1e61_2000, "fcmp d0, d1"), (0x0e0c_3c03, "umov w3, v0.s[1]")] {
        let operations = lifted(word).unwrap_or_default();
        assert!(
            !operations
                .iter()
                .any(|operation| matches!(operation, Operation::Hide(_))),
            "{what}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_instruction_is_known_or_refused(words in proptest::collection::vec(proptest::prelude::any::<u32>(), 1..8)) {
        let code = words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let at = lift(&code, Vaddr(u64::MAX - 3));
        proptest::prop_assert!(at.is_none_or(|lifted| lifted.length == 4 || lifted.length == 16));
    }
}
