//! The call that copies what was read, in small libraries that the C compiler makes of `fixtures/elf/delivery.c`, and in
//! the system's own.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use goblin::elf::Elf;
use iced_x86::{Code, Decoder, DecoderOptions};
use proptest::prelude::*;
use symbolizer::{
    Cause, Guard, Hook, HookKind, Instruction, Operand, Place, Policy, ProbePlan, Proof, Role, Tier, choose,
};

use support::compiled;

const SHARED: [&str; 2] = ["-shared", "-fPIC"];

/// Values that guards ask for, and how many bytes of them.
type Guards = &'static [(u32, u8)];

/// The type of the record, and that it is not peeked at.
const BOTH: Guards = &[(0x17, 1), (0, 4)];
/// Peeking has a call of its own.
const TYPE: Guards = &[(0x17, 1)];

/// Compiler flags as distributions choose them.
const BUILDS: [(&[&str], Guards); 7] = [
    (&["-O2", "-fcf-protection=none"], BOTH),
    (&["-O2", "-fcf-protection=full", "-fstack-protector-strong"], BOTH),
    (
        &[
            "-O2",
            "-fcf-protection=full",
            "-fno-omit-frame-pointer",
            "-fstack-clash-protection",
        ],
        BOTH,
    ),
    (&["-O3", "-Wl,-z,now"], TYPE),
    (&["-O1"], BOTH),
    (&["-O2", "-fzero-call-used-regs=used-gpr", "-DNEWER"], BOTH),
    (&["-O2", "-s"], BOTH),
];

fn planned(name: &str, flags: &[&str]) -> (ProbePlan, Vec<u8>) {
    let (_built, image) = compiled("delivery.c", name, &[&SHARED, flags].concat());
    let mut plans = symbolizer::plan(&image, None).unwrap().plans;
    assert_eq!(plans.len(), 1);
    (plans.remove(0), image)
}

fn taps(plan: &ProbePlan) -> Vec<&Hook> {
    plan.hooks.iter().filter(|hook| hook.kind == HookKind::Tap).collect()
}

/// Asserts what holds of every tap, and that its site is a call that a decoder comes to from its function's beginning.
fn assert_sound(tap: &Hook, image: &[u8]) {
    assert_eq!((tap.role, tap.proof), (Role::Read, Proof::DataFlow));
    assert_eq!(
        (tap.site.tier, tap.site.instruction),
        (Tier::Emulated, Instruction::Call)
    );
    assert_eq!(tap.site.address.0 - tap.address.0, tap.site.offset.0 - tap.offset.0);
    let operands = &tap.operands;
    let register = |number| Some(Operand::at(Place::Register(number), 8));
    // rsi and rdx.
    assert_eq!((operands.buffer, operands.count), (register(4), register(1)));
    assert_eq!((operands.length, operands.result), (None, None));
    let first = usize::try_from(tap.offset.0).unwrap();
    let decoder = Decoder::with_ip(64, &image[first..], tap.address.0, DecoderOptions::NONE);
    let mut instructions = decoder.into_iter().take(4096);
    let call = instructions.find(|instruction| instruction.ip() == tap.site.address.0);
    assert_eq!(call.map(|call| call.code()), Some(Code::Call_rel32_64));
}

/// Returns the values that the guards of a tap ask for, and how many bytes of them.
fn guards(tap: &Hook) -> Vec<(u32, u8)> {
    let guards = tap.operands.guards.iter().flatten();
    guards
        .map(|Guard { operand, equals }| (*equals, operand.width))
        .collect()
}

#[test]
fn the_copy_is_found_however_the_library_is_compiled() {
    for (index, (flags, expected)) in BUILDS.iter().enumerate() {
        let (plan, image) = planned(&format!("copy-{index}.so"), flags);
        let taps = taps(&plan);
        assert_eq!(taps.len(), 1, "{flags:?}: {:?}", plan.refused);
        assert_sound(taps[0], &image);
        assert_eq!(guards(taps[0]), *expected, "{flags:?}");
        assert!(plan.refused.is_empty(), "{flags:?}: {:?}", plan.refused);
        let symbols = Elf::parse(&image).unwrap();
        let named = symbols
            .syms
            .iter()
            .find(|symbol| symbols.strtab.get_at(symbol.st_name) == Some("ssl3_read_bytes"));
        if let Some(named) = named {
            assert_eq!(
                (taps[0].name.as_str(), taps[0].address.0),
                ("ssl3_read_bytes", named.st_value)
            );
        } else {
            assert_eq!(taps[0].name, "SSL_read's copy");
        }
    }
}

#[test]
fn the_functions_that_return_stay_in_the_plan_and_a_policy_chooses() {
    let (plan, _) = planned("chosen.so", &["-O2"]);
    let reading = |policy| {
        let chosen = choose(&plan, policy);
        let reading = chosen.iter().filter(|hook| hook.role == Role::Read);
        reading.map(|hook| hook.kind).collect::<BTreeSet<_>>()
    };
    assert_eq!(reading(Policy::Auto), [HookKind::Tap].into());
    assert_eq!(reading(Policy::Return), [HookKind::Return].into());
    assert_eq!(reading(Policy::Exit), [HookKind::Exit].into());
}

