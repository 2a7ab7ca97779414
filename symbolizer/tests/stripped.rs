//! BoringSSL without names: what is found in the libraries of Python's packages, and in a copy of a named one.
//!
//! `scripts/setup` unpacks the packages into a folder; the tests are ignored by default.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]
#![expect(
    clippy::doc_markdown,
    reason = "BoringSSL and its like are names of libraries, not code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use goblin::elf::Elf;
use symbolizer::{Evidence, Family, HookKind, Plans, ProbePlan, Role, SymbolSource, Tier};

/// Returns the folder that `scripts/setup` unpacks a package into.
fn package(name: &str) -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("there is a home")).join(".cache/tlscope/wheels");
    env::var_os("TLSCOPE_WHEELS")
        .map_or_else(home, PathBuf::from)
        .join(name)
}

fn grpcio(version: &str) -> Vec<u8> {
    let folder = package(&format!("grpcio-{version}")).join("grpc/_cython");
    let files = fs::read_dir(folder).unwrap().flatten();
    let is_library = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "so");
    let path = files.map(|file| file.path()).find(is_library).unwrap();
    fs::read(path).unwrap()
}

fn plan(image: &[u8]) -> ProbePlan {
    let Plans { mut plans, reasons } = symbolizer::plan(image, None).unwrap();
    assert_eq!(plans.len(), 1, "{reasons:?}");
    plans.remove(0)
}

/// Returns where the hooks of a plan are, by kind and role.
fn sites(plan: &ProbePlan) -> BTreeSet<(HookKind, Role, u64)> {
    let hooks = plan.hooks.iter();
    hooks.map(|hook| (hook.kind, hook.role, hook.site.address.0)).collect()
}

/// Asserts what holds of every plan of a library without names.
fn assert_sound(plan: &ProbePlan) {
    assert_eq!(
        (plan.library.family, plan.library.evidence),
        (Family::BoringSsl, Evidence::Errors)
    );
    let count = |kind, role| {
        plan.hooks
            .iter()
            .filter(|hook| (hook.kind, hook.role) == (kind, role))
            .count()
    };
    for (kind, role) in [
        (HookKind::Tap, Role::Read),
        (HookKind::Tap, Role::Write),
        (HookKind::Entry, Role::Clear),
        (HookKind::Entry, Role::End),
        (HookKind::Entry, Role::Ciphertext),
    ] {
        assert_eq!(count(kind, role), 1, "{kind:?} {role:?}");
    }
    for hook in &plan.hooks {
        assert_eq!(hook.found, SymbolSource::ErrorsAndFile, "{hook:?}");
        assert_eq!(hook.site.tier, Tier::Emulated, "{hook:?}");
    }
    assert!(
        plan.sending.frame.is_some() && plan.sending.wbio.is_some(),
        "{:?}",
        plan.sending
    );
}

#[test]
#[ignore = "needs libraries that others have built: scripts/setup downloads them"]
fn the_functions_of_grpc_that_others_have_built_are_found() {
    // Read by hand in a disassembler.
    for (version, read, write) in [
        ("1.62.3", 0x0089_3f1e, 0x008a_b630),
        ("1.85.3", 0x00bb_53ee, 0x00bd_1460),
    ] {
        let plan = plan(&grpcio(version));
        assert_sound(&plan);
        let sites = sites(&plan);
        for expected in [(HookKind::Tap, Role::Read, read), (HookKind::Tap, Role::Write, write)] {
            assert!(sites.contains(&expected), "{version}: {expected:?} {sites:x?}");
        }
    }
}

/// Removes the names from a copy of a library.
fn stripped(path: &Path) -> Vec<u8> {
    let to = env::temp_dir().join(format!("symbolizer-{}-stripped.so", std::process::id()));
    let output = Command::new("strip")
        .arg("-s")
        .arg("-o")
        .arg(&to)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let image = fs::read(&to).unwrap();
    fs::remove_file(to).unwrap();
    image
}

/// Returns the addresses of the functions of some names.
fn named(image: &[u8]) -> BTreeMap<String, u64> {
    let elf = Elf::parse(image).unwrap();
    let functions = elf.syms.iter().filter(goblin::elf::Sym::is_function);
    let name = |symbol: &goblin::elf::Sym| elf.strtab.get_at(symbol.st_name).map(str::to_owned);
    functions
        .filter_map(|symbol| Some((name(&symbol)?, symbol.st_value)))
        .collect()
}

#[test]
#[ignore = "needs libraries that others have built: scripts/setup downloads them"]
fn what_is_found_without_names_is_what_others_have_built_with_them() {
    let path = package("curl_cffi-0.17.0").join("curl_cffi/_wrapper.abi3.so");
    let whole = fs::read(&path).unwrap();
    let (with, without) = (plan(&whole), plan(&stripped(&path)));
    assert_sound(&without);
    let taps = |plan: &ProbePlan| {
        let hooks = plan.hooks.iter().filter(|hook| hook.kind == HookKind::Tap);
        hooks
            .map(|hook| (hook.role, hook.site, hook.operands))
            .collect::<Vec<_>>()
    };
    assert_eq!(taps(&without), taps(&with));
    let names = named(&whole);
    let hook = |role| without.hooks.iter().find(|hook| hook.role == role).unwrap().address.0;
    let function = |begins: &str| *names.iter().find(|(name, _)| name.starts_with(begins)).unwrap().1;
    assert_eq!(hook(Role::Clear), function("_ZN4bssl7tls_newEP"));
    assert_eq!(hook(Role::End), function("_ZN4bssl8tls_freeEP"));
    assert_eq!(hook(Role::Ciphertext), names["BIO_write_ex"]);
    assert_eq!(with.layout.map(|layout| layout.wbio).ok(), without.sending.wbio);
}

#[test]
#[ignore = "needs libraries that others have built: scripts/setup downloads them"]
fn what_others_have_built_is_refused_once_it_is_damaged() {
    let whole = grpcio("1.85.3");
    let found = plan(&whole);
    for length in (0..whole.len()).step_by(whole.len() / 61) {
        let cut = symbolizer::plan(&whole[..length], None);
        assert!(
            cut.is_err() || cut.is_ok_and(|plans| plans.plans.is_empty()),
            "{length}"
        );
    }
    let read = found.hooks.iter().find(|hook| hook.role == Role::Read).unwrap();
    // The call of what reads records is gone.
    let mut other = whole;
    let at = usize::try_from(read.offset.0).unwrap();
    other[at..at + 64].fill(0x90);
    assert!(symbolizer::plan(&other, None).unwrap().plans.is_empty());
}

#[test]
#[ignore = "reads all programs and libraries of the system"]
fn nothing_is_found_where_there_is_none() {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu"];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let (mut images, mut found) = (0, Vec::new());
    for path in files.map(|file| file.path()) {
        let is_elf = fs::read(&path).ok().filter(|bytes| bytes.starts_with(b"\x7fELF"));
        let Some(bytes) = is_elf else {
            continue;
        };
        images += 1;
        let Ok(Plans { plans, reasons }) = symbolizer::plan(&bytes, None) else {
            continue;
        };
        let is_found = plans.iter().any(|plan| plan.library.evidence == Evidence::Errors);
        let is_refused = reasons
            .iter()
            .any(|reason| matches!(reason, symbolizer::Reason::Stripped(_)));
        if is_found || is_refused {
            found.push(path);
        }
    }
    assert!(images > 100, "{images}");
    assert_eq!(found, [""; 0].map(PathBuf::from));
}
