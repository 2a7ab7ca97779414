//! From a call of a TLS library to the socket that the thread sends through within it, where nothing in the connection's object
//! is known to lead there.
//!
//! Mbed TLS, wolfSSL, s2n-tls and NSS encrypt and send in the call that a program makes, through functions that the program may
//! bring. What the thread sends meanwhile, on the same stack, is the connection's if it begins with a TLS record. All calls of
//! such a library are seen to end, so that nothing which is sent later counts.

use tracer_ebpf::{AddressSource, CIPHERTEXT_BYTES, CiphertextKey, ThreadState};

use super::{
    binding,
    introduction::introduce,
    message::{self, Message, Room},
    socket, thread,
};
use crate::{
    connection::current,
    maps::SITES,
    task::{current_task, user_stack_pointer},
};

/// The first bytes of a message, and then the record that begins with them.
union Beginning {
    room: Room,
    piece: CiphertextKey,
}

/// Finds the call that a send of the current thread is part of, and notes the socket of its connection.
#[inline(never)]
pub(crate) fn find<M: Message>(sock: u64, message: M) {
    let task = current_task();
    if thread::is_in_call(task)
        && let Some(sp) = user_stack_pointer()
        && let Some(call) = thread::current(task, sp)
    {
        // SAFETY: only this thread uses the value; the loader removes it when the thread has ended.
        let call = unsafe { &*call };
        if sends_within(call) && begins_with_record(message) {
            found(call, sock);
        }
    }
}

/// Returns whether all calls of the library are seen to end, and its connections send within them.
#[inline(always)]
fn sends_within(call: &ThreadState) -> bool {
    SITES
        .get(call.cookie.site())
        .is_some_and(|site| site.sends_within_calls != 0)
}

#[inline(never)]
fn begins_with_record<M: Message>(message: M) -> bool {
    let mut beginning = Beginning {
        room: [0; 2 * CIPHERTEXT_BYTES],
    };
    // SAFETY: on this program's stack, and any bytes are room.
    if message::first_bytes(message, unsafe { &mut beginning.room }) == 0 {
        return false;
    }
    // SAFETY: as above, and any bytes are a piece.
    unsafe { &beginning.piece }.record_bytes().is_some()
}

#[inline(never)]
fn found(call: &ThreadState, sock: u64) {
    let object = call.object;
    let Some(connection) = current(object, call.tgid, call.cookie) else {
        return;
    };
    let identity = &mut connection.identity;
    let leads_nowhere = identity.sock == 0 && identity.source.0 == AddressSource::UNKNOWN_LAYOUT.0;
    if !leads_nowhere || !socket::has_peer(sock) || binding::is_taken(sock, object, call.tgid) {
        return;
    }
    binding::bind(identity, &connection.flow, object, sock, AddressSource::NESTED_SEND);
    introduce(connection, object, sock);
}
