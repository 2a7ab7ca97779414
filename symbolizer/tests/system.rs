//! Plans of real libraries: the system's own, and small ones that the C compiler makes for the test of `fixtures/elf`.
//!
//! Tests of software that a machine may lack are ignored by default, never passed over in silence; `--include-ignored`
//! runs them.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

mod support;

use goblin::elf::Elf;
use symbolizer::{
    Evidence, Family, Hook, HookKind, Instruction, LayoutUnknown, Operand, Operands, Origin, Place, Plans, ProbePlan,
    Reason, Role, SymbolSource, Tier,
};

use support::{Built, compiled};

/// Finds a library where the multiarch and the plain layouts keep it.
fn installed(name: &str) -> Vec<u8> {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let mut images = folders
        .iter()
        .filter_map(|folder| fs::read(Path::new(folder).join(name)).ok());
    images.next().unwrap_or_else(|| panic!("{name} is not installed"))
}

fn compile(name: &str, flags: &[&str]) -> (Built, Vec<u8>) {
    compiled("tls.c", name, flags)
}

fn planned(image: &[u8], crypto: Option<&[u8]>) -> ProbePlan {
    let crypto = crypto.and_then(|image| symbolizer::crypto(image).unwrap());
    only(symbolizer::plan(image, crypto.as_ref()).unwrap())
}

/// Returns the plan of an image that holds one library.
fn only(mut plans: Plans) -> ProbePlan {
    assert_eq!(plans.plans.len(), 1, "not traced because {:?}", plans.reasons);
    plans.plans.remove(0)
}

/// Returns why an image has no plan.
fn refused(image: &[u8]) -> Vec<Reason> {
    let plans = symbolizer::plan(image, None).unwrap();
    assert_eq!(plans.plans, []);
    plans.reasons
}

fn exports(image: &[u8]) -> BTreeMap<String, u64> {
    let elf = Elf::parse(image).unwrap();
    let defined = elf.dynsyms.iter().filter(|symbol| symbol.st_shndx != 0);
    defined
        .map(|symbol| {
            (
                elf.dynstrtab.get_at(symbol.st_name).unwrap().to_owned(),
                symbol.st_value,
            )
        })
        .collect()
}

fn assert_addresses_are_those_of_goblin(plan: &ProbePlan, image: &[u8]) {
    let exports = exports(image);
    let exported = |function: &&Hook| function.found == SymbolSource::Dynsym;
    for function in plan.hooks.iter().filter(exported) {
        assert_eq!(
            exports.get(&function.name),
            Some(&function.address.0),
            "{}",
            function.name
        );
    }
}

#[test]
fn the_installed_openssl_has_every_role_but_the_newest() {
    let image = installed("libssl.so.3");
    let plan = planned(&image, Some(&installed("libcrypto.so.3")));
    assert_addresses_are_those_of_goblin(&plan, &image);
    let version = plan.library.version.expect("libcrypto states its version");
    assert_eq!(
        (plan.library.family, plan.library.evidence),
        (Family::OpenSsl, Evidence::SymbolVersions)
    );
    assert_eq!(plan.absent.contains(&"SSL_write_ex2"), version.number() < (3, 3, 0));
    assert!(
        plan.absent.iter().all(|name| *name == "SSL_write_ex2"),
        "absent: {:?}",
        plan.absent
    );
    assert!(plan.layout.is_ok(), "{:?}", plan.layout);
}

#[test]
fn the_crypto_library_that_libssl_needs_is_found_by_its_name() {
    let ssl = installed("libssl.so.3");
    let needed = symbolizer::crypto(&installed("libcrypto.so.3")).unwrap().unwrap();
    let other = symbolizer::Crypto {
        name: Some(b"libcrypto.so.1.1".to_vec()),
        ..needed.clone()
    };
    let nameless = symbolizer::Crypto {
        name: None,
        ..needed.clone()
    };
    let found = |candidates: &[&symbolizer::Crypto]| symbolizer::needed_crypto(&ssl, candidates).unwrap();
    assert_eq!(found(&[&other, &nameless, &needed]), Some(2));
    assert_eq!(found(&[&other, &nameless]), None);
    assert_eq!(found(&[&needed, &needed]), None, "which of both is anybody's guess");
    assert_eq!(found(&[]), None);
}

