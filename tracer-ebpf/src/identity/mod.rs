//! Who a connection is: descriptor, BIO, ciphertext, socket, addresses.
//!
//! Bottom up: `unix` and `socket` read the kernel's structures, `binding` keeps which connection goes through which
//! socket, `stream` how far a stream has come, `descriptor` gets from a TLS object to a socket, with the help of `net_conn` for Go, `introduction` reports the addresses, and `ciphertext` finds
//! the socket of an object whose descriptor is not known, with the help of `thread` and `message`. `nested` does so for Go, and `within_call` for libraries that send within their calls.

pub(crate) mod unix;
pub(crate) mod socket;
pub(crate) mod binding;
pub(crate) mod stream;
mod net_conn;
pub(crate) mod descriptor;
pub(crate) mod introduction;
pub(crate) mod thread;
pub(crate) mod message;
pub(crate) mod ciphertext;
pub(crate) mod nested;
pub(crate) mod within_call;

use tracer_ebpf::{AddressSource, Identity};

/// Notes the descriptor plus one that a call gave to a connection, or 0 when the connection has another BIO now: what was
/// known of its socket holds no longer.
#[inline(never)]
pub(crate) fn set_descriptor(identity: &mut Identity, noted_fd: u32) {
    identity.noted_fd = noted_fd;
    identity.introduced = 0;
    identity.sock = 0;
    identity.closing = 0;
    identity.source = AddressSource::UNKNOWN_LAYOUT;
}

/// Forgets who a connection is, but for the noted descriptor: a handshake clears the object after `SSL_set_fd`.
#[inline(always)]
pub(crate) fn reset(identity: &mut Identity, tgid: u32) {
    ciphertext::forget(identity, tgid);
    identity.sock = 0;
    identity.source = AddressSource::UNKNOWN_LAYOUT;
    identity.introduced = 0;
    identity.closing = 0;
}

/// Returns whether the addresses of a connection were reported.
#[inline(always)]
pub(crate) fn is_introduced(identity: &Identity) -> bool {
    identity.introduced != 0
}
