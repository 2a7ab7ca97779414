//! What is concluded of the library: family, version, layout and identity.

use symbolizer::{BuildIdKind, Evidence, Family, LayoutUnknown, limits};

use crate::support::{Elf, Table};
use crate::{OPENSSL, PUSH, SUB, only, planned};

#[test]
fn the_version_in_the_image_decides_the_layout() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).string(OPENSSL);
    let plan = planned(&elf);
    assert_eq!(
        (plan.library.family, plan.library.evidence),
        (Family::OpenSsl, Evidence::VersionText)
    );
    assert_eq!(plan.layout.map(|layout| layout.rbio), Ok(0x10));
    let crypto = symbolizer::crypto(&elf.build()).unwrap().unwrap();
    assert_eq!(crypto.version, plan.library.version);
}

#[test]
fn the_version_of_the_crypto_library_decides_when_the_image_states_none() {
    let crypto = symbolizer::crypto(&Elf::new().string("OpenSSL 3.4.1 11 Feb 2025").build()).unwrap();
    let image = Elf::with_tls(Table::Dynsym, &PUSH).build();
    let plan = only(symbolizer::plan(&image, crypto.as_ref()).unwrap());
    assert_eq!(plan.library.evidence, Evidence::CryptoLibrary);
    assert_eq!(plan.layout.map(|layout| layout.rbio), Ok(0x50));
}

#[test]
fn without_a_single_version_there_is_no_layout() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH);
    assert_eq!(planned(&elf).layout, Err(LayoutUnknown::VersionUnknown));
    let two = elf.string(OPENSSL).string("OpenSSL 3.0.18 30 Sep 2025");
    assert_eq!(planned(&two).layout, Err(LayoutUnknown::SeveralVersions));
    assert_eq!(symbolizer::crypto(&two.build()).unwrap(), None);
}

#[test]
fn the_crypto_of_another_library_beside_it_does_not_confuse_the_version() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH)
        .string(OPENSSL)
        .string("AWS-LC 1.69.0");
    assert_eq!(planned(&elf).layout, Err(LayoutUnknown::SeveralVersions));
    let plan = planned(&elf.string("ssl/ssl_lib.c"));
    assert_eq!(
        (plan.library.family, plan.layout.map(|layout| layout.rbio)),
        (Family::OpenSsl, Ok(0x10))
    );
}

#[test]
fn two_copies_of_the_library_have_no_layout() {
    let plan = planned(
        &Elf::with_tls(Table::Symtab, &PUSH)
            .function(Table::Symtab, "SSL_read", &SUB)
            .string(OPENSSL),
    );
    assert_eq!(plan.hooks.len(), 3);
    assert_eq!(plan.layout, Err(LayoutUnknown::SeveralCopies));
}

#[test]
fn the_library_s_own_code_overrules_the_table() {
    let returning = |field| {
        let accessor = [0x48, 0x8b, 0x47, field, 0xc3];
        planned(
            &Elf::with_tls(Table::Dynsym, &PUSH)
                .string(OPENSSL)
                .function(Table::Dynsym, "SSL_get_rbio", &accessor),
        )
    };
    assert!(returning(0x10).layout.is_ok());
    assert_eq!(returning(0x18).layout, Err(LayoutUnknown::AccessorsDisagree));
}

#[test]
fn a_library_that_greases_is_no_openssl() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).string(OPENSSL).function(
        Table::Dynsym,
        "SSL_CTX_set_grease_enabled",
        &PUSH,
    );
    let plan = planned(&elf);
    assert_eq!((plan.library.family, plan.library.version), (Family::BoringSsl, None));
    assert_eq!(plan.layout, Err(LayoutUnknown::VersionNeverStated));
    let plan = planned(
        &elf.function(Table::Dynsym, "SSL_read_ex", &PUSH)
            .string("AWS-LC 1.69.0"),
    );
    assert_eq!(plan.library.family, Family::AwsLc);
}

#[test]
fn the_build_id_is_the_note_s_or_says_that_it_is_not() {
    let mut elf = Elf::with_tls(Table::Dynsym, &PUSH);
    let hashed = planned(&elf).build_id;
    assert_eq!((hashed.kind(), hashed.bytes().len()), (BuildIdKind::CodeHash, 16));
    assert_ne!(planned(&Elf::with_tls(Table::Dynsym, &SUB)).build_id, hashed);
    elf.build_id = Some(vec![0xab; 20]);
    assert_eq!(planned(&elf).build_id.to_string(), "ab".repeat(20));
    elf.build_id = Some(vec![0xab; limits::BUILD_ID]);
    assert_eq!(planned(&elf).build_id.kind(), BuildIdKind::GnuNote);
    elf.build_id = Some(vec![0xab; limits::BUILD_ID + 1]);
    assert_eq!(planned(&elf).build_id, hashed);
}

#[test]
fn a_build_id_after_as_many_notes_as_the_limit_is_not_found() {
    let mut elf = Elf::with_tls(Table::Dynsym, &PUSH);
    elf.build_id = Some(vec![1; 20]);
    elf.other_notes = limits::NOTES - 1;
    assert_eq!(planned(&elf).build_id.kind(), BuildIdKind::GnuNote);
    elf.other_notes = limits::NOTES;
    assert_eq!(planned(&elf).build_id.kind(), BuildIdKind::CodeHash);
}
