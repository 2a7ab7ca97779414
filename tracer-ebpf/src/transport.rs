//! How the sockets of connections begin and end, by the kernel's tracepoints: established, closed, reset, destroyed.
//!
//! A socket that begins to close marks its connection, whose TLS object means another connection once the process no
//! longer holds the socket. When the socket is destroyed, its figures are reported if the user asked for connections.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_ebpf::{KernelOffsets, Kind, SettingFlags, SocketEnd, SocketRecord, SocketState};

use crate::{
    identity::binding::mark_closing,
    lifecycle,
    maps::{OPENED, SOCKETS, settings},
    memory::read_field,
    record::{count, fill_header, reserve_end, submit},
};

/// States of a TCP socket (`include/net/tcp_states.h`).
const ESTABLISHED: u32 = 1;
const FIN_WAIT1: u32 = 4;
const CLOSE: u32 = 7;
const CLOSE_WAIT: u32 = 8;
const LAST_ACK: u32 = 9;
const LISTEN: u32 = 10;

/// Errors of a socket whose peer does not answer (`include/uapi/asm-generic/errno.h`).
const ENETUNREACH: u32 = 101;
const ETIMEDOUT: u32 = 110;
const EHOSTUNREACH: u32 = 113;

/// Notes that a socket enters a state.
#[inline(always)]
pub(crate) fn enter_state(sock: u64, state: u32) {
    if state == ESTABLISHED {
        if settings().contains(SettingFlags::CONNECTIONS) {
            opened(sock);
        }
    } else if state == LISTEN {
        if settings().contains(SettingFlags::PORTS) {
            lifecycle::listened(sock);
        }
    } else if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        changed(socket, sock, state);
    }
}

/// Forgets a socket that nobody holds any more and that has nothing left to send.
#[inline(always)]
pub(crate) fn destroy(sock: u64) {
    if let Some(socket) = SOCKETS.get_ptr(sock) {
        // SAFETY: the kernel destroys a socket once, and no other tracepoint of it fires meanwhile.
        let socket = unsafe { &*socket };
        mark_closing(socket, sock);
        if settings().contains(SettingFlags::CONNECTIONS) && socket.generation != 0 {
            report(socket);
        }
        let _removed = SOCKETS.remove(sock);
    }
}

#[inline(never)]
fn opened(sock: u64) {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    // A full table drops its oldest entry.
    let _inserted = OPENED.insert(sock, now, 0);
}

#[inline(never)]
fn changed(socket: *mut SocketState, sock: u64, state: u32) {
    // SAFETY: the kernel changes the state of a socket under its lock, so no other tracepoint of it fires now. A thread that
    // binds a connection to the socket may write other fields.
    let socket = unsafe { &mut *socket };
    match state {
        FIN_WAIT1 => ended(socket, SocketEnd::FIN_LOCAL),
        CLOSE_WAIT => ended(socket, SocketEnd::FIN_REMOTE),
        CLOSE if is_unanswered(sock) => ended(socket, SocketEnd::TIMEOUT),
        _ => {}
    }
    if state == FIN_WAIT1 || state == LAST_ACK || state == CLOSE {
        mark_closing(socket, sock);
    }
    if state == CLOSE && socket.closed == 0 {
        take_figures(socket, sock);
    }
}

/// Notes that a socket was reset.
#[inline(never)]
pub(crate) fn reset(sock: u64, how: SocketEnd) {
    if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        // SAFETY: as in [`changed`]; the kernel reports a reset under the same lock, or before the socket is anyone's.
        ended(unsafe { &mut *socket }, how);
    }
}

/// The first cause that is seen is how the socket ended.
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

/// Sends the figures of a socket.
#[inline(never)]
fn report(socket: &SocketState) {
    let Some(mut entry) = reserve_end::<SocketRecord>() else {
        count(socket.cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe {
        fill_header(
            &raw mut (*record).header,
            socket.generation,
            socket.object,
            socket.cookie,
        )
    };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::SOCKET;
    // The tracepoint fires in whatever process runs when the last packet comes.
    record.header.tgid = socket.tgid;
    record.header.tid = socket.tgid;
    record.opened_ns = socket.opened_ns;
    record.ended = socket.ended;
    record.reserved = [0; 7];
    record.received = socket.received;
    record.acknowledged = socket.acknowledged;
    record.rtt_us = socket.srtt_us >> 3;
    record.retransmits = socket.retransmits;
    submit(entry);
}

/// Reads the figures when the socket is closed: the kernel clears one that was reset before it destroys it.
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
