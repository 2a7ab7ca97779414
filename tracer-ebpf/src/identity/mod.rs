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

use core::ptr::{read_volatile, write_volatile};

use tracer_ebpf::{AddressSource, Identity};

use self::message::Message;
use crate::maps::WAYS;

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

/// How a message can show the connection that it is of.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// By the ciphertext that it begins with.
    Ciphertext,
    /// By the write of Go that it is part of.
    Nested,
    /// By the call of a library that it is sent in.
    WithinCall,
}

impl Way {
    /// Notes that a connection may be found this way.
    #[inline(always)]
    fn prepare(self) {
        if !self.is_prepared()
            && let Some(word) = WAYS.get_ptr_mut(self as u32)
        {
            // SAFETY: other CPUs may write the same word now.
            unsafe { write_volatile(word, 1) };
        }
    }

    /// Returns whether any connection may be found this way: most traces need no look-up for most ways.
    #[inline(always)]
    fn is_prepared(self) -> bool {
        // SAFETY: other CPUs may write the word now, as a whole.
        WAYS.get_ptr(self as u32)
            .is_some_and(|word| unsafe { read_volatile(word) } != 0)
    }
}

/// Notes that a connection of the current process goes through a socket, if the message is what the connection sends.
#[inline(always)]
pub(crate) fn find_sender<M: Message>(sock: u64, message: M) {
    if Way::Ciphertext.is_prepared() && ciphertext::is_awaited() {
        ciphertext::find(sock, message);
    }
    if Way::Nested.is_prepared() {
        nested::find(sock, message);
    }
    if Way::WithinCall.is_prepared() {
        within_call::find(sock, message);
    }
}
