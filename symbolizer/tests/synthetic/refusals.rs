//! What is refused, and whether by a reason or by an error.

use object::elf;
use symbolizer::{Error, GoRefusal, OtherLibrary, Reason, RustlsRefusal, limits};

use crate::support::{Elf, Table};
use crate::{ENDBR64_PUSH, OPENSSL, PUSH, planned, refused, refused_bytes};

#[test]
fn a_broken_compressed_table_is_an_error_only_if_it_is_needed() {
    let mut elf = Elf::new();
    elf.debugdata = Some(b"no xz".to_vec());
    assert!(matches!(symbolizer::plan(&elf.build(), None), Err(Error::DebugData(_))));
    let mut elf = Elf::with_tls(Table::Dynsym, &PUSH);
    elf.debugdata = Some(b"no xz".to_vec());
    planned(&elf);
    let mut elf = Elf::new().import("SSL_read");
    elf.debugdata = Some(b"no xz".to_vec());
    assert_eq!(refused(&elf), Reason::ImportsTls);
}

#[test]
fn one_direction_alone_is_refused() {
    assert_eq!(
        refused(&Elf::new().function(Table::Dynsym, "SSL_read", &PUSH)),
        Reason::OneDirection
    );
    assert_eq!(
        refused(&Elf::new().function(Table::Symtab, "SSL_write_ex2", &PUSH)),
        Reason::OneDirection
    );
}

#[test]
fn a_program_that_only_imports_the_functions_says_so() {
    assert_eq!(
        refused(&Elf::new().import("SSL_read").import("SSL_write")),
        Reason::ImportsTls
    );
    assert_eq!(refused(&Elf::new().import("gnutls_record_send")), Reason::ImportsTls);
}

#[test]
fn a_symbol_outside_every_segment_is_refused() {
    let elf = Elf::new()
        .function_at("SSL_read", 0x10)
        .function_at("SSL_write", u64::MAX);
    assert_eq!(refused(&elf), Reason::NotInCode);
}

#[test]
fn a_symbol_in_bytes_that_are_not_executable_is_refused() {
    assert_eq!(
        refused(&Elf::new().function_in_data("SSL_read").function_in_data("SSL_write")),
        Reason::NotInCode
    );
}

#[test]
fn a_resolver_is_refused() {
    let elf = Elf::new()
        .resolver(Table::Dynsym, "SSL_read", &PUSH)
        .resolver(Table::Dynsym, "SSL_write", &PUSH);
    assert_eq!(refused(&elf), Reason::NoTls);
}

#[test]
fn an_image_of_another_kind_is_refused() {
    let with_byte = |at: usize, byte| {
        let mut image = Elf::with_tls(Table::Dynsym, &PUSH).build();
        image[at] = byte;
        refused_bytes(&image)
    };
    assert_eq!(with_byte(4, elf::ELFCLASS32), Reason::ThirtyTwoBit);
    assert_eq!(with_byte(16, 1), Reason::NotLoadable);
    assert_eq!(with_byte(18, 243), Reason::MachineUnsupported { machine: 243 });
    let mut big_endian = Elf::with_tls(Table::Dynsym, &PUSH).build();
    big_endian[5] = elf::ELFDATA2MSB;
    big_endian[18..20].copy_from_slice(&elf::EM_AARCH64.to_be_bytes());
    assert_eq!(
        refused_bytes(&big_endian),
        Reason::MachineUnsupported {
            machine: elf::EM_AARCH64
        }
    );
}

#[test]
fn another_library_is_named() {
    let defines = |name| refused(&Elf::new().function(Table::Dynsym, name, &PUSH));
    let by_symbol = [
        ("JNI_CreateJavaVM", OtherLibrary::Java),
        ("crypto_1tls.Conn.Read", OtherLibrary::GccGo),
    ];
    for (name, library) in by_symbol {
        assert_eq!(defines(name), Reason::LibraryUnsupported(library), "{name}");
    }
    assert_eq!(defines("PR_Read"), Reason::NoTls, "NSPR serves others than NSS");
}

fn holding(texts: &[&str]) -> Elf {
    texts.iter().fold(Elf::new(), |elf, text| elf.string(text))
}

const RUSTLS: [&str; 3] = [
    "/registry/rustls-0.23.31/src/conn.rs",
    "/registry/rustls-0.23.31/src/client/hs.rs",
    "/registry/rustls-0.23.31/src/tls13/mod.rs",
];

/// Why rustls is not traced that has no names.
fn without_symbols() -> Reason {
    Reason::Rustls {
        versions: vec!["0.23.31".to_owned()],
        why: RustlsRefusal::NoSymbols,
    }
}

const LIBSSL: [&str; 3] = ["../ssl/ssl_lib.cc", "../ssl/ssl_cert.cc", "../ssl/t1_enc.cc"];

const LABEL: &str = "master secret";

#[test]
fn rustls_is_known_by_several_of_its_files_and_what_it_derives_keys_with() {
    assert_eq!(refused(&holding(&RUSTLS).string(LABEL)), without_symbols());
    assert_eq!(refused(&holding(&RUSTLS)), Reason::NoTls);
    assert_eq!(refused(&holding(&RUSTLS[1..]).string(LABEL)), Reason::NoTls);
}

