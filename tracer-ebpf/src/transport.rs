//! The sockets that connections go through, until they are gone.
//!
//! In: sockets that were found to be a connection's, and what the kernel's tracepoints tell of them: they are
//! established, closed, reset, destroyed. Out: a mark on the connection, whose `SSL` object means another one once the
//! process holds the socket no longer; and, when the user asked for it, a record of what the transport had to say.
//! Refuses sockets that have no such tracepoints, unix ones among them: their connections are named, and not marked.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_ebpf::{
    AddressKey, AddressSource, ConnectionState, Cookie, KernelOffsets, Kind, SettingFlags, SocketEnd, SocketRecord,
    SocketState,
};

use crate::{
    capture, connection,
    lifecycle::count_total,
    maps::{CONNECTIONS, OPENED, SOCKETS, settings},
    memory::read_field,
    scope::current_task,
    socket::{family, is_internet},
};

/// States of a TCP socket (`include/net/tcp_states.h`).
const ESTABLISHED: u32 = 1;
const FIN_WAIT1: u32 = 4;
const CLOSE: u32 = 7;
const CLOSE_WAIT: u32 = 8;
const LAST_ACK: u32 = 9;

/// Errors of a socket whose peer does not answer (`include/uapi/asm-generic/errno.h`).
const ENETUNREACH: u32 = 101;
const ETIMEDOUT: u32 = 110;
const EHOSTUNREACH: u32 = 113;

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

/// The socket of a connection, while it is the connection's; else 0.
#[inline(always)]
pub(crate) fn sock_of(connection: &ConnectionState) -> u64 {
    let known = connection.sock != 0
        && SOCKETS
            .get_ptr(connection.sock)
            // SAFETY: a live map value.
            .is_some_and(|socket| unsafe { (*socket).generation } == connection.generation);
    if known { connection.sock } else { 0 }
}

/// Tells whether a socket is that of another connection of the process, which goes on.
#[inline(never)]
pub(crate) fn is_taken(sock: u64, ssl: u64, tgid: u32) -> bool {
    let Some(socket) = SOCKETS.get_ptr(sock) else {
        return false;
    };
    // SAFETY: a live map value.
    let socket = unsafe { &*socket };
    if socket.tgid != tgid || socket.ssl == ssl {
        return false;
    }
    CONNECTIONS
        .get_ptr(AddressKey::new(socket.ssl, tgid))
        // SAFETY: a live map value.
        .is_some_and(|other| unsafe { (*other).sock == sock && (*other).generation == socket.generation })
}

/// Notes which socket a connection goes through. One whose end is not noticed is not noted.
#[inline(never)]
pub(crate) fn bind(connection: &mut ConnectionState, ssl: u64, sock: u64, source: AddressSource) {
    connection.source = source;
    if !is_watched(sock) {
        return;
    }
    let _inserted = SOCKETS.insert(sock, &NEW, 0);
    let Some(socket) = SOCKETS.get_ptr_mut(sock) else {
        count_total(|totals| &raw mut totals.socket_table_full);
        return;
    };
    // SAFETY: a live map value.
    let socket = unsafe { &mut *socket };
    socket.ssl = ssl;
    socket.generation = connection.generation;
    socket.cookie = connection.cookie;
    socket.tgid = current_task().tgid;
    if settings().contains(SettingFlags::CONNECTIONS)
        && let Some(opened) = OPENED.get_ptr(sock)
    {
        // SAFETY: a value of the table; it may be another socket's by now only if this one is gone.
        socket.opened_ns = unsafe { *opened };
    }
    connection.sock = sock;
}

/// Tells whether the end of a socket is noticed.
#[inline(always)]
fn is_watched(sock: u64) -> bool {
    is_internet(family(sock)) && read_field(sock, |offsets| &raw const offsets.sock_protocol) == Some(IPPROTO_TCP)
}

/// Tells whether the process holds a connection's socket no longer.
#[inline(never)]
pub(crate) fn is_gone(connection: &ConnectionState) -> bool {
    let sock = sock_of(connection);
    sock == 0 || read_field(sock, |offsets| &raw const offsets.sock_socket) == Some(0_u64)
}

/// Notes when a socket is established, and who ends it.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub(crate) fn socket_state(ctx: RawTracePointContext) -> i32 {
    let (sock, state): (u64, u32) = (ctx.arg(0), ctx.arg(2));
    if state == ESTABLISHED {
        if settings().contains(SettingFlags::CONNECTIONS) {
            opened(sock);
        }
    } else if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        changed(socket, sock, state);
    }
    0
}

