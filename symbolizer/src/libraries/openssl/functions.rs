//! The functions of OpenSSL's interface that matter.
//!
//! `SSL_peek` is not among them: it hands out bytes that `SSL_read` hands out again.

use crate::hook::{HookKind, Role};
use crate::libraries::function::{Argument, Count, Function, INT, POSITIVE_INT, WORD};
use crate::operand::{Outcome, Success};

pub(crate) const READ: &str = "SSL_read";
pub(crate) const WRITE: &str = "SSL_write";
pub(crate) const READ_EX: &str = "SSL_read_ex";
pub(crate) const WRITE_EX: &str = "SSL_write_ex";
pub(crate) const WRITE_EX2: &str = "SSL_write_ex2";
pub(crate) const BIO_WRITE: &str = "BIO_write";
/// What BoringSSL hands its ciphertext to in newer versions (curl_cffi 0.17.0).
pub(crate) const BIO_WRITE_EX: &str = "BIO_write_ex";

/// The functions, in the order of a plan.
pub(crate) const FUNCTIONS: [Function; 18] = [
    // The count is the `int` that they return, negative or zero on failure.
    Function::moving(READ, Role::Read, INT, Count::Returned, POSITIVE_INT),
    Function::moving(WRITE, Role::Write, INT, Count::Returned, POSITIVE_INT),
    // They return 1 on success, and store the count (OpenSSL 1.1.1, LibreSSL, AWS-LC).
    Function::moving(READ_EX, Role::Read, WORD, STORED_FOURTH, POSITIVE_INT),
    Function::moving(WRITE_EX, Role::Write, WORD, STORED_FOURTH, POSITIVE_INT),
    // Its fourth argument is flags (OpenSSL 3.3).
    Function::moving(WRITE_EX2, Role::Write, WORD, STORED_FIFTH, POSITIVE_INT),
    Function::returning("SSL_set_fd", Role::Descriptor, POSITIVE_INT)
        .with_transports(Some(DESCRIPTOR), Some(DESCRIPTOR)),
    Function::returning("SSL_set_rfd", Role::Descriptor, POSITIVE_INT).with_transports(Some(DESCRIPTOR), None),
    Function::returning("SSL_set_wfd", Role::Descriptor, POSITIVE_INT).with_transports(None, Some(DESCRIPTOR)),
    Function::called("SSL_set_bio", Role::Bio).with_transports(Some(BIO), Some(Argument(2, WORD))),
    Function::called("SSL_set0_rbio", Role::Bio).with_transports(Some(BIO), None),
    Function::called("SSL_set0_wbio", Role::Bio).with_transports(None, Some(BIO)),
    Function::called("SSL_free", Role::End),
    Function::called("SSL_clear", Role::Clear),
    Function::returning("SSL_do_handshake", Role::Handshake, POSITIVE_INT),
    // It takes a file descriptor and an offset before the length, and returns an `ossl_ssize_t` (OpenSSL 3.0).
    Function::returning("SSL_sendfile", Role::Sendfile, COUNTED_BYTES).with_count(Argument(3, WORD), Count::Returned),
    // Both call the function that moves the bytes.
    Function::returning("SSL_write_early_data", Role::EarlyWrite, POSITIVE_INT),
    Function::called("SSL_read_early_data", Role::EarlyRead),
    taking_ciphertext(BIO_WRITE, INT),
];

/// What takes BoringSSL's ciphertext in place of `BIO_write`. OpenSSL's libssl does not call it.
pub(crate) const TAKES_CIPHERTEXT: Function = taking_ciphertext(BIO_WRITE_EX, WORD);

/// Describes a function of the crypto library that takes ciphertext; its first argument is a BIO.
const fn taking_ciphertext(name: &'static str, length: u8) -> Function {
    Function {
        kind: HookKind::Entry,
        count: None,
        result: None,
        ..Function::moving(name, Role::Ciphertext, length, Count::Returned, POSITIVE_INT)
    }
}

const STORED_FOURTH: Count = Count::Behind(Argument(3, WORD));
const STORED_FIFTH: Count = Count::Behind(Argument(4, WORD));
const DESCRIPTOR: Argument = Argument(1, INT);
const BIO: Argument = Argument(1, WORD);
const COUNTED_BYTES: Outcome = Outcome {
    width: WORD,
    success: Success::Positive,
};

