//! Mbed TLS, wolfSSL, s2n-tls and NSS: those that Debian ships, and a small library that the C compiler makes.
//!
//! Each place of a probe of those that are installed is looked at with a second decoder, binutils' `objdump`, in `exits.rs`.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use goblin::elf::Elf;
use symbolizer::{
    ExitResult, Family, Guard, Hook, HookKind, Operand, Place, Plans, Policy, Proof, Reason, Role, SymbolSource, Tier,
    Ways, choose,
};

use symbolizer::limits::NSS_TABLES;

use support::{Built, compiled};

fn plans(image: &[u8]) -> Plans {
    symbolizer::plan(image, None).unwrap()
}

fn installed(name: &str) -> Vec<u8> {
    fs::read(Path::new("/usr/lib/x86_64-linux-gnu").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns the hooks that are placed: name, kind and role.
fn placed(plans: &Plans) -> Vec<(String, HookKind, Role)> {
    let [plan] = plans.plans.as_slice() else {
        panic!("{plans:?}");
    };
    let chosen = choose(plan, Policy::Auto).into_iter();
    chosen.map(|hook| (hook.name.clone(), hook.kind, hook.role)).collect()
}

/// Removes all symbols that the dynamic linker does not need.
fn stripped(image: &[u8], name: &str) -> Vec<u8> {
    let built = Built(std::env::temp_dir().join(format!("symbolizer-{}-{name}", std::process::id())));
    fs::write(&built.0, image).unwrap();
    assert!(Command::new("strip").arg(&built.0).status().unwrap().success());
    fs::read(&built.0).unwrap()
}

const READ_AND_WRITE: [Role; 2] = [Role::Read, Role::Write];

/// Asserts that each hook that carries plaintext has proven ends, all of them emulated or returns, and that every call is seen
/// to end.
fn assert_ends(plans: &Plans) {
    let hooks = plans.plans.iter().flat_map(|plan| &plan.hooks);
    let exits: Vec<&Hook> = hooks.filter(|hook| hook.kind == HookKind::Exit).collect();
    for role in READ_AND_WRITE {
        assert!(exits.iter().any(|exit| exit.role == role), "{role:?}");
    }
    for exit in exits {
        assert_eq!(exit.site.tier, Tier::Emulated, "{}", exit.name);
        let ends = exit.exits.as_ref().unwrap();
        assert_eq!(ends.ways, Ways::All, "{}", exit.name);
        let mut results = ends.sites.iter().map(|site| site.result);
        let is_register = |result| {
            matches!(
                result,
                ExitResult::In(Operand {
                    place: Place::Register(_),
                    ..
                })
            )
        };
        assert!(results.any(is_register), "{ends:?}");
    }
}

#[test]
#[ignore = "needs Debian 12's libmbedtls.so.14 for x86-64"]
fn debian_s_mbed_tls_is_traced_without_return_probes() {
    let image = installed("libmbedtls.so.14");
    let plans = plans(&image);
    assert_ends(&plans);
    assert_eq!(plans.plans[0].library.family, Family::MbedTls);
    let expected = [
        ("mbedtls_ssl_set_bio", HookKind::Entry, Role::Bio),
        ("mbedtls_ssl_session_reset", HookKind::Entry, Role::Clear),
        ("mbedtls_ssl_free", HookKind::Entry, Role::End),
        ("mbedtls_ssl_read", HookKind::Exit, Role::Read),
        ("mbedtls_ssl_write", HookKind::Exit, Role::Write),
        ("mbedtls_ssl_handshake", HookKind::Exit, Role::Handshake),
    ];
    assert_eq!(
        placed(&plans),
        expected.map(|(name, kind, role)| (name.to_owned(), kind, role))
    );
    assert_eq!(
        plans,
        self::plans(&stripped(&image, "mbedtls.so")),
        "its functions are exported"
    );
}

#[test]
#[ignore = "needs Debian 12's libwolfssl.so.35 for x86-64"]
fn debian_s_wolf_ssl_is_traced_without_return_probes() {
    let image = installed("libwolfssl.so.35");
    let plans = plans(&image);
    assert_ends(&plans);
    assert_eq!(plans.plans[0].library.family, Family::WolfSsl);
    let placed = placed(&plans);
    for expected in [
        ("wolfSSL_read", HookKind::Exit, Role::Read),
        ("wolfSSL_write", HookKind::Exit, Role::Write),
        ("wolfSSL_set_fd", HookKind::Entry, Role::Descriptor),
        ("wolfSSL_clear", HookKind::Entry, Role::Clear),
        ("wolfSSL_free", HookKind::Entry, Role::End),
    ] {
        let (name, kind, role) = expected;
        assert!(
            placed.contains(&(name.to_owned(), kind, role)),
            "{expected:?}: {placed:?}"
        );
    }
    assert!(placed.iter().all(|(name, ..)| name != "wolfSSL_peek"));
    assert_eq!(
        plans,
        self::plans(&stripped(&image, "wolfssl.so")),
        "its functions are exported"
    );
}

/// Asserts that the hooks are those of NSS's connections with TLS, at these addresses.
fn assert_nss(plans: &Plans) {
    let [plan] = plans.plans.as_slice() else {
        panic!("{plans:?}");
    };
    assert_eq!(plan.library.family, Family::Nss);
    let entered = plan.hooks.iter().filter(|hook| hook.kind != HookKind::Exit);
    let entered: Vec<_> = entered.map(|hook| (hook.name.as_str(), hook.role)).collect();
    let expected = [
        ("ssl_SecureRecv", Role::Read),
        ("ssl_SecureSend", Role::Write),
        ("ssl_SecureClose", Role::End),
    ];
    assert_eq!(entered, expected);
    for hook in &plan.hooks {
        assert_eq!((hook.found, hook.proof), (SymbolSource::Table, Proof::Table));
        // What only peeks has a flag, which is the fourth argument.
        let no_flags = Guard {
            operand: Operand::at(Place::Register(2), 4),
            equals: 0,
        };
        let expected = (hook.role == Role::Read).then_some(no_flags);
        assert_eq!(hook.operands.guards, [expected, None], "{}", hook.name);
    }
}

#[test]
#[ignore = "needs Debian 12's libssl3.so for x86-64"]
fn debian_s_nss_is_traced_where_only_connections_with_tls_come_by() {
    let image = installed("libssl3.so");
    let found = plans(&image);
    assert_nss(&found);
    assert_ends(&found);
    let kinds = [HookKind::Entry, HookKind::Exit, HookKind::Exit];
    assert_eq!(
        placed(&found).iter().map(|(_, kind, _)| *kind).collect::<Vec<_>>(),
        kinds
    );
    assert_eq!(plans(&installed("libnspr4.so")).reasons, [Reason::NoTls]);
    assert_eq!(plans(&installed("libnss3.so")).reasons, [Reason::NoTls]);
}

/// Compiler flags as distributions choose them.
const BUILDS: [&[&str]; 5] = [
    &["-O2"],
    &["-O2", "-fcf-protection=full", "-fstack-protector-strong"],
    &["-O2", "-fno-omit-frame-pointer", "-fstack-clash-protection"],
    &["-O3", "-Wl,-z,pack-relative-relocs"],
    &["-O1"],
];

fn nss(name: &str, flags: &[&str]) -> (Built, Vec<u8>) {
    compiled("nss.c", name, &[&["-shared", "-fPIC"], flags].concat())
}

#[test]
fn the_table_of_connections_with_tls_is_found_with_and_without_names() {
    for (number, flags) in BUILDS.into_iter().enumerate() {
        let (_built, image) = nss(&format!("nss-{number}.so"), flags);
        let found = plans(&image);
        assert_nss(&found);
        let elf = Elf::parse(&image).unwrap();
        for (name, role) in [("ssl_SecureRecv", Role::Read), ("ssl_SecureSend", Role::Write)] {
            let named = elf
                .syms
                .iter()
                .find(|symbol| elf.strtab.get_at(symbol.st_name) == Some(name));
            let mut hooks = found.plans[0].hooks.iter().filter(|hook| hook.role == role);
            assert!(
                hooks.all(|hook| Some(hook.address.0) == named.map(|named| named.st_value)),
                "{flags:?}"
            );
        }
        assert_eq!(
            plans(&stripped(&image, &format!("nss-{number}-stripped.so"))),
            found,
            "{flags:?}"
        );
    }
}

#[test]
fn tables_that_prove_too_little_are_refused() {
    for define in ["-DFLAGS", "-DALONE", "-DTWICE"] {
        let (_built, image) = nss(&format!("nss{define}.so"), &["-O2", define]);
        assert_eq!(plans(&image).reasons, [Reason::NssTable], "{define}");
        assert!(plans(&image).plans.is_empty());
    }
}

#[test]
fn no_table_is_found_among_more_of_its_form_than_the_limit() {
    for (others, is_found) in [(NSS_TABLES - 2, true), (NSS_TABLES - 1, false)] {
        let define = format!("-DOTHERS={others}");
        let (_built, image) = nss(&format!("nss-{others}-others.so"), &["-O2", &define]);
        assert_eq!(plans(&image).plans.len() == 1, is_found, "{others}");
        assert_eq!(plans(&image).reasons.contains(&Reason::NssTable), !is_found, "{others}");
    }
}
