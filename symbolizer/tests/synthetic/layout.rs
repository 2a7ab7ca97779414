//! Where a layout comes from, and what the library's code says of a connection.

use symbolizer::{BioLayout, Crypto, Facts, Layout, LayoutUnknown, Origin, ProbePlan};

use crate::support::{Elf, Table};
use crate::{OPENSSL, PUSH, SUB, only, planned};

/// Loads a pointer from a field of the first argument and returns it.
fn pointer(field: u8) -> [u8; 5] {
    [0x48, 0x8b, 0x47, field, 0xc3]
}

/// The same for a number.
fn int(field: u8) -> [u8; 4] {
    [0x8b, 0x47, field, 0xc3]
}

/// Returns a pointer from a field of what the first argument has in another field.
fn behind(first: u8, second: u8) -> [u8; 9] {
    [0x48, 0x8b, 0x47, first, 0x48, 0x8b, 0x40, second, 0xc3]
}

fn with(elf: Elf, name: &'static str, code: &[u8]) -> Elf {
    elf.function(Table::Dynsym, name, code)
}

/// Adds the accessors of a BIO whose number is at `num`, and whose `init` may be elsewhere than it should.
fn with_bio(elf: Elf, num: u8, init: u8) -> Elf {
    let elf = with(elf, "BIO_method_type", &[0x48, 0x8b, 0x47, 0x08, 0x8b, 0x00, 0xc3]);
    let elf = with(elf, "BIO_get_data", &pointer(num + 8));
    let elf = with(elf, "BIO_get_init", &int(init));
    with(elf, "BIO_get_shutdown", &int(num - 12))
}

fn with_ssl(rbio: u8, wbio: u8) -> Elf {
    let elf = with(Elf::with_tls(Table::Dynsym, &PUSH), "SSL_get_rbio", &pointer(rbio));
    with(elf, "SSL_get_wbio", &pointer(wbio))
}

fn row(layout: Layout) -> ([u16; 4], Origin) {
    let Layout {
        rbio,
        wbio,
        bio_method,
        bio_num,
        origin,
    } = layout;
    ([rbio, wbio, bio_method, bio_num], origin)
}

#[test]
fn code_that_says_everything_needs_no_version() {
    let elf = with_bio(with_ssl(0x60, 0x68), 0x38, 0x28);
    let said = ([0x60, 0x68, 8, 0x38], Origin::Accessors);
    assert_eq!(planned(&elf).layout.map(row), Ok(said));
    let two = elf.string(OPENSSL).string("OpenSSL 3.0.18 30 Sep 2025");
    assert_eq!(planned(&two).layout.map(row), Ok(said), "nor one of several");
}

#[test]
fn code_and_table_must_agree_and_are_both_named() {
    let agreeing = with_bio(with_ssl(0x10, 0x18), 0x38, 0x28).string(OPENSSL);
    assert_eq!(
        planned(&agreeing).layout.map(row),
        Ok(([0x10, 0x18, 8, 0x38], Origin::Both))
    );
    let disagreeing = with_bio(with_ssl(0x60, 0x68), 0x38, 0x28).string(OPENSSL);
    assert_eq!(planned(&disagreeing).layout, Err(LayoutUnknown::AccessorsDisagree));
}

#[test]
fn a_bio_in_another_order_is_not_believed() {
    let elf = with_bio(with_ssl(0x10, 0x18), 0x38, 0x2c);
    assert_eq!(planned(&elf).layout, Err(LayoutUnknown::VersionUnknown));
    let elf = with_bio(with_ssl(0x10, 0x18), 0x38, 0x28);
    assert!(planned(&with(elf, "BIO_get_retry_reason", &int(0x34))).layout.is_ok());
    let elf = with_bio(with_ssl(0x10, 0x18), 0x38, 0x28);
    let elf = with(elf, "BIO_get_retry_reason", &int(0x30));
    assert_eq!(planned(&elf).layout, Err(LayoutUnknown::VersionUnknown));
}

#[test]
fn the_bio_is_that_of_the_crypto_library_beside_it() {
    let image = with_bio(Elf::new(), 0x30, 0x20).build();
    let crypto = symbolizer::crypto(&image).unwrap().unwrap();
    assert_eq!(crypto.bio, Some(BioLayout { method: 8, num: 0x30 }));
    let plan = plan_beside(&with_ssl(0x60, 0x68), &crypto);
    assert_eq!(plan.layout.map(row), Ok(([0x60, 0x68, 8, 0x30], Origin::Accessors)));
}

#[test]
fn the_bio_of_another_family_s_crypto_library_is_not_taken() {
    let image = with_bio(Elf::new(), 0x30, 0x20).string("LibreSSL 3.8.2").build();
    let crypto = symbolizer::crypto(&image).unwrap().unwrap();
    let plan = plan_beside(&with_ssl(0x60, 0x68).string("OpenSSL 3.7.0 1 Apr 2027"), &crypto);
    assert_eq!(plan.layout, Err(LayoutUnknown::VersionNotInTable));
}

#[test]
fn an_image_that_says_nothing_of_a_crypto_library_carries_none() {
    assert_eq!(
        symbolizer::crypto(&Elf::with_tls(Table::Dynsym, &PUSH).build()).unwrap(),
        None
    );
}

#[test]
fn what_was_negotiated_is_found_by_code_alone() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH);
    assert_eq!(planned(&elf).facts, Facts::default());
    let elf = with(elf, "SSL_version", &int(0x48));
    let elf = with(elf, "SSL_get_session", &pointer(0x50));
    let elf = with(elf, "SSL_get_current_cipher", &behind(0x50, 0x58));
    let elf = with(elf, "SSL_CIPHER_get_name", &pointer(0x08));
    let expected = Facts {
        version: Some(0x48),
        session: Some(0x50),
        session_cipher: Some(0x58),
        cipher_name: Some(0x08),
        ..Facts::default()
    };
    assert_eq!(planned(&elf).facts, expected);
}

#[test]
fn two_accessors_that_name_different_sessions_name_none() {
    let elf = with(
        Elf::with_tls(Table::Dynsym, &PUSH),
        "SSL_get_current_cipher",
        &behind(0x50, 0x58),
    );
    assert_eq!(planned(&elf).facts.session, Some(0x50), "one alone is believed");
    let facts = planned(&with(elf, "SSL_get_session", &pointer(0x60))).facts;
    assert_eq!((facts.session, facts.session_cipher), (None, None));
}

#[test]
fn two_copies_of_the_library_say_nothing() {
    let elf = with(Elf::with_tls(Table::Symtab, &PUSH), "SSL_version", &int(0x48));
    assert_eq!(planned(&elf).facts.version, Some(0x48));
    let twice = elf.function(Table::Symtab, "SSL_read", &SUB);
    assert_eq!(planned(&twice).facts, Facts::default());
}

fn plan_beside(elf: &Elf, crypto: &Crypto) -> ProbePlan {
    only(symbolizer::plan(&elf.build(), Some(crypto)).unwrap())
}
