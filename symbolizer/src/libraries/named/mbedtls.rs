//! The functions of Mbed TLS's interface that matter (`library/ssl_msg.c`, `library/ssl_tls.c` of 2.28 and 3.6).
//!
//! A write that fails with `MBEDTLS_ERR_SSL_WANT_WRITE` has encrypted its bytes. The program repeats it with the same
//! arguments, and the one that succeeds returns their number, so that they count once.

use std::collections::{BTreeMap, BTreeSet};

use super::nameless::{Nameless, Texts};
use crate::elf::address::Vaddr;
use crate::hook::Role;
use crate::libraries::function::{Argument, Count, Function, INT, POSITIVE_INT, WORD};
use crate::operand::{Outcome, Success};

/// The functions, in the order of a plan.
pub(crate) const FUNCTIONS: [Function; 7] = [
    Function::moving("mbedtls_ssl_read", Role::Read, WORD, Count::Returned, POSITIVE_INT),
    // A server has accepted what it reads before the end of the handshake (3.6).
    Function::moving(
        "mbedtls_ssl_read_early_data",
        Role::EarlyRead,
        WORD,
        Count::Returned,
        POSITIVE_INT,
    ),
    Function::moving("mbedtls_ssl_write", Role::Write, WORD, Count::Returned, POSITIVE_INT),
    // The pointer is handed to functions of the program's own, or to the library's, for which it leads to a descriptor.
    Function::called("mbedtls_ssl_set_bio", Role::Bio).with_transports(Some(TRANSPORT), Some(TRANSPORT)),
    Function::returning("mbedtls_ssl_handshake", Role::Handshake, NO_ERROR),
    Function::called("mbedtls_ssl_session_reset", Role::Clear),
    Function::called("mbedtls_ssl_free", Role::End),
];

const TRANSPORT: Argument = Argument(1, WORD);

/// An `int` that is negative on failure.
pub(super) const NO_ERROR: Outcome = Outcome {
    width: INT,
    success: Success::NotNegative,
};

/// Recognises the library without names: its table of cipher suites has their numbers before their names, which no other
/// library spells so (`library/ssl_ciphersuites.c` of 2.28 to 4.0), and code loads a label of TLS.
pub(super) fn nameless(texts: &Texts<'_, '_>) -> Option<Nameless> {
    let named = SUITE_MARKS.iter().flat_map(|mark| texts.around(mark));
    let named = named.filter_map(|(place, name)| {
        let suite = SUITES.iter().find(|(_, known)| *known == name)?;
        Some((place, suite.0))
    });
    let named: BTreeMap<Vaddr, u32> = named.collect();
    let is_numbered = |place: Vaddr, number: u32| {
        let before = place.0.checked_sub(NAME_BEHIND_NUMBER).map(Vaddr);
        let stored = before.and_then(|before| texts.image.bytes_from(before)?.first_chunk());
        stored.is_some_and(|stored| u32::from_le_bytes(*stored) == number)
    };
    if named.is_empty() {
        return None;
    }
    let entries = texts.image.pointers().filter_map(|(place, name)| {
        let number = *named.get(&name)?;
        is_numbered(place, number).then_some(number)
    });
    let entries: BTreeSet<u32> = entries.collect();
    (entries.len() >= FEWEST_SUITES && texts.derives_keys()).then(|| Nameless {
        version: texts.stated(&VERSIONS),
    })
}

/// What the names of cipher suites have within them.
pub(super) const SUITE_MARKS: [&[u8]; 2] = [b"-WITH-AES-", b"TLS1-3-AES-"];

/// What comes before the version (`MBEDTLS_VERSION_STRING_FULL` of 2.28 and of 3.6).
pub(super) const VERSIONS: [&[u8]; 2] = [b"mbed TLS ", b"Mbed TLS "];

/// Cipher suites, of which every build has some.
const SUITES: [(u32, &[u8]); 14] = [
    (0x9c, b"TLS-RSA-WITH-AES-128-GCM-SHA256"),
    (0x9e, b"TLS-DHE-RSA-WITH-AES-128-GCM-SHA256"),
    (0xa8, b"TLS-PSK-WITH-AES-128-GCM-SHA256"),
    (0xae, b"TLS-PSK-WITH-AES-128-CBC-SHA256"),
    (0xc0a4, b"TLS-PSK-WITH-AES-128-CCM"),
    (0xc0a8, b"TLS-PSK-WITH-AES-128-CCM-8"),
    (0xc023, b"TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256"),
    (0xc02b, b"TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"),
    (0xc02c, b"TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"),
    (0xc02f, b"TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"),
    (0xc030, b"TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384"),
    (0xc0ae, b"TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8"),
    (0x1301, b"TLS1-3-AES-128-GCM-SHA256"),
    (0x1302, b"TLS1-3-AES-256-GCM-SHA384"),
];

/// Bytes from the number of a suite to the pointer to its name.
const NAME_BEHIND_NUMBER: u64 = 8;

const FEWEST_SUITES: usize = 2;