#[test]
fn go_is_known_by_what_its_linker_says() {
    let mut elf = Elf::new().string("crypto/tls.(*Conn).Read");
    elf.section = b".go.buildinfo";
    assert_eq!(refused(&elf), Reason::NoTls, "the name of a function is no proof");
    let header = [b"\xff Go buildinf:", &[8, 2][..], &[0; 16], b"\x08go1.27.3"].concat();
    elf.data = header;
    assert_eq!(refused(&elf), Reason::Go(GoRefusal::NoFunctionTable));
}

#[test]
fn one_string_is_no_proof_of_any_library() {
    for text in [RUSTLS[0], LIBSSL[0], LABEL, "crypto/tls.(*Conn).Read", "/rustls-0"] {
        assert_eq!(refused(&holding(&[text])), Reason::NoTls, "{text}");
    }
}

#[test]
fn a_library_that_an_image_holds_explains_it_before_one_that_it_calls() {
    let elf = holding(&RUSTLS).string(LABEL).import("SSL_read");
    assert_eq!(refused(&elf), without_symbols());
}

/// Returns why something beside the one plan of an image is not traced.
fn beside(elf: &Elf) -> Vec<Reason> {
    let plans = symbolizer::plan(&elf.build(), None).unwrap();
    assert_eq!(plans.plans.len(), 1);
    plans.reasons
}

#[test]
fn a_plan_names_the_other_libraries_in_its_image() {
    let alone = Elf::with_tls(Table::Dynsym, &PUSH);
    assert_eq!(beside(&alone), []);
    let beside = RUSTLS.into_iter().fold(alone.string(LABEL), Elf::string);
    let beside = beside.function(Table::Dynsym, "JNI_CreateJavaVM", &PUSH);
    let others = [without_symbols(), Reason::LibraryUnsupported(OtherLibrary::Java)];
    assert_eq!(self::beside(&beside), others);
}

#[test]
fn two_libraries_without_names_are_both_told() {
    let elf = LIBSSL.into_iter().fold(holding(&RUSTLS).string(LABEL), Elf::string);
    let reasons = symbolizer::plan(&elf.build(), None).unwrap().reasons;
    assert_eq!(reasons, [without_symbols(), Reason::NoSymbols]);
}

#[test]
fn a_wrapper_around_gnutls_is_no_openssl() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).import("gnutls_record_send");
    assert_eq!(refused(&elf), Reason::ImportsTls);
    planned(&LIBSSL.into_iter().fold(elf.string(LABEL), Elf::string));
}

#[test]
fn a_stripped_library_is_told_from_none() {
    assert_eq!(refused(&holding(&LIBSSL).string(LABEL)), Reason::NoSymbols);
    assert_eq!(refused(&Elf::new().string(OPENSSL)), Reason::NoTls, "that is libcrypto");
}

#[test]
fn a_version_that_is_too_old_is_refused() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).string("OpenSSL 1.0.1f 6 Jan 2014");
    assert!(matches!(refused(&elf), Reason::VersionUnsupported(version) if version.letter == Some('f')));
}

#[test]
fn an_image_cut_at_any_byte_is_an_error() {
    let mut elf = Elf::with_tls(Table::Dynsym, &ENDBR64_PUSH).string(OPENSSL);
    elf.build_id = Some(vec![1; 20]);
    let image = elf.build();
    for end in 0..image.len() {
        let error = symbolizer::plan(&image[..end], None).expect_err("the section headers are at the end");
        let expected = if end < 4 {
            matches!(error, Error::NotElf)
        } else {
            matches!(error, Error::CutShort { .. })
        };
        assert!(expected, "cut at {end}: {error}");
    }
}

#[test]
fn every_damaged_byte_of_an_image_is_survived() {
    let mut elf = Elf::with_tls(Table::Dynsym, &[0x55, 0xc3]).function(Table::Symtab, "SSL_free", &[0x55]);
    elf.build_id = Some(vec![1; 20]);
    let mut image = elf.string("OpenSSL 3.0.19 27 Jan 2026").build();
    for at in 0..image.len() {
        for damage in [0, 1, 0x7f, 0x80, 0xff] {
            let sound = std::mem::replace(&mut image[at], damage);
            drop(symbolizer::plan(&image, None));
            drop(symbolizer::crypto(&image));
            image[at] = sound;
        }
    }
}

#[test]
fn as_many_findings_as_the_limit_are_read_and_no_more() {
    let rest = limits::FINDINGS - 2;
    let elf = (0..rest).fold(Elf::with_tls(Table::Symtab, &PUSH), |elf, _| {
        elf.function(Table::Symtab, "SSL_free", &PUSH)
    });
    assert_eq!(planned(&elf).hooks.len(), limits::FINDINGS);
    let image = elf.function(Table::Symtab, "SSL_free", &PUSH).build();
    assert!(matches!(
        symbolizer::plan(&image, None),
        Err(Error::OverLimit {
            limit: limits::FINDINGS,
            ..
        })
    ));
}
