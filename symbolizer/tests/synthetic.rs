//! Plans of images that are built in memory, one property each.
//!
//! In: what `support` builds. Out: the claims of the crate's interface, including what it refuses.
#![cfg(test)]

mod support;

use std::io::Write as _;

use lzma_rust2::{XzOptions, XzWriter};
use object::elf;
use symbolizer::{
    BuildIdKind, Error, Evidence, Family, Instruction, LayoutUnknown, OtherLibrary, ProbePlan, Reason, Role,
    SymbolSource, Tier, limits,
};

use support::{CODE_BASE, DATA_BASE, Elf, Table};

const PUSH: [u8; 2] = [0x55, 0xc3];
const ENDBR64_PUSH: [u8; 6] = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xc3];
const ENDBR64_SUB: [u8; 9] = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x18, 0xc3];
const SUB: [u8; 5] = [0x48, 0x83, 0xec, 0x18, 0xc3];
const OPENSSL: &str = "OpenSSL 3.0.19 27 Jan 2026";

fn planned(elf: &Elf) -> ProbePlan {
    symbolizer::plan(&elf.build(), None)
        .unwrap()
        .unwrap_or_else(|reason| panic!("not traced because {reason}"))
}

fn refused(elf: &Elf) -> Reason {
    refused_bytes(&elf.build())
}

fn refused_bytes(image: &[u8]) -> Reason {
    symbolizer::plan(image, None)
        .unwrap()
        .expect_err("there is nothing to trace")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn each_symbol_table_suffices_and_is_named() {
    for (table, source) in [
        (Table::Dynsym, SymbolSource::Dynsym),
        (Table::Symtab, SymbolSource::Symtab),
    ] {
        let plan = planned(&Elf::with_tls(table, &PUSH));
        assert_eq!(
            plan.functions.iter().map(|f| (f.role, f.found)).collect::<Vec<_>>(),
            [(Role::Read, source), (Role::Write, source)]
        );
    }
}

#[test]
fn the_compressed_table_is_opened_when_the_others_name_nothing() {
    let code = [PUSH, PUSH].concat();
    let stripped = Elf::new().function(Table::Dynsym, "unrelated", &code).build();
    let mut elf = Elf::new().function(Table::Dynsym, "unrelated", &code);
    let full = Elf::with_tls(Table::Symtab, &PUSH).build();
    assert_eq!(
        symbolizer::Image::parse(&full).unwrap().unwrap().segments(),
        symbolizer::Image::parse(&stripped).unwrap().unwrap().segments()
    );
    elf.debugdata = Some(xz(&full));
    let plan = planned(&elf);
    assert!(
        plan.functions
            .iter()
            .all(|function| function.found == SymbolSource::GnuDebugdata)
    );
    assert_eq!(plan.functions[1].offset.0 - plan.functions[0].offset.0, 2);
}

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
fn the_site_follows_from_the_first_instructions() {
    let site_of = |code: &[u8]| {
        let function = planned(&Elf::with_tls(Table::Dynsym, code)).functions.remove(0);
        assert_eq!(function.address.0, function.offset.0 + CODE_BASE);
        assert_eq!(function.site.address.0, function.site.offset.0 + CODE_BASE);
        (
            function.site.tier,
            function.site.offset.0 - function.offset.0,
            function.site.instruction,
        )
    };
    assert_eq!(site_of(&PUSH), (Tier::Emulated, 0, Instruction::Push));
    assert_eq!(site_of(&ENDBR64_PUSH), (Tier::Emulated, 4, Instruction::Push));
    assert_eq!(site_of(&ENDBR64_SUB), (Tier::Stepped, 0, Instruction::Endbr64));
    assert_eq!(site_of(&SUB), (Tier::Stepped, 0, Instruction::SubRsp));
}

#[test]
fn a_site_never_leaves_its_function() {
    // The size says that the function ends with its landing pad; the next function begins with a push.
    let plan = planned(&Elf::with_tls(Table::Dynsym, &ENDBR64_PUSH[..4]).function(Table::Dynsym, "next", &PUSH));
    assert!(
        plan.functions
            .iter()
            .all(|function| function.site.tier == Tier::Stepped)
    );
}

#[test]
fn aarch64_is_planned_at_the_first_instruction() {
    let mut elf = Elf::with_tls(Table::Dynsym, &0xd503_233f_u32.to_le_bytes());
    elf.machine = elf::EM_AARCH64;
    let site = planned(&elf).functions[0].site;
    assert_eq!((site.tier, site.instruction), (Tier::Stepped, Instruction::Paciasp));
}

#[test]
fn every_role_is_planned_and_peeking_is_not() {
    let elf = Role::ALL.iter().fold(Elf::new(), |elf, role| {
        elf.function(Table::Dynsym, role.symbol(), &PUSH)
    });
    let plan = planned(
        &elf.function(Table::Dynsym, "SSL_peek", &PUSH)
            .function(Table::Dynsym, "SSL_peek_ex", &PUSH),
    );
    assert_eq!(
        plan.functions.iter().map(|function| function.role).collect::<Vec<_>>(),
        Role::ALL
    );
    assert_eq!(plan.absent, []);
}

#[test]
fn the_roles_that_are_missing_are_listed() {
    let plan = planned(&Elf::new().function(Table::Dynsym, "SSL_read_ex", &PUSH).function(
        Table::Dynsym,
        "SSL_write_ex",
        &PUSH,
    ));
    assert_eq!(plan.functions.len(), 2);
    assert_eq!(plan.absent.len(), Role::ALL.len() - 2);
    assert!(plan.absent.contains(&Role::Read) && !plan.absent.contains(&Role::ReadEx));
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
    let mentions = |text| refused(&Elf::new().string(text));
    let unsupported = Reason::LibraryUnsupported;
    assert_eq!(defines("gnutls_record_send"), unsupported(OtherLibrary::GnuTls));
    assert_eq!(defines("PR_Read"), unsupported(OtherLibrary::Nss));
    assert_eq!(
        mentions("crypto/tls.(*Conn).Read"),
        unsupported(OtherLibrary::GoCryptoTls)
    );
    assert_eq!(
        mentions("/registry/rustls-0.23.31/src/conn.rs"),
        unsupported(OtherLibrary::Rustls)
    );
    assert_eq!(mentions("/registry/rustls-pki-types/src/lib.rs"), Reason::NoTls);
}

#[test]
fn a_wrapper_around_gnutls_is_no_openssl() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).import("gnutls_record_send");
    assert_eq!(refused(&elf), Reason::LibraryUnsupported(OtherLibrary::GnuTls));
    planned(&elf.string("ssl/ssl_lib.c"));
}

