//! The functions of GnuTLS's interface that matter (`lib/record.c`, `lib/system_override.c` of 3.6 to 3.8).
//!
//! All return a negative number on failure; a function that reads returns zero at the end of the stream. A call that
//! failed with `GNUTLS_E_AGAIN` may be repeated with a null buffer of length zero, and then returns the number of bytes
//! of the first call: those bytes pass and cannot be read.

use crate::hook::Role;
use crate::libraries::function::{Argument, Count, Function, INT, WORD};
use crate::operand::{Outcome, Success};

pub(crate) const RECEIVE: &str = "gnutls_record_recv";
pub(crate) const RECEIVE_SEQ: &str = "gnutls_record_recv_seq";
pub(crate) const SEND: &str = "gnutls_record_send";
pub(crate) const SEND2: &str = "gnutls_record_send2";

/// The functions, in the order of a plan.
pub(crate) const FUNCTIONS: [Function; 12] = [
    Function::moving(RECEIVE, Role::Read, WORD, Count::Returned, COUNTED),
    Function::moving(RECEIVE_SEQ, Role::Read, WORD, Count::Returned, COUNTED),
    // Since 3.6.3 it calls `gnutls_record_send2`.
    Function::moving(SEND, Role::Write, WORD, Count::Returned, COUNTED),
    // Its further arguments are padding and flags.
    Function::moving(SEND2, Role::Write, WORD, Count::Returned, COUNTED),
    // While a session is corked, what sends only appends to a buffer and returns the length: the bytes are accepted,
    // and are counted then. This function hands that buffer to what sends, once the session is no longer corked.
    Function::returning("gnutls_record_uncork", Role::Flush, NO_ERROR),
    // It returns zero once it has appended all to what goes out with the handshake (3.6.5).
    Function::moving(
        "gnutls_record_send_early_data",
        Role::EarlyWrite,
        WORD,
        Count::All(LENGTH),
        ACCEPTED,
    ),
    Function::moving(
        "gnutls_record_recv_early_data",
        Role::EarlyRead,
        WORD,
        Count::Returned,
        COUNTED,
    ),
    Function::called("gnutls_transport_set_int2", Role::Descriptor)
        .with_transports(Some(Argument(1, INT)), Some(Argument(2, INT))),
    // The pointer is a descriptor unless the application brings functions of its own to send and receive with.
    Function::called("gnutls_transport_set_ptr", Role::Bio)
        .with_transports(Some(Argument(1, WORD)), Some(Argument(1, WORD))),
    Function::called("gnutls_transport_set_ptr2", Role::Bio)
        .with_transports(Some(Argument(1, WORD)), Some(Argument(2, WORD))),
    Function::returning("gnutls_handshake", Role::Handshake, NO_ERROR),
    Function::called("gnutls_deinit", Role::End),
];

const LENGTH: Argument = Argument(2, WORD);

/// An `ssize_t` that counts bytes.
pub(crate) const COUNTED: Outcome = Outcome {
    width: WORD,
    success: Success::Positive,
};

/// An `ssize_t` that is zero on success.
const ACCEPTED: Outcome = Outcome {
    width: WORD,
    success: Success::NotNegative,
};

/// An `int` that is negative on failure.
const NO_ERROR: Outcome = Outcome {
    width: INT,
    success: Success::NotNegative,
};

/// Stores what a session reads from, and writes to.
pub(crate) const GET_TRANSPORTS: &str = "gnutls_transport_get_ptr2";

/// Lists every name to look for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name).chain([GET_TRANSPORTS])
}
