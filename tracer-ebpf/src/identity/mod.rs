//! Who a connection is: descriptor, BIO, ciphertext, socket, addresses.
//!
//! Bottom up: `unix` and `socket` read the kernel's structures, `binding` keeps which connection goes through which
//! socket, `descriptor` gets from a TLS object to a socket, `introduction` reports the addresses, and `ciphertext` finds
//! the socket of an object whose descriptor is not known, with the help of `thread` and `message`.

pub(crate) mod unix;
pub(crate) mod socket;
pub(crate) mod binding;
pub(crate) mod descriptor;
pub(crate) mod introduction;
pub(crate) mod thread;
pub(crate) mod message;
pub(crate) mod ciphertext;

use tracer_ebpf::{AddressSource, ConnectionState};

/// Notes the descriptor plus one that a call gave to a connection, or 0 when the connection has another BIO now: what was
/// known of its socket holds no longer.
#[inline(never)]
pub(crate) fn set_descriptor(connection: &mut ConnectionState, noted_fd: u32) {
    connection.noted_fd = noted_fd;
    connection.introduced = 0;
    connection.sock = 0;
    connection.closing = 0;
    connection.source = AddressSource::UNKNOWN_LAYOUT;
}

/// Forgets who a connection is, but for the noted descriptor: a handshake clears the object after `SSL_set_fd`.
#[inline(always)]
pub(crate) fn reset(connection: &mut ConnectionState, tgid: u32) {
    ciphertext::forget(connection, tgid);
    connection.sock = 0;
    connection.source = AddressSource::UNKNOWN_LAYOUT;
    connection.introduced = 0;
    connection.closing = 0;
}