#[test]
fn a_stripped_library_is_told_from_none() {
    assert_eq!(refused(&Elf::new().string("../ssl/ssl_lib.cc")), Reason::NoSymbols);
    assert_eq!(refused(&Elf::new().string(OPENSSL)), Reason::NoTls, "that is libcrypto");
}

#[test]
fn the_version_in_the_image_decides_the_layout() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).string(OPENSSL);
    let plan = planned(&elf);
    assert_eq!(
        (plan.library.family, plan.library.evidence),
        (Family::OpenSsl, Evidence::VersionText)
    );
    assert_eq!(plan.layout.map(|layout| layout.rbio), Ok(0x10));
    assert_eq!(symbolizer::library_version(&elf.build()).unwrap(), plan.library.version);
}

#[test]
fn the_version_of_the_crypto_library_decides_when_the_image_states_none() {
    let crypto = symbolizer::library_version(&Elf::new().string("OpenSSL 3.4.1 11 Feb 2025").build()).unwrap();
    let plan = symbolizer::plan(&Elf::with_tls(Table::Dynsym, &PUSH).build(), crypto.as_ref())
        .unwrap()
        .unwrap();
    assert_eq!(plan.library.evidence, Evidence::CryptoLibrary);
    assert_eq!(plan.layout.map(|layout| layout.rbio), Ok(0x50));
}

#[test]
fn without_a_single_version_there_is_no_layout() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH);
    assert_eq!(planned(&elf).layout, Err(LayoutUnknown::VersionUnknown));
    let two = elf.string(OPENSSL).string("OpenSSL 3.0.18 30 Sep 2025");
    assert_eq!(planned(&two).layout, Err(LayoutUnknown::SeveralVersions));
    assert_eq!(symbolizer::library_version(&two.build()).unwrap(), None);
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
    assert_eq!(plan.functions.len(), 3);
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
fn a_version_that_is_too_old_is_refused() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).string("OpenSSL 1.0.1f 6 Jan 2014");
    assert!(matches!(refused(&elf), Reason::VersionUnsupported(version) if version.letter == Some('f')));
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
fn a_build_id_after_as_many_notes_as_the_limit_is_not_found() {
    let mut elf = Elf::with_tls(Table::Dynsym, &PUSH);
    elf.build_id = Some(vec![1; 20]);
    elf.other_notes = limits::NOTES - 1;
    assert_eq!(planned(&elf).build_id.kind(), BuildIdKind::GnuNote);
    elf.other_notes = limits::NOTES;
    assert_eq!(planned(&elf).build_id.kind(), BuildIdKind::CodeHash);
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
            drop(symbolizer::library_version(&image));
            image[at] = sound;
        }
    }
}

#[test]
fn an_image_may_begin_at_any_address() {
    let image = Elf::with_tls(Table::Dynsym, &PUSH).build();
    for shift in 0..8 {
        let shifted = [vec![0; shift], image.clone()].concat();
        assert!(symbolizer::plan(&shifted[shift..], None).unwrap().is_ok());
    }
}

#[test]
fn as_many_findings_as_the_limit_are_read_and_no_more() {
    let rest = limits::FINDINGS - 2;
    let elf = (0..rest).fold(Elf::with_tls(Table::Symtab, &PUSH), |elf, _| {
        elf.function(Table::Symtab, "SSL_free", &PUSH)
    });
    assert_eq!(planned(&elf).functions.len(), limits::FINDINGS);
    let image = elf.function(Table::Symtab, "SSL_free", &PUSH).build();
    assert!(matches!(
        symbolizer::plan(&image, None),
        Err(Error::OverLimit {
            limit: limits::FINDINGS,
            ..
        })
    ));
}

#[test]
fn data_and_code_lie_where_the_builder_puts_them() {
    let image = Elf::with_tls(Table::Dynsym, &PUSH).build();
    let image = symbolizer::Image::parse(&image).unwrap().unwrap();
    let bases: Vec<u64> = image
        .segments()
        .iter()
        .map(|segment| segment.address.0 - segment.offset.0)
        .collect();
    assert_eq!(bases, [DATA_BASE, CODE_BASE]);
}