#[test]
fn the_layout_of_the_installed_openssl_needs_no_table() {
    let plan = planned(&installed("libssl.so.3"), Some(&installed("libcrypto.so.3")));
    assert_eq!(plan.layout.map(|layout| layout.origin), Ok(Origin::Both));
    let mut crypto = symbolizer::crypto(&installed("libcrypto.so.3")).unwrap().unwrap();
    crypto.version = None;
    let plan = only(symbolizer::plan(&installed("libssl.so.3"), Some(&crypto)).unwrap());
    assert_eq!(plan.layout.map(|layout| layout.origin), Ok(Origin::Accessors));
    crypto.bio = None;
    let plan = only(symbolizer::plan(&installed("libssl.so.3"), Some(&crypto)).unwrap());
    assert_eq!(plan.layout, Err(LayoutUnknown::VersionUnknown));
}

/// Returns the hooks at entries, with or without a return probe: what others are for is among them.
fn entered(plan: &ProbePlan) -> impl Iterator<Item = &Hook> {
    plan.hooks.iter().filter(|hook| !hook.kind.is_alternative())
}

/// Returns role, place of the count, origin and probed instruction of each hook that carries plaintext.
fn plaintext(plan: &ProbePlan) -> Vec<(Role, Place, SymbolSource, Instruction)> {
    let plaintext = entered(plan).filter(|hook| hook.role.carries_plaintext());
    plaintext
        .map(|hook| {
            let count = hook.operands.count.unwrap().place;
            (hook.role, count, hook.found, hook.site.instruction)
        })
        .collect()
}

/// Where functions leave the count: in their result, or behind their fourth argument.
const RETURNED: Place = Place::Result;
const FOURTH: Place = Place::Register(2);

fn assert_all_emulated(plan: &ProbePlan) {
    // Nothing is placed at the site of a lift.
    for function in plan.hooks.iter().filter(|hook| hook.kind != HookKind::Lift) {
        assert_eq!(function.site.tier, Tier::Emulated, "{}", function.name);
    }
}

