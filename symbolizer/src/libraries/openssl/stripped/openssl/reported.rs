//! The functions of OpenSSL's libssl that name themselves in the errors that they report.
//!
//! Since OpenSSL 3.0 a function hands its file and its name to `ERR_set_debug`, and the number of the library and a reason to
//! `ERR_set_error`. Before, it handed a number of its own to `ERR_put_error`, with the rest (`ERR_raise` and `SSLerr` in
//! `include/openssl/err.h`). A compiler that puts one function into another puts its name there as well, so that a name alone
//! proves nothing.

use std::collections::BTreeSet;

use crate::code::effects::{Call, Effects, Target};
use crate::code::{Destination, Value};
use crate::elf::address::Vaddr;
use crate::libraries::openssl::stripped::reports::{OPENSSL, Reports};
use crate::libraries::openssl::stripped::signs::{is_file, text};
use crate::libraries::openssl::tap::boring::effects;
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::limits;

/// The functions that are looked for, and the numbers that OpenSSL 1.1.1 has for them (`include/openssl/sslerr.h`).
const NAMED: [(&str, u32); 16] = [
    ("SSL_read", 223),
    ("SSL_peek", 270),
    ("SSL_write", 208),
    ("ssl_read_internal", 523),
    ("ssl_write_internal", 524),
    ("SSL_read_early_data", 529),
    ("SSL_write_early_data", 526),
    ("SSL_do_handshake", 180),
    ("SSL_clear", 164),
    ("SSL_set_fd", 192),
    ("SSL_set_rfd", 194),
    ("SSL_set_wfd", 196),
    ("SSL_new", 186),
    // These have no number: they came with OpenSSL 3.0 and later.
    ("SSL_sendfile", NO_NUMBER),
    ("ssl_sendfile", NO_NUMBER),
    (NEW_CONNECTION, NO_NUMBER),
];

const NO_NUMBER: u32 = u32::MAX;
/// What makes a connection since OpenSSL 3.2.
pub(super) const NEW_CONNECTION: &str = "ossl_ssl_connection_new_int";

/// The file of all of them.
const FILE: &[u8] = b"ssl/ssl_lib.c";

/// A function that reports errors by the name of one that is looked for, its own or that of a function inside it.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) address: Vaddr,
    pub(super) effects: Effects,
    pub(super) names: BTreeSet<&'static str>,
    pub(super) reasons: BTreeSet<u64>,
    /// What its name is handed to: code of the image, or a slot of the dynamic linker.
    pub(super) reporter: Vaddr,
}

/// Finds them; none if they are too many.
pub(super) fn find(linkage: &Linkage<'_, '_>, reports: &Reports<'_>) -> Vec<Reported> {
    let named = |address: &Vaddr| name_at(linkage, *address).is_some();
    let by_names = reports.addresses().filter(|(_, loaded)| loaded.iter().any(named));
    let found = all(linkage, by_names.map(|(begin, _)| begin));
    if !found.is_empty() {
        return found;
    }
    let numbered = |number: &u32| NAMED.iter().any(|(_, known)| known == number);
    let by_numbers = reports.seconds().filter(|(_, loaded)| loaded.iter().any(numbered));
    all(linkage, by_numbers.map(|(begin, _)| begin))
}

/// Lists the functions that may report by a name, whatever else they do.
pub(super) fn naming<'a>(
    linkage: &'a Linkage<'_, '_>,
    reports: &'a Reports<'_>,
    name: &'static str,
) -> impl Iterator<Item = Vaddr> + 'a {
    let number = NAMED.iter().find(|(own, _)| *own == name).map(|(_, number)| *number);
    let is_named = move |address: &Vaddr| name_at(linkage, *address) == Some(name);
    let by_name = reports
        .addresses()
        .filter(move |(_, loaded)| loaded.iter().any(is_named));
    let by_number = reports
        .seconds()
        .filter(move |(_, loaded)| number.is_some_and(|number| loaded.contains(&number)));
    by_name.map(|(begin, _)| begin).chain(by_number.map(|(begin, _)| begin))
}

fn all(linkage: &Linkage<'_, '_>, begins: impl Iterator<Item = Vaddr>) -> Vec<Reported> {
    few(begins)
        .into_iter()
        .filter_map(|address| reported(linkage, address))
        .collect()
}

/// Returns all functions, or none if they are more than the limit.
fn few(begins: impl Iterator<Item = Vaddr>) -> Vec<Vaddr> {
    let begins: Vec<_> = begins.take(limits::NAMED_REPORTERS + 1).collect();
    if begins.len() > limits::NAMED_REPORTERS {
        return Vec::new();
    }
    begins
}

/// Reads what a function reports; nothing if it names none of those that are looked for, or another file.
fn reported(linkage: &Linkage<'_, '_>, address: Vaddr) -> Option<Reported> {
    let effects = effects(linkage, address).ok()?;
    let mut names = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    let mut reporters = BTreeSet::new();
    for call in &effects.calls {
        let [library, second, third, ..] = call.arguments;
        let is_library = library == Value::Constant(OPENSSL.into());
        if let Some(name) = name(linkage, call) {
            names.insert(name);
            reporters.insert(place(call)?);
            reasons.extend(is_library.then(|| third.number()).flatten());
        } else if is_library {
            reasons.extend(second.number());
        }
    }
    let mut reporters = reporters.into_iter();
    let reporter = reporters.next().filter(|_| reporters.next().is_none())?;
    Some(Reported {
        address,
        effects,
        names,
        reasons,
        reporter,
    })
}

/// Reads the name that a call hands over with the name of the file.
fn name(linkage: &Linkage<'_, '_>, call: &Call) -> Option<&'static str> {
    let [first, second, third, fourth, ..] = call.arguments;
    if first == Value::Constant(OPENSSL.into()) {
        let number = u32::try_from(second.number()?).ok()?;
        let known = NAMED.iter().find(|(_, known)| *known == number)?;
        return is_own_file(linkage, fourth).then_some(known.0);
    }
    let name = name_at(linkage, Vaddr(third.number()?))?;
    is_own_file(linkage, first).then_some(name)
}

/// Reads the name of a function that is looked for.
fn name_at(linkage: &Linkage<'_, '_>, address: Vaddr) -> Option<&'static str> {
    let text = text(linkage, Value::Constant(address.0))?;
    let known = NAMED.iter().find(|(name, _)| name.as_bytes() == text)?;
    Some(known.0)
}

/// Where a call leads, or the slot that it leads through.
const fn place(call: &Call) -> Option<Vaddr> {
    match call.target {
        Target::To(Destination::Code(address) | Destination::Slot(address)) => Some(address),
        Target::To(Destination::Unknown) | Target::Value(_) => None,
    }
}

/// Returns whether a value is the name of the file that all of them are in.
pub(super) fn is_own_file(linkage: &Linkage<'_, '_>, value: Value) -> bool {
    text(linkage, value).is_some_and(|file| is_file(file, FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_may_fill_their_limit_and_no_more() {
        let count = |most: usize| few((0..most as u64).map(Vaddr)).len();
        assert_eq!(count(limits::NAMED_REPORTERS), limits::NAMED_REPORTERS);
        assert_eq!(count(limits::NAMED_REPORTERS + 1), 0);
    }
}
