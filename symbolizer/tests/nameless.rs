//! Mbed TLS, wolfSSL and s2n-tls in programs that name none of their functions.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use symbolizer::limits::MARKED_TEXTS;
use symbolizer::{Family, Plans, Reason};

use support::{Built, compiled};

/// Each library, the macro that its code is chosen by, and the version that it states.
const LIBRARIES: [(Family, &str, &str); 3] = [
    (Family::MbedTls, "-DOF_MBEDTLS", "3.6.2"),
    (Family::WolfSsl, "-DOF_WOLFSSL", "5.5.4"),
    (Family::S2n, "-DOF_S2N", "0.3.47"),
];

/// Ways to build a program: an image that is moved, and two that are not, of which one has addresses as numbers.
const BUILDS: [&[&str]; 4] = [
    &["-O2", "-fPIE", "-pie"],
    &["-O2", "-fPIE", "-pie", "-Wl,-z,pack-relative-relocs"],
    &["-O2", "-fPIC", "-no-pie"],
    &["-O1", "-fno-pic", "-no-pie"],
];

fn plans(image: &[u8]) -> Plans {
    symbolizer::plan(image, None).unwrap()
}

fn nameless(family: Family, version: Option<&str>) -> Reason {
    Reason::Nameless {
        family,
        version: version.map(str::to_owned),
    }
}

/// Compiles a program without names.
fn program(name: &str, flags: &[&[&str]]) -> Vec<u8> {
    compiled("nameless.c", name, &[&["-s"], &flags.concat()[..]].concat()).1
}

#[test]
fn each_library_is_told_by_what_its_code_does() {
    for (family, define, version) in LIBRARIES {
        for (number, flags) in BUILDS.into_iter().enumerate() {
            let image = program(&format!("nameless{define}-{number}"), &[flags, &[define]]);
            let told = plans(&image);
            assert_eq!(told.reasons, [nameless(family, Some(version))], "{define} {flags:?}");
            assert_eq!(told.plans, []);
        }
    }
}

#[test]
fn errors_are_known_in_a_table_that_a_compiler_makes_of_them() {
    for (number, flags) in BUILDS.into_iter().enumerate() {
        let image = program(&format!("table-{number}"), &[flags, &["-DOF_WOLFSSL", "-DTABLE"]]);
        assert_eq!(
            plans(&image).reasons,
            [nameless(Family::WolfSsl, Some("5.5.4"))],
            "{flags:?}"
        );
    }
}

#[test]
fn a_program_that_has_the_same_texts_does_not_hold_the_library() {
    for (_, define, _) in LIBRARIES {
        for (number, flags) in BUILDS.into_iter().enumerate() {
            let name = format!("mentions{define}-{number}");
            let image = program(&name, &[flags, &[define, "-DMENTIONS"]]);
            assert_eq!(plans(&image).reasons, [Reason::NoTls], "{define} {flags:?}");
        }
    }
}

#[test]
fn code_that_derives_no_keys_is_none_of_tls() {
    for (family, define, _) in LIBRARIES {
        let mut image = program(&format!("no-keys{define}"), &[BUILDS[0], &[define]]);
        let label = memchr::memmem::find(&image, b"key expansion\0").unwrap();
        image[label] = b'?';
        // What s2n-tls reports errors with says which of its files deal with records.
        let is_told = family == Family::S2n;
        assert_eq!(plans(&image).reasons != [Reason::NoTls], is_told, "{define}");
    }
}

#[test]
fn texts_are_looked_at_up_to_the_limit() {
    // The code refers to as few as are proof.
    for (others, is_told) in [(MARKED_TEXTS - 16, true), (MARKED_TEXTS - 15, false)] {
        let others = format!("-DOTHERS={others}");
        let image = program(&format!("many{others}"), &[BUILDS[0], &["-DOF_S2N", &others]]);
        let reason = if is_told {
            nameless(Family::S2n, Some("0.3.47"))
        } else {
            Reason::NoTls
        };
        assert_eq!(plans(&image).reasons, [reason], "{others}");
    }
}

#[test]
fn two_libraries_without_names_are_both_told() {
    let image = program("both", &[BUILDS[0], &["-DOF_MBEDTLS", "-DOF_S2N"]]);
    let both = [
        nameless(Family::MbedTls, Some("3.6.2")),
        nameless(Family::S2n, Some("0.3.47")),
    ];
    assert_eq!(plans(&image).reasons, both);
}

/// Links a program with a library of Debian's, and removes all names.
fn linked(library: &str, flags: &[&str]) -> Vec<u8> {
    let define = format!("-DOF_{}", library.to_uppercase());
    let archives: &[&str] = match library {
        "mbedtls" => &["-lmbedtls", "-lmbedx509", "-lmbedcrypto"],
        _ => &["-lwolfssl"],
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/support/c/named.c");
    let program = format!("symbolizer-{}-{library}{}", std::process::id(), flags.concat());
    let built = Built(std::env::temp_dir().join(program));
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-s", &define, "-o"]).arg(&built.0).arg(source);
    compiler.args(flags).arg("-Wl,-Bstatic").args(archives);
    if flags != ["-static"] {
        compiler.arg("-Wl,-Bdynamic");
    }
    compiler.arg("-lm");
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::read(&built.0).unwrap()
}

#[test]
#[ignore = "needs Debian's libmbedtls.a and libwolfssl.a: scripts/setup installs them"]
fn debian_s_archives_are_told_in_a_program_that_is_linked_with_them() {
    let version = |header: &str, name: &str| {
        let text = fs::read_to_string(Path::new("/usr/include").join(header)).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("#define {name} ")))
            .unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let wolfssl = version("wolfssl/version.h", "LIBWOLFSSL_VERSION_STRING");
    for flags in [["-static"], ["-pie"], ["-no-pie"]] {
        // No function of this program needs the text of the other version.
        for (library, family, version) in [
            ("mbedtls", Family::MbedTls, None),
            ("wolfssl", Family::WolfSsl, Some(wolfssl.as_str())),
        ] {
            let told = plans(&linked(library, &flags)).reasons;
            assert_eq!(told, [nameless(family, version)], "{library} {flags:?}");
        }
    }
}

/// Texts of which each of these libraries has one. Only files that have one, too, are looked at in the test of the system's.
const TEXTS: [&[u8]; 3] = [
    b"TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256",
    b"unknown type in record hdr",
    b"Error encountered in ",
];

/// Where the system has its programs and libraries.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib/x86_64-linux-gnu"];

#[test]
#[ignore = "reads all programs and libraries of the system"]
fn no_file_of_the_system_holds_one_of_them_without_names() {
    let (mut images, mut told) = (0, Vec::new());
    let files = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    for path in files.map(|file| file.path()) {
        let Some(bytes) = fs::read(&path).ok().filter(|bytes| bytes.starts_with(b"\x7fELF")) else {
            continue;
        };
        if !TEXTS.iter().any(|text| memchr::memmem::find(&bytes, text).is_some()) {
            continue;
        }
        images += 1;
        let reasons = symbolizer::plan(&bytes, None).map(|plans| plans.reasons);
        let is_nameless = |reason: &Reason| matches!(reason, Reason::Nameless { .. });
        if reasons.is_ok_and(|reasons| reasons.iter().any(is_nameless)) {
            told.push(path);
        }
    }
    // Those of Debian, which have names.
    assert!(images >= 2, "{images}");
    assert_eq!(told, [""; 0].map(PathBuf::from));
}