/// Returns the hook by which writes are lifted.
fn lifted(plan: &ProbePlan) -> &Hook {
    let mut lifts = plan.hooks.iter().filter(|hook| hook.kind == HookKind::Lift);
    lifts.next().unwrap_or_else(|| panic!("{:?}", plan.refused))
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_the_installed_openssl_writes_is_lifted() {
    let plan = planned(&installed("libssl.so.3"), Some(&installed("libcrypto.so.3")));
    let operands = lifted(&plan).operands;
    assert_eq!(operands.object, Operand::at(Place::Connection, 8));
    assert!(operands.buffer.is_some() && operands.count.is_some() && operands.sequence.is_some());
    assert_eq!(operands.guards[0].map(|guard| guard.equals), Some(23));
}

#[test]
#[ignore = "needs Debian 12's libssl.so.3 for x86-64"]
fn what_debian_s_openssl_writes_is_lifted_from_the_fields_of_its_structure() {
    let plan = planned(&installed("libssl.so.3"), Some(&installed("libcrypto.so.3")));
    assert_eq!(fields(&lifted(&plan).operands), FIELDS_3_0);
}

/// Where OpenSSL 3.0 has `rlayer.wpend_tot`, `wpend_ret`, `wpend_buf`, `write_sequence` and `wpend_type` in an `SSL`.
const FIELDS_3_0: [(u16, u8); 5] = [(0x1cd8, 8), (0x1ce8, 8), (0x1cf0, 8), (0x1d00, 8), (0x1ce0, 4)];

/// Returns the offsets and the widths of the fields that a hook lifts from.
fn fields(operands: &Operands) -> [(u16, u8); 5] {
    let kind = operands.guards[0].map(|guard| guard.operand);
    let all = [
        operands.count,
        operands.length,
        operands.buffer,
        operands.sequence,
        kind,
    ];
    all.map(|operand| match operand {
        Some(Operand {
            place: Place::Connection,
            loads: [Some(offset), None],
            width,
        }) => (offset, width),
        other => panic!("{other:?} is no field"),
    })
}

#[test]
#[ignore = "needs Debian 12's libssl.so.3 for x86-64"]
fn debian_s_openssl_is_probed_behind_its_public_functions() {
    let plan = planned(&installed("libssl.so.3"), Some(&installed("libcrypto.so.3")));
    assert_eq!(
        plan.layout.as_ref().map(|layout| (layout.rbio, layout.wbio)),
        Ok((0x10, 0x18))
    );
    let expected = [Role::Read, Role::Write].map(|role| (role, FOURTH, SymbolSource::Callers, Instruction::Push));
    assert_eq!(plaintext(&plan), expected);
    assert_all_emulated(&plan);
}

#[test]
#[ignore = "needs Debian 12's libcrypto.so.3 for x86-64"]
fn debian_s_crypto_library_has_the_function_that_takes_ciphertext() {
    let image = installed("libcrypto.so.3");
    let function = symbolizer::bio_write(&image).unwrap().expect("it exports BIO_write");
    assert_eq!(exports(&image).get("BIO_write"), Some(&function.address.0));
    assert_eq!((function.role, function.site.tier), (Role::Ciphertext, Tier::Emulated));
    assert!(function.site.address.0 > function.address.0);
    assert_eq!(refused(&image), [Reason::NoTls]);
}

#[test]
#[ignore = "needs /usr/bin/node with a static OpenSSL 3.0 for x86-64"]
fn node_s_static_openssl_is_probed_at_its_public_functions() {
    let image = fs::read("/usr/bin/node").unwrap();
    let plan = planned(&image, None);
    assert_addresses_are_those_of_goblin(&plan, &image);
    assert_eq!(plan.library.evidence, Evidence::VersionText);
    assert_eq!(plan.layout.as_ref().map(|layout| layout.rbio), Ok(0x10));
    let public = |role, count| (role, count, SymbolSource::Dynsym, Instruction::Push);
    let expected = [RETURNED, FOURTH].map(|count| [Role::Read, Role::Write].map(|role| public(role, count)));
    assert_eq!(plaintext(&plan), expected.concat());
    assert_all_emulated(&plan);
    assert!(plan.hooks.iter().any(|hook| hook.role == Role::Ciphertext));
    assert_eq!(fields(&lifted(&plan).operands), FIELDS_3_0);
}

#[test]
fn a_stripped_shared_object_is_planned_from_its_dynamic_table() {
    let (_built, image) = compile("stripped.so", &["-O2", "-shared", "-fPIC", "-s"]);
    let plan = planned(&image, None);
    assert_addresses_are_those_of_goblin(&plan, &image);
    assert!(plan.hooks.iter().all(|function| function.found == SymbolSource::Dynsym));
    assert_eq!(entered(&plan).count(), 3);
    assert_eq!(plan.layout.map(|layout| layout.rbio), Ok(0x10));
}

#[test]
fn an_executable_is_planned_from_its_full_table() {
    let (_built, image) = compile("executable", &["-O2", "-DMAIN"]);
    let plan = planned(&image, None);
    assert!(plan.hooks.iter().all(|function| function.found == SymbolSource::Symtab));
}

#[test]
fn a_stripped_executable_says_that_its_names_are_gone() {
    let (_built, image) = compile("gone", &["-O2", "-DMAIN", "-s"]);
    assert_eq!(refused(&image), [Reason::NoSymbols]);
}

#[test]
fn a_dynamic_table_is_found_without_section_headers() {
    for style in ["sysv", "gnu", "both"] {
        let flag = format!("-Wl,--hash-style={style}");
        let (_built, mut image) = compile(&format!("{style}.so"), &["-O2", "-shared", "-fPIC", "-s", &flag]);
        let with_sections = planned(&image, None);
        image[0x28..0x30].fill(0); // e_shoff
        image[0x3c..0x40].fill(0); // e_shnum, e_shstrndx
        assert_eq!(planned(&image, None), with_sections, "hash style {style}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_place_of_the_probe_follows_the_landing_pad() {
    let offset_and_tier = |flags: &[&str]| {
        let (_built, image) = compile("cet.so", &[&["-O0", "-shared", "-fPIC"], flags].concat());
        let function = planned(&image, None).hooks.remove(0);
        (function.site.offset.0 - function.offset.0, function.site.tier)
    };
    assert_eq!(offset_and_tier(&["-fcf-protection=full"]), (4, Tier::Emulated));
    assert_eq!(offset_and_tier(&["-fcf-protection=none"]), (0, Tier::Emulated));
    let leaf = ["-fcf-protection=full", "-fomit-frame-pointer", "-O2"];
    assert_eq!(
        offset_and_tier(&leaf),
        (7, Tier::Emulated),
        "the branch on the first argument"
    );
}

#[test]
fn an_image_that_gives_connections_bios_of_its_own_is_told_by_what_it_imports() {
    let sets_bio = |name: &str, flags: &[&str]| {
        let (_built, image) = compiled("bio.c", name, &[&["-O2", "-shared", "-fPIC", "-s"], flags].concat());
        symbolizer::sets_bio(&image).unwrap()
    };
    for setter in ["SSL_set_bio", "SSL_set0_rbio", "SSL_set0_wbio"] {
        assert!(sets_bio(setter, &[&format!("-DSETTER={setter}")]), "{setter}");
    }
    assert!(!sets_bio("SSL_set_fd", &["-DSETTER=SSL_set_fd"]));
    assert!(!sets_bio("no-setter", &[]));
}

#[test]
fn the_function_that_takes_ciphertext_is_found_in_either_table() {
    let (_built, shared) = compiled("bio.c", "bio.so", &["-O2", "-shared", "-fPIC", "-s"]);
    let found = |image: &[u8]| symbolizer::bio_write(image).unwrap().map(|function| function.found);
    assert_eq!(found(&shared), Some(SymbolSource::Dynsym));
    let hidden = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden"];
    let (_built, hidden) = compiled("bio.c", "hidden-bio.so", &hidden);
    assert_eq!(found(&hidden), Some(SymbolSource::Symtab));
    let (_built, other) = compile("no-bio.so", &["-O2", "-shared", "-fPIC"]);
    assert_eq!(found(&other), None);
}

#[test]
fn a_crypto_library_holds_no_tls() {
    let (_built, image) = compiled("bio.c", "crypto.so", &["-O2", "-shared", "-fPIC"]);
    assert_eq!(refused(&image), [Reason::NoTls]);
}

#[test]
fn the_installed_gnutls_is_planned_by_its_interface() {
    let image = installed("libgnutls.so.30");
    let plan = planned(&image, None);
    assert_addresses_are_those_of_goblin(&plan, &image);
    assert_eq!((plan.library.family, &plan.library.version), (Family::GnuTls, &None));
    assert!(plan.library.at_least.is_some_and(|version| version >= (3, 6, 0)));
    assert_eq!(plan.layout, Err(LayoutUnknown::NoBios));
    let every = [
        ("gnutls_record_recv's callee", HookKind::Return, Role::Read),
        ("gnutls_record_recv", HookKind::Return, Role::Read),
        ("gnutls_record_recv_seq", HookKind::Return, Role::Read),
        ("gnutls_record_send", HookKind::Return, Role::Write),
        ("gnutls_record_send2", HookKind::Return, Role::Write),
        ("gnutls_record_uncork", HookKind::Return, Role::Flush),
        ("gnutls_record_send_early_data", HookKind::Return, Role::EarlyWrite),
        ("gnutls_record_recv_early_data", HookKind::Return, Role::EarlyRead),
        ("gnutls_transport_set_int2", HookKind::Entry, Role::Descriptor),
        ("gnutls_transport_set_ptr", HookKind::Entry, Role::Bio),
        ("gnutls_transport_set_ptr2", HookKind::Entry, Role::Bio),
        ("gnutls_handshake", HookKind::Return, Role::Handshake),
        ("gnutls_deinit", HookKind::Entry, Role::End),
    ];
    let hooks = entered(&plan).map(|hook| (hook.name.as_str(), hook.kind, hook.role));
    // Where sending does nothing but call the function with more arguments, that one serves both; what reads may have one
    // function behind it.
    let hooks: Vec<_> = hooks.collect();
    let may_lack = |name: &str| name == "gnutls_record_send" || name.starts_with("gnutls_record_recv");
    let expected = every
        .iter()
        .filter(|hook| hook.2 == Role::EarlyRead || !may_lack(hook.0) || hooks.contains(hook));
    let read: Vec<_> = hooks.iter().filter(|hook| hook.2 == Role::Read).collect();
    let shared = read.iter().any(|hook| hook.0.ends_with("callee"));
    assert_eq!(read.len(), if shared { 1 } else { 2 });
    assert_eq!(hooks, expected.copied().collect::<Vec<_>>());
    assert!(plan.absent.is_empty(), "{:?}", plan.absent);
}

#[test]
#[ignore = "needs Debian 12's libgnutls.so.30 for x86-64"]
fn what_debian_s_gnutls_reads_is_tapped() {
    let plan = planned(&installed("libgnutls.so.30"), None);
    let mut taps = plan.hooks.iter().filter(|hook| hook.kind == HookKind::Tap);
    let tap = taps.next().unwrap_or_else(|| panic!("{:?}", plan.refused));
    assert_eq!((tap.name.as_str(), tap.role), ("gnutls_record_recv's copy", Role::Read));
    // The session holds the buffer of records that a register has the address of.
    assert_eq!(tap.operands.object, Operand::at(Place::Before(13, 0x120), 8));
    let kind = tap.operands.guards[0].map(|guard| (guard.operand, guard.equals));
    assert_eq!(kind, Some((Operand::at(Place::Register(15), 1), 23)));
    assert_eq!((tap.operands.guards[1], taps.next()), (None, None));
}

#[test]
#[ignore = "needs Debian 12's libgnutls.so.30 for x86-64"]
fn debian_s_gnutls_is_probed_where_the_ways_to_send_and_those_to_receive_meet() {
    let plan = planned(&installed("libgnutls.so.30"), None);
    let sites = entered(&plan).map(|hook| {
        let distance = hook.site.address.0 - hook.address.0;
        (hook.name.as_str(), distance, hook.site.instruction, hook.site.tier)
    });
    let (push, jump) = (Instruction::Push, Instruction::ConditionalJump);
    let expected = [
        ("gnutls_record_recv's callee", 0, push, Tier::Emulated),
        ("gnutls_record_send2", 0, push, Tier::Emulated),
        ("gnutls_record_uncork", 0, push, Tier::Emulated),
        ("gnutls_record_send_early_data", 0, push, Tier::Emulated),
        ("gnutls_record_recv_early_data", 0, push, Tier::Emulated),
        ("gnutls_transport_set_int2", 0, Instruction::Other, Tier::Stepped),
        ("gnutls_transport_set_ptr", 0, Instruction::Other, Tier::Stepped),
        ("gnutls_transport_set_ptr2", 0, Instruction::Other, Tier::Stepped),
        ("gnutls_handshake", 0, push, Tier::Emulated),
        ("gnutls_deinit", 3, jump, Tier::Emulated),
    ];
    assert_eq!(sites.collect::<Vec<_>>(), expected);
    let fields = [0x600, 0x608].map(|offset| Some(Operand::loaded(Place::Register(5), offset, 8)));
    assert_eq!(plan.hooks[0].operands.transports, fields);
}
