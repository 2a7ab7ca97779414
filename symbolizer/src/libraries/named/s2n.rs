//! The functions of s2n-tls's interface that matter (`tls/s2n_send.c`, `tls/s2n_recv.c` of the crate s2n-tls-sys 0.3.47).
//!
//! A write that cannot go on returns how many bytes it has sent, or fails, and the program goes on with the rest: what is
//! returned counts once. `s2n_send` and `s2n_sendv` call the function with an offset.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::nameless::{Nameless, Texts, numbers};
use crate::hook::Role;
use crate::libraries::function::{Argument, Count, Function, INT, WORD};
use crate::libraries::gnutls::functions::COUNTED;
use crate::libraries::named::mbedtls::NO_ERROR;

/// The functions, in the order of a plan.
pub(crate) const FUNCTIONS: [Function; 12] = [
    Function::moving("s2n_recv", Role::Read, WORD, Count::Returned, COUNTED),
    Function::moving("s2n_send", Role::Write, WORD, Count::Returned, COUNTED),
    // Of the pieces only the first is seen. What leaves out some of their bytes only counts.
    Function::gathering("s2n_sendv", Role::Write, COUNTED),
    Function::gathering("s2n_sendv_with_offset", Role::Write, COUNTED).only_without(Argument(3, WORD)),
    // It takes a file descriptor and an offset before the length, and stores the number of bytes.
    Function::returning("s2n_sendfile", Role::Sendfile, NO_ERROR)
        .with_count(Argument(3, WORD), Count::Behind(Argument(4, WORD))),
    // Both call the function that moves the bytes.
    Function::called("s2n_recv_early_data", Role::EarlyRead),
    Function::returning("s2n_send_early_data", Role::EarlyWrite, NO_ERROR),
    Function::called("s2n_connection_set_fd", Role::Descriptor).with_transports(Some(DESCRIPTOR), Some(DESCRIPTOR)),
    Function::called("s2n_connection_set_read_fd", Role::Descriptor).with_transports(Some(DESCRIPTOR), None),
    Function::returning("s2n_negotiate", Role::Handshake, NO_ERROR),
    Function::called("s2n_connection_wipe", Role::Clear),
    Function::called("s2n_connection_free", Role::End),
];

const DESCRIPTOR: Argument = Argument(1, INT);

/// Recognises the library without names: where it reports an error, code loads a text with the place in the source
/// (`_S2N_DEBUG_LINE` in `error/s2n_errno.h`).
pub(super) fn nameless(texts: &Texts<'_, '_>) -> Option<Nameless> {
    let reported = texts.around(REPORTED).filter_map(|(place, text)| {
        let path = text.strip_prefix(REPORTED)?;
        let file = path.get(memmem::rfind(path, FOLDER)?.checked_add(FOLDER.len())?..)?;
        let name = file.get(..memmem::find(file, b".c")?)?;
        Some((place, (name, path)))
    });
    let reported: BTreeMap<_, _> = reported.collect();
    if reported.is_empty() {
        return None;
    }
    let loaded = texts.loaded(&reported.keys().copied().collect()).into_keys();
    let loaded: Vec<_> = loaded.filter_map(|place| reported.get(&place)).collect();
    let files: BTreeSet<_> = loaded.iter().map(|(name, _)| *name).collect();
    let has_all = FILES.iter().all(|file| files.contains(file));
    let versions: BTreeSet<_> = loaded.iter().filter_map(|(_, path)| version(path)).collect();
    let mut versions = versions.into_iter();
    (has_all && loaded.len() >= FEWEST_REPORTS).then(|| Nameless {
        version: versions.next().filter(|_| versions.next().is_none()),
    })
}

/// Reads the version of the crate that the library was built by from a path.
fn version(path: &[u8]) -> Option<String> {
    let behind = path.get(memmem::find(path, CRATE)?.checked_add(CRATE.len())?..)?;
    numbers(behind.get(..memchr::memchr(b'/', behind)?)?)
}

/// What each text begins with.
pub(super) const REPORTED: &[u8] = b"Error encountered in ";

/// Where the files of the protocol are.
const FOLDER: &[u8] = b"tls/s2n_";

/// Files that report errors in every build.
const FILES: [&[u8]; 3] = [b"connection", b"recv", b"send"];

/// The folder of the crate, up to its version.
const CRATE: &[u8] = b"/s2n-tls-sys-";

/// How many of some hundred places are proof.
const FEWEST_REPORTS: usize = 16;
