//! Writes that are lifted, in small libraries that the C compiler makes of `fixtures/elf/records.c` with many flags.
//!
//! What a plan says of them is held against the offsets that the compiler knows.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]

mod support;

use goblin::elf::Elf;
use goblin::elf::reloc::R_X86_64_RELATIVE;
use proptest::prelude::*;
use symbolizer::{Cause, Guard, Hook, HookKind, Operand, Place, ProbePlan, Proof, Role};

use support::compiled;

const SHARED: [&str; 3] = ["-shared", "-fPIC", "-Wl,-Bsymbolic"];

/// Compiler flags as distributions choose them.
const BUILDS: [&[&str]; 10] = [
    &["-O2", "-fcf-protection=none"],
    &["-O2", "-fcf-protection=full", "-fstack-protector-strong"],
    &[
        "-O2",
        "-fcf-protection=full",
        "-fno-omit-frame-pointer",
        "-fstack-clash-protection",
    ],
    &["-O3", "-fno-plt"],
    &["-O3", "-march=x86-64-v3"],
    &["-O3", "-fcf-protection=full", "-fstack-protector-strong"],
    &["-Os"],
    &["-O1", "-Wl,-z,pack-relative-relocs"],
    &["-O1"],
    &["-O2", "-fzero-call-used-regs=used-gpr", "-Wl,-z,now", "-s"],
];

fn build(name: &str, flags: &[&str]) -> Vec<u8> {
    let (_built, image) = compiled("records.c", name, &[&SHARED, flags].concat());
    image
}

fn planned(image: &[u8]) -> ProbePlan {
    let mut plans = symbolizer::plan(image, None).unwrap().plans;
    assert_eq!(plans.len(), 1);
    plans.remove(0)
}

fn lifts(plan: &ProbePlan) -> Vec<&Hook> {
    let lifts = plan.hooks.iter().filter(|hook| hook.kind == HookKind::Lift);
    lifts.collect()
}

/// Returns the one hook that lifts.
fn lift(image: &[u8]) -> Hook {
    let plan = planned(image);
    let [lift] = lifts(&plan)[..] else {
        panic!("{:?}", plan.refused)
    };
    assert_eq!((lift.role, lift.proof), (Role::Write, Proof::Fields));
    assert_eq!(lift.operands.object, Operand::at(Place::Connection, 8));
    lift.clone()
}

/// Returns why nothing is lifted.
fn refused(image: &[u8]) -> Cause {
    let plan = planned(image);
    assert_eq!(lifts(&plan), Vec::<&Hook>::new());
    let mut causes = plan.refused.iter().filter(|refused| refused.0 == HookKind::Lift);
    causes.next().unwrap().2
}

/// Reads the offsets that the compiler has put into the library.
fn expected<const COUNT: usize>(image: &[u8]) -> [u16; COUNT] {
    let elf = Elf::parse(image).unwrap();
    let named = |symbol: &goblin::elf::Sym| elf.dynstrtab.get_at(symbol.st_name) == Some("expected");
    let symbol = elf.dynsyms.iter().find(named).unwrap();
    assert_eq!(symbol.st_size, u64::try_from(8 * COUNT).unwrap());
    let holds = |header: &&goblin::elf::ProgramHeader| header.vm_range().contains(&symbol.st_value.try_into().unwrap());
    let segment = elf.program_headers.iter().find(holds).unwrap();
    let at = usize::try_from(symbol.st_value - segment.p_vaddr + segment.p_offset).unwrap();
    std::array::from_fn(|index| {
        let word = &image[at + 8 * index..][..8];
        u16::try_from(u64::from_le_bytes(word.try_into().unwrap())).unwrap()
    })
}

const fn field(offset: u16, width: u8) -> Operand {
    Operand::loaded(Place::Connection, offset, width)
}

const fn application_data(operand: Operand) -> [Option<Guard>; 2] {
    [Some(Guard { operand, equals: 23 }), None]
}

#[test]
fn what_a_connection_keeps_of_what_it_sends_is_found_however_it_is_compiled() {
    for (index, flags) in BUILDS.iter().enumerate() {
        for padding in ["-DPADDING=0", "-DPADDING=0x1c08"] {
            let image = build(&format!("pending-{index}.so"), &[*flags, &[padding]].concat());
            let [total, kind, returned, buffer, sequence] = expected(&image);
            let operands = lift(&image).operands;
            assert_eq!(operands.count, Some(field(total, 8)), "{flags:?}");
            assert_eq!(operands.length, Some(field(returned, 8)), "{flags:?}");
            assert_eq!(operands.buffer, Some(field(buffer, 8)), "{flags:?}");
            assert_eq!(operands.sequence, Some(field(sequence, 8)), "{flags:?}");
            assert_eq!(operands.guards, application_data(field(kind, 4)), "{flags:?}");
        }
    }
}

