//! Which kernel socket a connection goes through, until that socket is destroyed.
//!
//! A connection knows its socket by the address of the `struct sock`, and the table of sockets leads back. Both sides name
//! the generation: an address is used again, by sockets and by TLS objects. Sockets whose end no tracepoint reports, unix
//! sockets among them, are not in the table: their connections have addresses, and are not marked as closing.

use tracer_ebpf::{AddressKey, AddressSource, ConnectionState, Cookie, SettingFlags, SocketEnd, SocketState};

use super::socket::{family, is_internet};
use crate::{
    maps::{CONNECTIONS, OPENED, SOCKETS, settings},
    memory::read_field,
    record::count_total,
    task::current_task,
};

const IPPROTO_TCP: u16 = 6;

/// In .rodata and not on the stack.
static NEW: SocketState = SocketState {
    ssl: 0,
    generation: 0,
    cookie: Cookie(0),
    opened_ns: 0,
    received: 0,
    acknowledged: 0,
    srtt_us: 0,
    retransmits: 0,
    tgid: 0,
    ended: SocketEnd::UNKNOWN,
    closed: 0,
    reserved: [0; 2],
};

/// Returns the socket of a connection, while it is the connection's; else 0.
#[inline(always)]
pub(crate) fn sock_of(connection: &ConnectionState) -> u64 {
    let known = connection.sock != 0
        && SOCKETS
            .get_ptr(connection.sock)
            // SAFETY: other CPUs may hold the value now; the generation is one word, which is written once.
            .is_some_and(|socket| unsafe { (*socket).generation } == connection.generation);
    if known { connection.sock } else { 0 }
}

/// Returns whether a socket is that of another connection of the process, which goes on.
#[inline(never)]
pub(super) fn is_taken(sock: u64, object: u64, tgid: u32) -> bool {
    let Some(socket) = SOCKETS.get_ptr(sock) else {
        return false;
    };
    // SAFETY: tracepoints on other CPUs may hold the value now; they write none of the fields read here.
    let socket = unsafe { &*socket };
    if socket.tgid != tgid || socket.ssl == object {
        return false;
    }
    CONNECTIONS
        .get_ptr(AddressKey::new(socket.ssl, tgid))
        // SAFETY: the thread that uses the other object may change both words now: then they no longer match.
        .is_some_and(|other| unsafe { (*other).sock == sock && (*other).generation == socket.generation })
}

/// Notes which socket a connection goes through, if the socket's end will be reported.
#[inline(never)]
pub(super) fn bind(connection: &mut ConnectionState, object: u64, sock: u64, source: AddressSource) {
    connection.source = source;
    if !is_watched(sock) {
        return;
    }
    let _inserted = SOCKETS.insert(sock, &NEW, 0);
    let Some(socket) = SOCKETS.get_ptr_mut(sock) else {
        count_total(|totals| &raw mut totals.socket_table_full);
        return;
    };
    // SAFETY: a tracepoint on another CPU may find the value as soon as it is in the table. Until the generation matches
    // it changes no connection, and it writes none of the fields written here.
    let socket = unsafe { &mut *socket };
    socket.ssl = object;
    socket.generation = connection.generation;
    socket.cookie = connection.cookie;
    socket.tgid = current_task().tgid;
    if settings().contains(SettingFlags::CONNECTIONS)
        && let Some(opened) = OPENED.get_ptr(sock)
    {
        // SAFETY: the table may hand the value to another socket now, but only if this one is gone.
        socket.opened_ns = unsafe { *opened };
    }
    connection.sock = sock;
}

/// Returns whether a tracepoint reports the end of a socket.
#[inline(always)]
fn is_watched(sock: u64) -> bool {
    is_internet(family(sock)) && read_field(sock, |offsets| &raw const offsets.sock_protocol) == Some(IPPROTO_TCP)
}

/// Returns whether the process no longer holds a connection's socket.
#[inline(never)]
pub(crate) fn is_gone(connection: &ConnectionState) -> bool {
    let sock = sock_of(connection);
    sock == 0 || read_field(sock, |offsets| &raw const offsets.sock_socket) == Some(0_u64)
}

/// Marks the connection that goes through a socket as closing, unless its object has become another one's: from now on
/// each call checks whether the process still holds the socket.
#[inline(never)]
pub(crate) fn mark_closing(socket: &SocketState, sock: u64) {
    let Some(connection) = CONNECTIONS.get_ptr_mut(AddressKey::new(socket.ssl, socket.tgid)) else {
        return;
    };
    // SAFETY: the thread that uses the object may hold the value now. The mark is one word and is written through the
    // pointer; should the object become another's meanwhile, the mark costs that one a check.
    unsafe {
        if (*connection).generation == socket.generation && (*connection).sock == sock {
            (*connection).closing = 1;
        }
    }
}
