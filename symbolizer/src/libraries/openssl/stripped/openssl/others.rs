//! The functions beside those that read and write: what makes and ends connections, and what gives them descriptors.
//!
//! Each is the only one with its name and with code that does what only it does, or is left out.

use std::collections::BTreeSet;

use crate::code::Value;
use crate::code::effects::{Call, Effects, Target};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::libraries::openssl::stripped::reports::callers_around;
use crate::libraries::openssl::stripped::target;
use crate::libraries::openssl::tap::boring::effects;
use crate::libraries::openssl::tap::is_connection;
use crate::libraries::openssl::tap::linkage::Linkage;

use super::reported::{NEW_CONNECTION, Reported, is_own_file};
use super::transfer::{is_own, slot};

/// A connection's kind was not set (`SSL_R_CONNECTION_TYPE_NOT_SET`).
const KIND_NOT_SET: u64 = 144;
/// A connection has no table (`SSL_R_NO_METHOD_SPECIFIED`).
const NO_METHOD: u64 = 188;

/// Sets the descriptor of a BIO (`BIO_C_SET_FD` in `include/openssl/bio.h`).
const SETS_DESCRIPTOR: Value = Value::Constant(104);

/// Finds the one function of a name that some code proves.
pub(super) fn only<'a>(
    reported: &'a [Reported],
    name: &str,
    proves: impl Fn(&Reported) -> bool,
) -> Option<&'a Reported> {
    let mut found = reported.iter().filter(|one| one.names.contains(name) && proves(one));
    found.next().filter(|_| found.next().is_none())
}

/// Finds `SSL_do_handshake`: it calls the function that its connection keeps, or one of its connection's table.
pub(super) fn handshake(reported: &[Reported], method: u16) -> Option<Vaddr> {
    let is_kept = |call: &Call| match call.target {
        Target::Value(Value::Field(field)) => field.one().is_some_and(|(_, width)| width == 8),
        Target::Value(_) | Target::To(_) => false,
    };
    let calls = |one: &Reported| {
        let mut calls = one.effects.calls.iter().filter(|call| is_connection(call.arguments[0]));
        calls.any(|call| is_kept(call) || slot(call).is_some_and(|[first, _]| first == method))
    };
    let found = only(reported, "SSL_do_handshake", |one| {
        one.reasons.contains(&KIND_NOT_SET) && one.names.len() == 1 && calls(one)
    });
    found.map(|one| one.address)
}

/// Finds `SSL_clear`: it calls functions of its connection's table.
pub(super) fn clear(reported: &[Reported], method: u16) -> Option<Vaddr> {
    let calls = |one: &Reported| {
        let mut calls = one.effects.calls.iter().filter(|call| is_connection(call.arguments[0]));
        calls.any(|call| slot(call).is_some_and(|[first, _]| first == method))
    };
    let found = only(reported, "SSL_clear", |one| {
        one.reasons.contains(&NO_METHOD) && calls(one)
    });
    found.map(|one| one.address)
}

/// Finds one of `SSL_set_fd`, `SSL_set_rfd` and `SSL_set_wfd`: it hands its descriptor to a BIO.
pub(super) fn sets_descriptor(reported: &[Reported], name: &str) -> Option<Vaddr> {
    let is_descriptor = |value: Value| {
        let part = value.field().and_then(crate::code::Field::as_part_of_argument);
        part.is_some_and(|(index, _)| index == 1)
    };
    let sets = |call: &Call| call.arguments[1] == SETS_DESCRIPTOR && is_descriptor(call.arguments[3]);
    let found = only(reported, name, |one| one.effects.calls.iter().any(sets));
    found.map(|one| one.address)
}

/// Finds `SSL_sendfile`: it hands on its descriptor, where it begins, and its length.
pub(super) fn sends_file(reported: &[Reported]) -> Option<Vaddr> {
    let hands_on = |call: &Call| {
        let [_, descriptor, begin, length, ..] = call.arguments;
        let part = descriptor.field().and_then(crate::code::Field::as_part_of_argument);
        part.is_some_and(|(index, _)| index == 1) && is_own(begin, 2) && is_own(length, 3)
    };
    let found = only(reported, "SSL_sendfile", |one| one.effects.calls.iter().any(hands_on));
    found.map(|one| one.address)
}

/// Finds `SSL_read_early_data` or `SSL_write_early_data` among the functions that may report by that name: it calls one of the
/// functions that move bytes.
///
/// The one that writes jumps by a table, so that what it hands on is not followed.
pub(super) fn early(image: &Image<'_>, naming: impl Iterator<Item = Vaddr>, moving: &[Vaddr]) -> Option<Vaddr> {
    let callers = callers_around(image, *moving.first()?, moving);
    let found: BTreeSet<_> = naming.filter(|address| callers.contains(address)).collect();
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}

/// Finds `SSL_free` among the functions that what makes a connection calls once that fails, or the part of it that frees.
pub(super) fn frees(linkage: &Linkage<'_, '_>, reported: &[Reported]) -> Option<Vaddr> {
    let makes = |one: &&Reported| ["SSL_new", NEW_CONNECTION].iter().any(|name| one.names.contains(name));
    let calls = reported.iter().filter(makes).flat_map(|one| &one.effects.calls);
    let called: BTreeSet<_> = calls.filter_map(target).collect();
    let found: BTreeSet<_> = called
        .into_iter()
        .filter_map(|address| freeing(linkage, address))
        .collect();
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}

/// Returns the function that frees a connection, if it is this one or one that this hands its connection on to.
fn freeing(linkage: &Linkage<'_, '_>, address: Vaddr) -> Option<Vaddr> {
    let own = effects(linkage, address).ok()?;
    if frees_data(linkage, &own) {
        return Some(address);
    }
    let handed = own.calls.iter().filter(|call| is_connection(call.arguments[0]));
    let mut parts = handed.filter_map(target).filter(|to| *to != address);
    parts.find(|part| effects(linkage, *part).is_ok_and(|effects| frees_data(linkage, &effects)))
}

/// Lists the functions that are given the name of a source file second: they take the line third, and no more
/// (`CRYPTO_malloc`, `CRYPTO_zalloc`, `CRYPTO_free`).
pub(super) fn allocating(linkage: &Linkage<'_, '_>, reported: &[Reported]) -> BTreeSet<Vaddr> {
    let calls = reported.iter().flat_map(|one| &one.effects.calls);
    let allocating = calls.filter(|call| is_own_file(linkage, call.arguments[1]));
    allocating.filter_map(target).collect()
}

/// Recognises `CRYPTO_free_ex_data(CRYPTO_EX_INDEX_SSL, ssl, &ssl->ex_data)`, and `CRYPTO_free(ssl, file, line)`.
fn frees_data(linkage: &Linkage<'_, '_>, effects: &Effects) -> bool {
    let data = |call: &Call| {
        let [class, connection, data, ..] = call.arguments;
        class == CONNECTIONS && is_connection(connection) && data.is_from(0) && !is_connection(data)
    };
    let whole = |call: &Call| is_connection(call.arguments[0]) && is_own_file(linkage, call.arguments[1]);
    effects.calls.iter().any(data) && effects.calls.iter().any(whole)
}

/// What a program keeps with connections (`CRYPTO_EX_INDEX_SSL` in `include/openssl/crypto.h`).
const CONNECTIONS: Value = Value::Constant(0);
