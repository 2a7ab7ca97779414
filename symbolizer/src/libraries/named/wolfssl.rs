//! The functions of wolfSSL's interface that matter (`src/ssl.c` of 5.3 to 5.9). What its layer for OpenSSL's programs calls
//! `SSL_read` is a macro, so the names stay.
//!
//! A write that cannot go on fails, and the one that repeats it with the same arguments returns the number of all its bytes,
//! so that they count once. `wolfSSL_peek` is not here: it leaves its bytes to be read again.

use std::collections::{BTreeMap, BTreeSet};

use super::nameless::{Nameless, Texts};
use crate::code::loads::Use;
use crate::hook::Role;
use crate::libraries::function::{Argument, Count, Function, INT, POSITIVE_INT, WORD};

/// The functions, in the order of a plan.
pub(crate) const FUNCTIONS: [Function; 15] = [
    Function::moving("wolfSSL_read", Role::Read, INT, Count::Returned, POSITIVE_INT),
    Function::moving("wolfSSL_write", Role::Write, INT, Count::Returned, POSITIVE_INT),
    // They return 1 on success, and store the count (5.7).
    Function::moving("wolfSSL_read_ex", Role::Read, WORD, STORED_WORD, POSITIVE_INT),
    Function::moving("wolfSSL_write_ex", Role::Write, WORD, STORED_WORD, POSITIVE_INT),
    // A server has accepted what it reads before the end of the handshake.
    Function::moving(
        "wolfSSL_read_early_data",
        Role::EarlyRead,
        INT,
        STORED_INT,
        POSITIVE_INT,
    ),
    Function::called("wolfSSL_set_fd", Role::Descriptor).with_transports(Some(DESCRIPTOR), Some(DESCRIPTOR)),
    Function::called("wolfSSL_set_read_fd", Role::Descriptor).with_transports(Some(DESCRIPTOR), None),
    Function::called("wolfSSL_set_rfd", Role::Descriptor).with_transports(Some(DESCRIPTOR), None),
    Function::called("wolfSSL_set_bio", Role::Bio).with_transports(Some(POINTER), Some(Argument(2, WORD))),
    // They bring functions of the program's own.
    Function::called("wolfSSL_SSLSetIORecv", Role::Bio).with_transports(Some(POINTER), None),
    Function::called("wolfSSL_SetIOReadCtx", Role::Bio).with_transports(Some(POINTER), None),
    Function::returning("wolfSSL_connect", Role::Handshake, POSITIVE_INT),
    Function::returning("wolfSSL_accept", Role::Handshake, POSITIVE_INT),
    Function::called("wolfSSL_clear", Role::Clear),
    Function::called("wolfSSL_free", Role::End),
];

const STORED_WORD: Count = Count::Behind(Argument(3, WORD));
const STORED_INT: Count = Count::Behind(Argument(3, INT));
const DESCRIPTOR: Argument = Argument(1, INT);
const POINTER: Argument = Argument(1, WORD);

/// Recognises the library without names: a function returns the texts of its errors (`wolfSSL_ERR_reason_error_string` in
/// `src/internal.c`), and code loads a label of TLS. Where a compiler has made a table of these texts, they are as far from each
/// other as the numbers of their errors.
pub(super) fn nameless(texts: &Texts<'_, '_>) -> Option<Nameless> {
    if texts.places_of(&[ERROR_MARK]).is_empty() {
        return None;
    }
    let errors = texts.places_of(&ERRORS.map(|(_, text)| text));
    let returned = texts.loaded(&errors.keys().copied().collect()).into_iter();
    let returned = returned.filter(|(_, how)| *how == Use::Returned);
    let returned: BTreeSet<_> = returned.filter_map(|(place, _)| errors.get(&place)).collect();
    let mut tables: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    for (place, text) in texts.image.pointers() {
        let error = errors.get(&text);
        let distance = error.and_then(|error| Some((*error, ERRORS.get(*error)?.0.checked_mul(8)?)));
        if let Some((error, distance)) = distance {
            let begins = [place.0.wrapping_sub(distance), place.0.wrapping_add(distance)];
            for begin in begins.into_iter().enumerate() {
                tables.entry(begin).or_default().insert(error);
            }
        }
    }
    let most = tables.values().map(BTreeSet::len).chain([returned.len()]).max();
    (most >= Some(FEWEST_ERRORS) && texts.derives_keys()).then(|| Nameless {
        version: texts.stated(&VERSIONS),
    })
}

/// What an image without the library hardly has.
pub(super) const ERROR_MARK: &[u8] = b"unknown type in record hdr";

/// What comes before the version in a text of the layer for OpenSSL's programs.
pub(super) const VERSIONS: [&[u8]; 1] = [b"wolfSSL "];

/// Errors of `wolfssl/error-ssl.h` by their numbers, which are negative. The steps between these differ, as no list of the
/// texts alone does.
const ERRORS: [(u64, &[u8]); 10] = [
    (304, b"verify problem on finished"),
    (305, b"verify mac problem"),
    (307, b"weird handshake type"),
    (308, b"error state on socket"),
    (311, ERROR_MARK),
    (313, b"received alert fatal error"),
    (319, b"server missing DH params"),
    (328, b"malformed buffer input error"),
    (341, b"record layer length error"),
    (343, b"peer sent close notify alert"),
];

const FEWEST_ERRORS: usize = 6;
