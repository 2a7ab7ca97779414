//! BoringSSL and OpenSSL without names: what is found in the libraries of Python's packages, and in copies of named ones.
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use goblin::elf::Elf;
use goblin::elf::section_header::SHT_DYNSYM;
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
    static COPIES: AtomicUsize = AtomicUsize::new(0);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let to = env::temp_dir().join(format!("symbolizer-{}-stripped-{number}", std::process::id()));
    let output = Command::new("strip")
        .args(["-s", "-R", ".gnu_debugdata"])
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

/// Hides the names of the functions that a shared library offers: an image that needs none has no table of them.
fn blinded(mut image: Vec<u8>) -> Vec<u8> {
    let places: Vec<usize> = {
        let elf = Elf::parse(&image).unwrap();
        let sections = &elf.section_headers;
        let table = sections.iter().find(|section| section.sh_type == SHT_DYNSYM).unwrap();
        let begin = usize::try_from(sections[table.sh_link as usize].sh_offset).unwrap();
        let defined = elf.dynsyms.iter().filter(|symbol| symbol.st_shndx != 0);
        defined.map(|symbol| begin + symbol.st_name).collect()
    };
    for place in places {
        image[place] = b'?';
    }
    image
}

/// Asserts that what is found without names is what is found with them. Only the functions of some names may be missing.
fn assert_equal((with, without): (&ProbePlan, &ProbePlan), missing: &[&str]) {
    assert_eq!(
        (without.library.family, without.library.evidence),
        (Family::OpenSsl, Evidence::Errors)
    );
    // What one of them has found behind others is a function that no name needs to be known of.
    let of = |plan: &ProbePlan, kind| {
        let hooks = plan.hooks.iter().filter(move |hook| hook.kind == kind);
        let hooks = hooks.filter(|hook| !missing.contains(&hook.name.as_str()));
        let mut hooks: Vec<_> = hooks
            .map(|hook| (hook.role, hook.site, hook.operands, hook.address))
            .collect();
        hooks.sort_by_key(|(_, site, ..)| site.address);
        hooks
    };
    for kind in [HookKind::Return, HookKind::Entry, HookKind::Tap, HookKind::Lift] {
        assert_eq!(of(without, kind), of(with, kind), "{kind:?}");
    }
    let absent: Vec<_> = without
        .absent
        .iter()
        .filter(|name| !with.absent.contains(name))
        .collect();
    assert!(absent.iter().all(|name| missing.contains(name)), "{absent:?}");
    assert_eq!(without.socket_name, with.socket_name);
    let way = |plan: &ProbePlan| {
        let layout = plan.layout.as_ref().ok();
        layout.map(|layout| (layout.rbio, layout.wbio, layout.bio_method, layout.bio_num))
    };
    assert_eq!(way(without), way(with));
}

/// What takes ciphertext is looked for in BoringSSL alone.
const CIPHERTEXT: &str = "BIO_write";
/// It calls what moves bytes by the dynamic linker, if it is in a library.
const EARLY: &str = "SSL_write_early_data";
/// What these do is not followed where connections may be those of QUIC (OpenSSL 3.5 and later).
const SETTERS: [&str; 4] = ["SSL_set_bio", "SSL_set0_rbio", "SSL_set0_wbio", CIPHERTEXT];

#[test]
#[ignore = "needs libraries that others have built: scripts/setup downloads them"]
fn openssl_that_a_library_contains_is_found_without_names() {
    for (version, missing) in [
        ("42.0.8", &[CIPHERTEXT, "SSL_sendfile"][..]),
        ("50.0.2", &[&SETTERS[..], &["SSL_sendfile"]].concat()),
    ] {
        let path = package(&format!("cryptography-{version}")).join("cryptography/hazmat/bindings/_rust.abi3.so");
        let (with, without) = (plan(&fs::read(&path).unwrap()), plan(&stripped(&path)));
        assert_equal((&with, &without), missing);
        assert_eq!(without.library.version, with.library.version);
    }
}

#[test]
#[ignore = "needs libraries that others have built: scripts/setup downloads them"]
fn openssl_that_is_a_library_is_found_without_names() {
    for (name, library, missing) in [
        (
            "psycopg2_binary-2.9.9",
            "psycopg2_binary.libs/libssl-3e69114b.so.1.1",
            &[EARLY][..],
        ),
        ("pymssql-2.4.6", "pymssql.libs/libssl-7f59e8e2.so.1.1.1k", &[EARLY]),
        (
            "psycopg2_binary-2.9.13",
            "psycopg2_binary.libs/libssl-8bd944e8.so.3",
            &[EARLY, "SSL_sendfile"],
        ),
        (
            "mysql_connector_python-26.10.0",
            "mysql/vendor/libssl.so.3",
            &[&SETTERS[..], &[EARLY]].concat(),
        ),
    ] {
        let path = package(name).join(library);
        let with = plan(&fs::read(&path).unwrap());
        assert_equal((&with, &plan(&blinded(stripped(&path)))), missing);
    }
}

/// Links a program with Debian's archives of OpenSSL. Returns it with its names, and without.
fn linked(flags: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/support/c/early.c");
    let program = env::temp_dir().join(format!("symbolizer-{}-linked{}", std::process::id(), flags.concat()));
    let mut compiler = Command::new("cc");
    compiler.arg("-O1").args(flags).arg("-o").arg(&program).arg(source);
    let archives = ["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-pthread"];
    let output = compiler.args(archives).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let images = (fs::read(&program).unwrap(), stripped(&program));
    fs::remove_file(program).unwrap();
    images
}

#[test]
#[ignore = "needs libssl.a: scripts/setup installs it"]
fn openssl_that_a_program_is_linked_with_is_found_without_names() {
    for flags in [&[][..], &["-no-pie"], &["-static-pie"]] {
        let (whole, stripped) = linked(flags);
        let (with, without) = (plan(&whole), plan(&stripped));
        assert_equal((&with, &without), &[CIPHERTEXT]);
        assert_eq!(
            without.library.version, None,
            "no function of this program needs the text"
        );
    }
}

#[test]
#[ignore = "needs libraries that others have built: scripts/setup downloads them"]
fn openssl_is_refused_once_it_is_damaged() {
    let path = package("cryptography-50.0.2").join("cryptography/hazmat/bindings/_rust.abi3.so");
    let whole = stripped(&path);
    let found = plan(&whole);
    let at = |role| {
        let hook = found.hooks.iter().find(|hook| hook.role == role).unwrap();
        usize::try_from(hook.offset.0).unwrap()
    };
    // The function that is read by is gone, the one that is written by, and the one that ends connections.
    for role in [Role::Read, Role::Write, Role::End] {
        let mut other = whole.clone();
        other[at(role)..at(role) + 64].fill(0x90);
        assert!(symbolizer::plan(&other, None).unwrap().plans.is_empty(), "{role:?}");
    }
    // Their names are.
    for name in [&b"\0SSL_read\0"[..], b"\0SSL_write\0", b"ssl/ssl_lib.c\0"] {
        let mut other = whole.clone();
        let places: Vec<_> = memchr::memmem::find_iter(&whole, name).collect();
        assert!(!places.is_empty());
        for place in places {
            other[place + 1] = b'?';
        }
        assert!(symbolizer::plan(&other, None).unwrap().plans.is_empty());
    }
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
            .any(|reason| matches!(reason, symbolizer::Reason::Stripped { .. }));
        if is_found || is_refused {
            found.push(path);
        }
    }
    assert!(images > 100, "{images}");
    assert_eq!(found, [""; 0].map(PathBuf::from));
}
