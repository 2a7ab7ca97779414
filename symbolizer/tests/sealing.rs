//! The taps of BoringSSL, in small libraries that the C compiler makes of `fixtures/elf/sealing.c`.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]
#![expect(
    clippy::doc_markdown,
    reason = "BoringSSL and its like are names of libraries, not code"
)]

mod support;

use iced_x86::{Code, Decoder, DecoderOptions};
use symbolizer::{Cause, Family, Guard, Hook, HookKind, Instruction, Operand, Place, ProbePlan, Proof, Role, Tier};

use support::compiled;

/// Compiler flags as builds choose them.
const BUILDS: [&[&str]; 5] = [
    &["-O2", "-fcf-protection=none"],
    &["-O2", "-fcf-protection=full", "-fstack-protector-strong"],
    &["-O2", "-fno-omit-frame-pointer", "-fstack-clash-protection"],
    &["-O3", "-Wl,-z,now"],
    &["-O1"],
];

fn planned(name: &str, flags: &[&str]) -> (ProbePlan, Vec<u8>) {
    let (_built, image) = compiled("sealing.c", name, &[&["-shared", "-fPIC"], flags].concat());
    let mut plans = symbolizer::plan(&image, None).unwrap().plans;
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].library.family, Family::BoringSsl);
    (plans.remove(0), image)
}

fn tap(plan: &ProbePlan, role: Role) -> Option<&Hook> {
    let mut taps = plan
        .hooks
        .iter()
        .filter(|hook| hook.kind == HookKind::Tap && hook.role == role);
    let tap = taps.next();
    assert_eq!(taps.next(), None, "one");
    tap
}

fn argument(register: u8) -> Operand {
    Operand::at(Place::Register(register), 8)
}

/// Returns the instruction at the site of a tap, which a decoder comes to from the beginning of its function.
fn probed(tap: &Hook, image: &[u8]) -> Option<Code> {
    let first = usize::try_from(tap.offset.0).unwrap();
    let decoder = Decoder::with_ip(64, &image[first..], tap.address.0, DecoderOptions::NONE);
    let mut instructions = decoder.into_iter().take(4096);
    let found = instructions.find(|instruction| instruction.ip() == tap.site.address.0);
    found.map(|instruction| instruction.code())
}

#[test]
fn both_taps_are_found_however_the_library_is_compiled() {
    for (index, flags) in BUILDS.iter().enumerate() {
        let (plan, image) = planned(&format!("sealing-{index}.so"), flags);
        let read = tap(&plan, Role::Read).unwrap_or_else(|| panic!("{flags:?}: {:?}", plan.refused));
        assert_eq!(
            (read.proof, read.site.instruction),
            (Proof::DataFlow, Instruction::Call)
        );
        assert_eq!(probed(read, &image), Some(Code::Call_rel32_64));
        // rsi and rdx.
        assert_eq!(
            (read.operands.buffer, read.operands.count),
            (Some(argument(4)), Some(argument(1)))
        );
        assert_eq!(read.operands.guards, [None; 2]);

        let written = tap(&plan, Role::Write).unwrap_or_else(|| panic!("{flags:?}: {:?}", plan.refused));
        assert_eq!(
            (written.name.as_str(), written.proof),
            ("tls_seal_record", Proof::Types)
        );
        assert_eq!(
            (written.site.tier, written.site.instruction),
            (Tier::Emulated, Instruction::Push)
        );
        assert!(probed(written, &image).is_some());
        let operands = &written.operands;
        // rdi and r9; the number of bytes has no register.
        assert_eq!((operands.object, operands.buffer), (argument(5), Some(argument(9))));
        assert_eq!(operands.count, Some(Operand::at(Place::Stack(8), 8)));
        let kind = Guard {
            operand: Operand::at(Place::Register(8), 1),
            equals: 23,
        };
        assert_eq!(operands.guards, [Some(kind), None]);
    }
}

/// Returns why there is no tap for a role.
fn refused(role: Role, name: &str, flags: &[&str]) -> Cause {
    let (plan, _) = planned(name, &[&["-O2"], flags].concat());
    assert_eq!(tap(&plan, role), None, "{flags:?}");
    let mut causes = plan
        .refused
        .iter()
        .filter(|refused| refused.0 == HookKind::Tap && refused.1 == role);
    let (_, _, cause) = causes.next().unwrap_or_else(|| panic!("{:?}", plan.refused));
    *cause
}

#[test]
fn a_copy_that_may_be_of_something_else_is_refused() {
    let read = |name, flags: &[&str]| refused(Role::Read, name, flags);
    assert!(matches!(read("foreign.so", &["-DFOREIGN"]), Cause::SourceUnsure(_)));
    assert!(matches!(read("kept.so", &["-DSTORED"]), Cause::BufferStored(_)));
    assert!(matches!(read("unneeded.so", &["-DUNNEEDED"]), Cause::ConnectionLost(_)));
    assert!(matches!(read("small.so", &["-Os"]), Cause::CopiedInline(_)));
    assert!(matches!(read("by-slot.so", &["-fno-plt"]), Cause::NotEmulated(_)));
}

#[test]
fn a_function_that_may_not_encrypt_what_is_written_is_refused() {
    let write = |name, flags: &[&str]| refused(Role::Write, name, flags);
    let missing = Cause::FunctionMissing("tls_seal_record");
    assert_eq!(write("stripped.so", &["-s"]), missing);
    assert_eq!(write("other-types.so", &["-DOTHER_TYPES"]), missing);
    assert!(matches!(write("typeless.so", &["-DTYPELESS"]), Cause::TypeLost(_)));
    assert!(matches!(
        write("astray-connection.so", &["-DASTRAY"]),
        Cause::UnknownCall(_)
    ));
}
