//! The TLS libraries in Python's packages, which others have built: OpenSSL 1.1.1 to 4.0, and BoringSSL.
//!
//! `scripts/setup` unpacks the packages into a folder; the tests are ignored by default. Each place of a probe that the
//! analysis has chosen is looked at with a second decoder, binutils' `objdump`.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]
#![expect(
    clippy::doc_markdown,
    reason = "BoringSSL and its like are names of libraries, not code"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use symbolizer::{Hook, HookKind, Instruction, Policy, ProbePlan, Role, Site, choose};

/// A library of a package: the beginning of its file's name, and what its version text begins with.
struct Library {
    package: &'static str,
    file: &'static str,
    version: &'static str,
    /// The kinds of hooks for what is read and for what is written.
    kinds: [HookKind; 2],
}

const LIFTED: [HookKind; 2] = [HookKind::Tap, HookKind::Lift];
const TAPPED: [HookKind; 2] = [HookKind::Tap, HookKind::Tap];

const LIBRARIES: [Library; 7] = [
    library("pymssql-2.4.6", "libssl-", "OpenSSL 1.1.1k", LIFTED),
    library("psycopg2_binary-2.9.9", "libssl-", "OpenSSL 1.1.1w", LIFTED),
    library("cryptography-42.0.8", "_rust.", "OpenSSL 3.2.2", LIFTED),
    library("psycopg2_binary-2.9.13", "libssl-", "OpenSSL 3.5.8", LIFTED),
    library("mysql_connector_python-26.10.0", "libssl.", "OpenSSL 3.5.8", LIFTED),
    library("cryptography-50.0.2", "_rust.", "OpenSSL 4.0.3", LIFTED),
    library("curl_cffi-0.17.0", "_wrapper.", "", TAPPED),
];

const fn library(package: &'static str, file: &'static str, version: &'static str, kinds: [HookKind; 2]) -> Library {
    Library {
        package,
        file,
        version,
        kinds,
    }
}

/// Returns the folder that `scripts/setup` unpacks the packages into.
fn folder() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("there is a home")).join(".cache/tlscope/wheels");
    env::var_os("TLSCOPE_WHEELS").map_or_else(home, PathBuf::from)
}

/// Finds a file by the beginning of its name.
fn find(folder: &Path, begins: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.flatten().find_map(|entry| {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return find(&entry.path(), begins);
        }
        let name = entry.file_name();
        name.to_str()?.starts_with(begins).then(|| entry.path())
    })
}

fn planned(path: &Path, crypto: Option<&Path>) -> ProbePlan {
    let crypto = crypto.and_then(|path| symbolizer::crypto(&fs::read(path).unwrap()).unwrap());
    let mut plans = symbolizer::plan(&fs::read(path).unwrap(), crypto.as_ref())
        .unwrap()
        .plans;
    assert_eq!(plans.len(), 1, "{}", path.display());
    plans.remove(0)
}

/// Returns the kinds of hooks that would carry plaintext.
fn kinds(plan: &ProbePlan) -> Vec<HookKind> {
    let chosen = choose(plan, Policy::Auto);
    let kind = |role| chosen.iter().find(|hook| hook.role == role).map(|hook| hook.kind);
    [Role::Read, Role::Write].into_iter().filter_map(kind).collect()
}

/// Lists where a hook is probed.
fn sites(hook: &Hook) -> impl Iterator<Item = Site> {
    let exits = hook
        .exits
        .iter()
        .flat_map(|exits| exits.sites.iter().map(|exit| exit.site));
    // Nothing is placed at the site of a lift.
    [hook.site]
        .into_iter()
        .filter(|_| hook.kind != HookKind::Lift)
        .chain(exits)
}

/// Returns the instructions from one address to another, as `objdump` names them.
fn disassembled(path: &Path, first: u64, last: u64) -> BTreeMap<u64, String> {
    let output = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn"])
        .arg(format!("--start-address={first:#x}"))
        .arg(format!("--stop-address={:#x}", last + 16))
        .arg(path)
        .output()
        .expect("objdump is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (address, instruction) = line.split_once(":\t")?;
        let address = u64::from_str_radix(address.trim(), 16).ok()?;
        Some((address, instruction.trim().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Returns whether the second decoder sees the same instruction.
fn agrees(instruction: Instruction, other: &str) -> bool {
    let mnemonic = other.split_whitespace().next().unwrap_or_default();
    match instruction {
        Instruction::Push => other.starts_with("push   %r"),
        Instruction::Call => mnemonic == "call" && !other.contains('*'),
        Instruction::Jump => mnemonic == "jmp" && !other.contains('*'),
        Instruction::ConditionalJump => mnemonic.starts_with('j') && mnemonic != "jmp",
        Instruction::Nop => other == "nop",
        Instruction::Return => mnemonic == "ret",
        Instruction::Endbr64
        | Instruction::SubRsp
        | Instruction::Paciasp
        | Instruction::Bti
        | Instruction::Other
        | _ => true,
    }
}

/// Compares every place of a probe with what the second decoder sees, and returns how many there are.
fn compare(path: &Path, plan: &ProbePlan) -> usize {
    let mut compared = 0;
    for hook in &plan.hooks {
        for site in sites(hook) {
            // Parts of a function may lie before it; these are looked at from the place itself on.
            let first = hook.address.0.min(site.address.0);
            let instructions = disassembled(path, first, site.address.0);
            let other = instructions.get(&site.address.0);
            let (name, path) = (&hook.name, path.display());
            let other = other.unwrap_or_else(|| panic!("{path}: {name}: no instruction begins at {}", site.address));
            assert!(
                agrees(site.instruction, other),
                "{path}: {name}: {} is {other}",
                site.address
            );
            compared += 1;
        }
    }
    compared
}

#[test]
#[ignore = "needs Python's packages that scripts/setup unpacks"]
fn what_others_have_built_is_proven() {
    for library in LIBRARIES {
        let package = folder().join(library.package);
        let path = find(&package, library.file).unwrap_or_else(|| panic!("{} in {}", library.file, package.display()));
        let crypto = find(&package, "libcrypto");
        let plan = planned(&path, crypto.as_deref());
        let version = plan
            .library
            .version
            .as_ref()
            .map_or("", |version| version.text.as_str());
        assert!(version.starts_with(library.version), "{}: {version}", library.package);
        assert_eq!(kinds(&plan), library.kinds, "{}: {:?}", library.package, plan.refused);
        assert!(compare(&path, &plan) > 10, "{}", library.package);
    }
}

#[test]
#[ignore = "needs Debian 12's libraries and Node.js for x86-64"]
fn what_the_system_has_is_seen_alike_by_another_decoder() {
    let system = Path::new("/usr/lib/x86_64-linux-gnu");
    let crypto = system.join("libcrypto.so.3");
    for (path, crypto) in [
        (system.join("libssl.so.3"), Some(crypto.as_path())),
        (system.join("libgnutls.so.30"), None),
        (PathBuf::from("/usr/bin/node"), None),
    ] {
        let plan = planned(&path, crypto);
        assert!(compare(&path, &plan) > 10, "{}", path.display());
    }
}
