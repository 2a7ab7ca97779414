//! The functions behind the public ones, in small libraries that the C compiler makes of `fixtures/elf/wrappers.c` with
//! many flags.
//!
//! What a plan says of them is held against the symbol table that goblin reads.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;

use goblin::elf::Elf;
use proptest::prelude::*;
use symbolizer::{Hook, HookKind, Place, ProbePlan, Proof, SymbolSource, Tier};

use support::compiled;

const SHARED: [&str; 2] = ["-shared", "-fPIC"];

/// Compiler flags as distributions choose them.
const BUILDS: [&[&str]; 9] = [
    &["-O2", "-fcf-protection=none"],
    &["-O2", "-fcf-protection=full", "-fstack-protector-strong"],
    &[
        "-O2",
        "-fcf-protection=full",
        "-fno-omit-frame-pointer",
        "-fstack-clash-protection",
    ],
    &["-O3", "-fno-plt"],
    &["-O3", "-fcf-protection=full", "-Wl,-z,ibtplt"],
    &["-Os"],
    &["-O1"],
    &["-O2", "-Wl,-Bsymbolic"],
    &["-O2", "-fzero-call-used-regs=used-gpr", "-Wl,-z,now"],
];

fn build(name: &str, flags: &[&str]) -> Vec<u8> {
    let (_built, image) = compiled("wrappers.c", name, &[&SHARED, flags].concat());
    image
}

fn planned(image: &[u8]) -> ProbePlan {
    let mut plans = symbolizer::plan(image, None).unwrap().plans;
    assert_eq!(plans.len(), 1);
    plans.remove(0)
}

/// Returns where the full symbol table says that functions lie.
fn symbols(image: &[u8]) -> BTreeMap<String, u64> {
    let elf = Elf::parse(image).unwrap();
    let named = |symbol: goblin::elf::Sym| Some((elf.strtab.get_at(symbol.st_name)?.to_owned(), symbol.st_value));
    elf.syms.iter().filter_map(named).collect()
}

/// Where functions leave the count: in their result, behind their fourth argument, and behind their fifth.
const RETURNED: Place = Place::Result;
const FOURTH: Place = Place::Register(2);
const FIFTH: Place = Place::Register(8);

fn names(plan: &ProbePlan) -> Vec<(Place, &str)> {
    let named = |hook: &'_ Hook| hook.operands.count.unwrap().place;
    returning(plan).map(|hook| (named(hook), hook.name.as_str())).collect()
}

/// Returns the hooks with a return probe: what others are for is among them.
fn returning(plan: &ProbePlan) -> impl Iterator<Item = &Hook> {
    plan.hooks.iter().filter(|hook| hook.kind == HookKind::Return)
}

#[test]
fn what_the_public_functions_share_is_found_however_they_are_compiled() {
    for (index, flags) in BUILDS.iter().enumerate() {
        for (version, with_flags, write) in [("30", None, FOURTH), ("33", Some("-DFLAGS"), FIFTH)] {
            let all: Vec<_> = flags.iter().copied().chain(with_flags).collect();
            let image = build(&format!("shared-{index}-{version}.so"), &all);
            let (plan, symbols) = (planned(&image), symbols(&image));
            let expected = [(FOURTH, "ssl_read_internal"), (write, "ssl_write_internal")];
            assert_eq!(names(&plan), expected, "{all:?}");
            for function in returning(&plan) {
                assert_eq!(symbols.get(&function.name), Some(&function.address.0), "{all:?}");
                assert_eq!(
                    (function.found, function.proof, function.site.tier),
                    (SymbolSource::Callers, Proof::Callers, Tier::Emulated),
                    "{all:?}"
                );
            }
        }
    }
}

#[test]
fn what_has_no_symbol_is_named_by_its_caller() {
    let image = build("nameless.so", &["-O2", "-s"]);
    let expected = [(FOURTH, "SSL_read's callee"), (FOURTH, "SSL_write's callee")];
    assert_eq!(names(&planned(&image)), expected);
}

#[test]
fn roles_that_are_served_by_a_shared_function_are_not_absent() {
    let plan = planned(&build("served.so", &["-O2"]));
    let carries = |name: &&&str| name.starts_with("SSL_read") || name.starts_with("SSL_write");
    let carries = |name: &&&str| carries(name) && !name.ends_with("early_data");
    assert_eq!(
        plan.absent.iter().filter(carries).collect::<Vec<_>>(),
        [&"SSL_write_ex2"]
    );
}

#[test]
fn public_functions_that_share_nothing_are_probed_themselves() {
    for flags in [
        &["-O2", "-DINLINED"][..],
        &["-O2", "-DINLINED", "-DFLAGS"],
        &["-O2", "-DLIBRESSL"],
        &["-O0"],
    ] {
        let plan = planned(&build("apart.so", flags));
        let is_public = |function: &Hook| function.found == SymbolSource::Dynsym && function.name.starts_with("SSL_");
        assert!(returning(&plan).all(is_public), "{flags:?}: {:?}", names(&plan));
        assert!(plan.hooks.len() >= 4, "{flags:?}");
    }
}

#[test]
fn reading_is_probed_at_the_public_functions_when_one_of_them_goes_another_way() {
    for way in ["-DPEEKED", "-DAPART", "-DSTORED"] {
        let plan = planned(&build("astray.so", &["-O2", way]));
        let expected = [
            (RETURNED, "SSL_read"),
            (FOURTH, "SSL_read_ex"),
            (FOURTH, "ssl_write_internal"),
        ];
        assert_eq!(names(&plan), expected, "{way}");
    }
}

#[test]
fn a_public_function_whose_way_is_not_known_is_probed_as_well() {
    let mut image = build("headless.so", &["-O2", "-DFLAGS", "-s"]);
    image[0x28..0x30].fill(0); // e_shoff: nothing tells what the linkage table leads to
    image[0x3c..0x40].fill(0); // e_shnum, e_shstrndx
    let expected = [
        (FOURTH, "SSL_read's callee"),
        (FOURTH, "SSL_write_ex"),
        (FIFTH, "SSL_write's callee"),
    ];
    assert_eq!(names(&planned(&image)), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_code_is_survived(damage in prop::collection::vec((0..0x400_usize, any::<u8>()), 1..8)) {
        static IMAGE: std::sync::LazyLock<(Vec<u8>, usize)> = std::sync::LazyLock::new(|| {
            let image = build("damaged.so", &["-O2", "-DFLAGS"]);
            let first = planned(&image).hooks.iter().map(|function| function.offset.0).min();
            (image, usize::try_from(first.unwrap()).unwrap())
        });
        let (mut image, first) = (IMAGE.0.clone(), IMAGE.1);
        for (at, byte) in damage {
            if let Some(target) = image.get_mut(first + at) {
                *target = byte;
            }
        }
        let plan = planned(&image);
        for function in &plan.hooks {
            prop_assert!(function.site.address >= function.address);
            prop_assert_eq!(function.site.address.0 - function.address.0, function.site.offset.0 - function.offset.0);
        }
    }
}