/// Forgets a socket: nobody holds it any more, and it has nothing left to send.
#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
pub(crate) fn socket_destroyed(ctx: RawTracePointContext) -> i32 {
    let sock: u64 = ctx.arg(0);
    if let Some(socket) = SOCKETS.get_ptr(sock) {
        // SAFETY: a live map value.
        let socket = unsafe { &*socket };
        mark(socket, sock);
        if settings().contains(SettingFlags::CONNECTIONS) {
            report(socket);
        }
        let _removed = SOCKETS.remove(sock);
    }
    0
}

/// Notes that a peer reset a connection.
#[raw_tracepoint(tracepoint = "tcp_receive_reset")]
pub(crate) fn reset_received(ctx: RawTracePointContext) -> i32 {
    reset(ctx.arg(0), SocketEnd::RESET_REMOTE);
    0
}

/// Notes that the kernel reset a connection.
#[raw_tracepoint(tracepoint = "tcp_send_reset")]
pub(crate) fn reset_sent(ctx: RawTracePointContext) -> i32 {
    reset(ctx.arg(0), SocketEnd::RESET_LOCAL);
    0
}

#[inline(never)]
fn opened(sock: u64) {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    // An entry that finds no room takes the oldest one's.
    let _inserted = OPENED.insert(sock, now, 0);
}

#[inline(never)]
fn changed(socket: *mut SocketState, sock: u64, state: u32) {
    // SAFETY: the caller hands over a live map value.
    let socket = unsafe { &mut *socket };
    match state {
        FIN_WAIT1 => ended(socket, SocketEnd::FIN_LOCAL),
        CLOSE_WAIT => ended(socket, SocketEnd::FIN_REMOTE),
        CLOSE if is_unanswered(sock) => ended(socket, SocketEnd::TIMEOUT),
        _ => {}
    }
    if state == FIN_WAIT1 || state == LAST_ACK || state == CLOSE {
        mark(socket, sock);
    }
    if state == CLOSE && socket.closed == 0 {
        take_figures(socket, sock);
    }
}

#[inline(never)]
fn reset(sock: u64, how: SocketEnd) {
    if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        // SAFETY: a live map value.
        ended(unsafe { &mut *socket }, how);
    }
}

/// What came first is how it ended.
#[inline(always)]
fn ended(socket: &mut SocketState, how: SocketEnd) {
    if socket.ended.0 == SocketEnd::UNKNOWN.0 {
        socket.ended = how;
    }
}

#[inline(always)]
fn is_unanswered(sock: u64) -> bool {
    matches!(
        read_field::<u32>(sock, |offsets| &raw const offsets.sock_err),
        Some(ENETUNREACH | ETIMEDOUT | EHOSTUNREACH)
    )
}

/// Marks the connection that goes through a socket, unless its `SSL` object has become another one's: from now on it is
/// worth a look whether the socket is gone.
#[inline(never)]
fn mark(socket: &SocketState, sock: u64) {
    let Some(connection) = CONNECTIONS.get_ptr_mut(AddressKey::new(socket.ssl, socket.tgid)) else {
        return;
    };
    // SAFETY: a live map value; only this field is written.
    let connection = unsafe { &mut *connection };
    if connection.generation == socket.generation && connection.sock == sock {
        connection.closing = 1;
    }
}

/// Sends what the transport had to say.
#[inline(never)]
fn report(socket: &SocketState) {
    let Some(mut entry) = capture::reserve_end::<SocketRecord>() else {
        capture::count(socket.cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { connection::fill_header(&raw mut (*record).header, socket.generation, socket.ssl, socket.cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::SOCKET;
    // The last packet may come while any process runs.
    record.header.tgid = socket.tgid;
    record.header.tid = socket.tgid;
    record.opened_ns = socket.opened_ns;
    record.ended = socket.ended;
    record.reserved = [0; 7];
    record.received = socket.received;
    record.acknowledged = socket.acknowledged;
    record.rtt_us = socket.srtt_us >> 3;
    record.retransmits = socket.retransmits;
    capture::submit(entry);
}

/// Takes what the transport has to say when the socket is closed: one that was reset is cleared before it is destroyed.
#[inline(always)]
fn take_figures(socket: &mut SocketState, sock: u64) {
    socket.closed = 1;
    socket.received = figure(sock, |offsets| &raw const offsets.tcp_received);
    socket.acknowledged = figure(sock, |offsets| &raw const offsets.tcp_acknowledged);
    socket.srtt_us = figure(sock, |offsets| &raw const offsets.tcp_srtt);
    socket.retransmits = figure(sock, |offsets| &raw const offsets.tcp_retransmits);
}

#[inline(always)]
fn figure<T: Default>(sock: u64, pick: impl FnOnce(&KernelOffsets) -> *const u32) -> T {
    read_field(sock, pick).unwrap_or_default()
}