/// Returns why there is no tap.
fn refused(name: &str, flags: &[&str]) -> Cause {
    let (plan, _) = planned(name, &[&["-O2"], flags].concat());
    assert!(taps(&plan).is_empty(), "{flags:?}");
    match plan.refused[..] {
        [(HookKind::Tap, Role::Read, cause)] => cause,
        _ => panic!("{:?}", plan.refused),
    }
}

#[test]
fn a_copy_that_is_not_all_that_fills_the_buffer_is_refused() {
    assert!(matches!(refused("stored.so", &["-DSTORED"]), Cause::BufferStored(_)));
    assert!(matches!(refused("outside.so", &["-DOUTSIDE"]), Cause::UnknownCall(_)));
    assert!(matches!(refused("framed.so", &["-DFRAMED"]), Cause::FrameHandedOver(_)));
    // The function that is to run on another stack stores the address.
    assert!(matches!(refused("astray.so", &["-DASTRAY"]), Cause::BufferStored(_)));
    assert!(matches!(refused("inlined.so", &["-DINLINED"]), Cause::CopiedInline(_)));
    assert!(matches!(refused("differing.so", &["-DDIFFERING"]), Cause::Methods));
    assert!(matches!(refused("slot.so", &["-fno-plt"]), Cause::NotEmulated(_)));
}

#[test]
fn a_copy_where_the_type_of_the_record_is_gone_is_refused() {
    assert!(matches!(refused("lost.so", &["-DLOST"]), Cause::TypeLost(_)));
}

#[test]
fn functions_may_call_each_other_as_deeply_as_the_limit_and_no_more() {
    // SSL_read, its callee, the method's function, the steps, and the one that copies.
    let deepest = symbolizer::limits::CHASED_DEPTH - 4;
    let step = |steps: usize| format!("-DDEEP=step{steps}");
    let (plan, _) = planned("deep.so", &["-O2", &step(deepest)]);
    assert_eq!(taps(&plan).len(), 1, "{:?}", plan.refused);
    assert!(matches!(refused("deeper.so", &[&step(deepest + 1)]), Cause::TooDeep(_)));
}

#[test]
fn a_function_whose_callees_are_too_many_to_see_what_they_read_may_return_the_buffer() {
    let left = |functions: usize| format!("-DLEFT=left{functions}");
    let (plan, _) = planned("left.so", &["-O2", &left(symbolizer::limits::READ_DEPTH)]);
    assert_eq!(taps(&plan).len(), 1, "{:?}", plan.refused);
    let beyond = refused("left-beyond.so", &[&left(symbolizer::limits::READ_DEPTH + 1)]);
    assert!(matches!(beyond, Cause::CopiedInline(_)), "{beyond}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_code_is_survived(damage in prop::collection::vec((0..0x800_usize, any::<u8>()), 1..8)) {
        static IMAGE: LazyLock<(Vec<u8>, usize)> = LazyLock::new(|| {
            let (plan, image) = planned("damaged.so", &["-O2"]);
            let first = taps(&plan)[0].offset.0;
            (image, usize::try_from(first).unwrap())
        });
        let (mut image, first) = (IMAGE.0.clone(), IMAGE.1);
        for (at, byte) in damage {
            if let Some(target) = image.get_mut(first + at) {
                *target = byte;
            }
        }
        let plans = symbolizer::plan(&image, None).unwrap().plans;
        for tap in plans.iter().flat_map(taps) {
            assert_sound(tap, &image);
        }
    }
}

#[test]
fn the_installed_openssl_has_a_tap() {
    let image = fs::read("/usr/lib/x86_64-linux-gnu/libssl.so.3").expect("libssl is installed");
    let plans = symbolizer::plan(&image, None).unwrap().plans;
    let taps = taps(&plans[0]);
    assert!(!taps.is_empty(), "{:?}", plans[0].refused);
    for tap in &taps {
        assert_sound(tap, &image);
    }
}

#[test]
#[ignore = "needs Debian's libssl 3.0.19 or 3.0.22"]
fn the_places_of_debians_openssl_are_those_that_were_read_by_hand() {
    let image = fs::read("/usr/lib/x86_64-linux-gnu/libssl.so.3").expect("libssl is installed");
    let plans = symbolizer::plan(&image, None).unwrap().plans;
    let [tap] = taps(&plans[0])[..] else {
        panic!("one call copies: {:?}", plans[0].refused);
    };
    assert_eq!(tap.site.address.0 - tap.address.0, 0x842);
    assert_eq!(tap.operands.object, Operand::at(Place::Stack(0x28), 8));
    let guard = |slot, width, equals| {
        Some(Guard {
            operand: Operand::at(Place::Stack(slot), width),
            equals,
        })
    };
    assert_eq!(tap.operands.guards, [guard(4, 1, 0x17), guard(0, 4, 0)]);
}