#[test]
fn templates_on_the_stack_are_found_however_they_are_compiled() {
    for (index, flags) in BUILDS.iter().enumerate() {
        for padding in ["-DPADDING=0x208", "-DPADDING=0x1008"] {
            let name = format!("templates-{index}.so");
            let image = build(&name, &[*flags, &["-DTEMPLATES", padding]].concat());
            let [total, kind, length, buffer, sequence, layer] = expected(&image);
            let hook = lift(&image);
            let operands = hook.operands;
            let Some(Guard {
                operand:
                    Operand {
                        place: Place::Frame(first),
                        ..
                    },
                ..
            }) = operands.guards[0]
            else {
                panic!("{flags:?}: {:?}", operands.guards);
            };
            let framed = |offset: u16, width| Operand::at(Place::Frame(first - kind + offset), width);
            assert_eq!(operands.count, Some(field(total, 8)), "{flags:?}");
            assert_eq!(operands.length, Some(framed(length, 8)), "{flags:?}");
            assert_eq!(operands.buffer, Some(framed(buffer, 8)), "{flags:?}");
            assert_eq!(operands.guards, application_data(framed(kind, 1)), "{flags:?}");
            let sequence = Operand {
                loads: [Some(layer), Some(sequence)],
                ..field(0, 8)
            };
            assert_eq!(operands.sequence, Some(sequence), "{flags:?}");
            assert_is_a_call_and_what_follows(&hook, &image);
        }
    }
}

/// The site is a call through a register or memory, and the hook says what lies behind it.
fn assert_is_a_call_and_what_follows(hook: &Hook, image: &[u8]) {
    let length = hook.returns_to.unwrap().0 - hook.site.address.0;
    let start = usize::try_from(hook.site.offset.0).unwrap();
    let call = &image[start..][..usize::try_from(length).unwrap()];
    let operation = call.iter().find(|byte| !matches!(byte, 0x40..=0x4f)).unwrap();
    assert_eq!(*operation, 0xff, "{call:x?}");
    assert!((2..8).contains(&call.len()), "{call:x?}");
}

#[test]
fn what_has_no_symbol_is_named_by_its_caller() {
    assert_eq!(lift(&build("named.so", &["-O2"])).name, "ssl3_write_pending");
    assert_eq!(lift(&build("nameless.so", &["-O2", "-s"])).name, "SSL_write's record");
    let flags = ["-O2", "-DTEMPLATES", "-s"];
    assert_eq!(lift(&build("nameless-templates.so", &flags)).name, "SSL_write's record");
}

#[test]
fn a_library_that_does_otherwise_is_refused_with_the_cause() {
    let refused = |flags: &[&str]| refused(&build("otherwise.so", &[&["-O2"], flags].concat()));
    assert_eq!(refused(&["-DSWAPPED"]), Cause::Methods, "another length is handed on");
    assert_eq!(refused(&["-DSWAPPED", "-DTEMPLATES"]), Cause::Methods);
    assert_eq!(refused(&["-DUNSTORED"]), Cause::PendingNotStored);
    assert_eq!(refused(&["-DASTRAY", "-DTEMPLATES"]), Cause::NoPending);
    assert_eq!(refused(&["-DUNCOUNTED"]), Cause::NoSequence);
    assert_eq!(refused(&["-DUNCOUNTED", "-DTEMPLATES"]), Cause::NoSequence);
}

#[test]
fn a_library_whose_connections_may_write_anywhere_is_refused() {
    assert_eq!(
        refused(&build("no-bio.so", &["-O2", "-DNO_SOCKET"])),
        Cause::NoSocketBio
    );
}

#[test]
fn the_pointers_to_code_are_those_of_goblin() {
    let image = build("pointers.so", &["-O2", "-DTEMPLATES"]);
    let elf = Elf::parse(&image).unwrap();
    let code = elf
        .program_headers
        .iter()
        .find(|header| header.is_executable())
        .unwrap();
    let relative = elf.dynrelas.iter().filter(|entry| entry.r_type == R_X86_64_RELATIVE);
    let relative = relative.map(|entry| (entry.r_offset, u64::try_from(entry.r_addend.unwrap()).unwrap()));
    let mut expected: Vec<_> = relative
        .filter(|(_, target)| code.vm_range().contains(&usize(*target)))
        .collect();
    expected.sort_unstable();
    let parsed = symbolizer::Image::parse(&image).unwrap().unwrap();
    let found = parsed.code_pointers().into_iter();
    let mut found: Vec<_> = found.map(|(place, target)| (place.0, target.0)).collect();
    found.sort_unstable();
    assert!(expected.len() > 8);
    // What is there in the file as well is found twice, and so is what only looks like a pointer.
    assert!(expected.iter().all(|pointer| found.contains(pointer)), "{found:x?}");
}

fn usize(address: u64) -> usize {
    address.try_into().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_code_is_survived(damage in prop::collection::vec((0..0x800_usize, any::<u8>()), 1..8)) {
        static IMAGE: std::sync::LazyLock<(Vec<u8>, usize)> = std::sync::LazyLock::new(|| {
            let image = build("damaged-records.so", &["-O2", "-DTEMPLATES"]);
            let first = lift(&image).offset.0;
            (image, usize::try_from(first).unwrap())
        });
        let (mut image, first) = (IMAGE.0.clone(), IMAGE.1);
        for (at, byte) in damage {
            if let Some(target) = image.get_mut(first + at) {
                *target = byte;
            }
        }
        let plan = planned(&image);
        let refused = plan.refused.iter().any(|refused| refused.0 == HookKind::Lift);
        prop_assert_eq!(lifts(&plan).len(), usize::from(!refused));
    }
}