/// What `SSL_read` and `SSL_read_ex` share.
pub(crate) const READ_INTERNAL: &str = "ssl_read_internal";
/// What `SSL_write` and its `_ex` forms share.
pub(crate) const WRITE_INTERNAL: &str = "ssl_write_internal";
/// What tries again to send a record, up to OpenSSL 3.1.
pub(crate) const WRITE_PENDING: &str = "ssl3_write_pending";
/// What cuts into records what is written.
pub(crate) const WRITE_BYTES: &str = "ssl3_write_bytes";
/// What delivers the bytes of records.
pub(crate) const READ_BYTES: &str = "ssl3_read_bytes";
/// What must not share the function behind `SSL_read`.
pub(crate) const PEEK: &str = "SSL_peek";

/// BoringSSL and AWS-LC alone can grease a handshake (RFC 8701).
pub(crate) const GREASE: &str = "SSL_CTX_set_grease_enabled";
/// LibreSSL alone loads certificates from memory by this name, for its libtls.
pub(crate) const VERIFY_MEMORY: &str = "SSL_CTX_load_verify_mem";

/// The functions that return a table; those of fixed versions are there in some builds only.
pub(crate) const METHODS: [&str; 6] = [
    "TLS_method",
    "TLS_server_method",
    "TLS_client_method",
    "TLSv1_2_method",
    "TLSv1_2_server_method",
    "TLSv1_2_client_method",
];

/// Functions that return fields of structures.
pub(crate) const RBIO: &str = "SSL_get_rbio";
pub(crate) const WBIO: &str = "SSL_get_wbio";
pub(crate) const VERSION: &str = "SSL_version";
pub(crate) const EARLY_DATA_STATUS: &str = "SSL_get_early_data_status";
pub(crate) const SESSION: &str = "SSL_get_session";
pub(crate) const CURRENT_CIPHER: &str = "SSL_get_current_cipher";
pub(crate) const CIPHER_NAME: &str = "SSL_CIPHER_get_name";
pub(crate) const SELECTED_ALPN: &str = "SSL_get0_alpn_selected";
pub(crate) const SERVER_NAME: &str = "SSL_get_servername";
pub(crate) const BIO_METHOD_TYPE: &str = "BIO_method_type";
pub(crate) const BIO_DATA: &str = "BIO_get_data";
pub(crate) const BIO_INIT: &str = "BIO_get_init";
pub(crate) const BIO_SHUTDOWN: &str = "BIO_get_shutdown";
pub(crate) const BIO_RETRY_REASON: &str = "BIO_get_retry_reason";
pub(crate) const SOCKET_METHOD: &str = "BIO_s_socket";

/// Returns the table of a connection's functions.
pub(crate) const METHOD: &str = "SSL_get_ssl_method";
/// Functions that set which function agrees on keys, taken from the table.
pub(crate) const SETS_HANDSHAKE: [&str; 2] = ["SSL_set_accept_state", "SSL_set_connect_state"];
/// The names to look for beside those of [`FUNCTIONS`].
const OTHERS: [&str; 24] = [
    BIO_WRITE_EX,
    READ_BYTES,
    READ_INTERNAL,
    WRITE_INTERNAL,
    WRITE_PENDING,
    WRITE_BYTES,
    PEEK,
    GREASE,
    VERIFY_MEMORY,
    RBIO,
    WBIO,
    VERSION,
    EARLY_DATA_STATUS,
    SESSION,
    CURRENT_CIPHER,
    CIPHER_NAME,
    SELECTED_ALPN,
    SERVER_NAME,
    BIO_METHOD_TYPE,
    BIO_DATA,
    BIO_INIT,
    BIO_SHUTDOWN,
    BIO_RETRY_REASON,
    SOCKET_METHOD,
];

/// Lists every name to look for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let functions = FUNCTIONS.iter().map(|function| function.name).chain(OTHERS);
    functions.chain([METHOD]).chain(SETS_HANDSHAKE).chain(METHODS)
}

/// Returns the function of that name, and its place in the table.
pub(crate) fn function(name: &str) -> Option<(usize, &'static Function)> {
    const TABLE: &[Function] = &FUNCTIONS;
    TABLE.iter().enumerate().find(|(_, function)| function.name == name)
}
