//! A connection, from the first call on an `SSL` object to its end.
//!
//! Keyed by process and `SSL` address; a generation tells apart the connections that had the same address. Positions
//! need no atomics: a library's caller must not use one `SSL` object in two threads at once. The table is not an LRU
//! one, which could hand an entry to another connection while a preempted program still holds it.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_ebpf::{
    AddressKey, AddressSource, CIPHERTEXT_BYTES, CallState, CiphertextKey, ConnectionState, Cookie, Direction,
    EarlyState, EndRecord, Kind, RecordFlags, RecordHeader, Role,
};

use crate::{capture, ciphertext, lifecycle, maps::CONNECTIONS, scope::current_task, transport};

/// In .rodata and not on the stack, which is scarce.
static NEW: ConnectionState = ConnectionState {
    generation: 0,
    positions: [0; 2],
    reported_ns: [0; 2],
    reported_bytes: [0; 2],
    early_bytes: 0,
    cookie: Cookie(0),
    sock: 0,
    cleared_ns: 0,
    handshake_began_ns: 0,
    handshake_ns: 0,
    pending_ns: 0,
    piece: CiphertextKey {
        bytes: [0; CIPHERTEXT_BYTES],
        tgid: 0,
        reserved: 0,
    },
    noted_fd: 0,
    introduced: 0,
    heard: 0,
    told: 0,
    closing: 0,
    source: AddressSource::UNKNOWN_LAYOUT,
    from_start: 0,
    unknown: [0; 2],
    early: EarlyState::NONE,
    reserved: [0; 7],
};

/// Finds the connection that an `SSL` object is now, or begins it; `None`, and counted, when the table takes no more.
#[inline(always)]
pub(crate) fn current(ssl: u64, tgid: u32, cookie: Cookie) -> Option<*mut ConnectionState> {
    let Some(connection) = find_or_begin(&AddressKey::new(ssl, tgid)) else {
        capture::count(cookie, |counters| &raw mut counters.connection_table_full, 1);
        return None;
    };
    // SAFETY: a live map value; no other thread uses this SSL object now.
    let state = unsafe { &mut *connection };
    if state.closing != 0 && transport::is_gone(state) {
        // Whatever comes now goes through another socket.
        report_end(connection, ssl, cookie);
        begin_anew(connection, tgid);
        state.noted_fd = 0;
    }
    if state.cookie.0 == 0 {
        state.cookie = cookie;
    }
    Some(connection)
}

/// Finds a connection, or begins it; `None` when the table takes no more. One that is older than the program which runs
/// in the process now is not found: its end is known by now, and the loader has yet to remove it.
#[inline(always)]
fn find_or_begin(key: &AddressKey) -> Option<*mut ConnectionState> {
    if let Some(found) = CONNECTIONS.get_ptr_mut(key)
        // SAFETY: a live map value; no other thread uses this SSL object now.
        && unsafe { (*found).generation } >= lifecycle::since_ns(key.tgid)
    {
        return Some(found);
    }
    let _inserted = CONNECTIONS.insert(key, &NEW, 0);
    let connection = CONNECTIONS.get_ptr_mut(key)?;
    // SAFETY: a live map value; no other thread uses this SSL object now.
    unsafe { (*connection).generation = bpf_ktime_get_ns() };
    Some(connection)
}

/// Notes the descriptor that `SSL_set_fd` gave to a connection.
#[inline(always)]
pub(crate) fn note_descriptor(tgid: u32, ssl: u64, fd: i32, cookie: Cookie) {
    if let Some(connection) = current(ssl, tgid, cookie) {
        set_descriptor(connection, (fd as u32).wrapping_add(1));
    }
}

/// Forgets the noted descriptor: the connection has another BIO now.
#[inline(always)]
pub(crate) fn forget_descriptor(tgid: u32, ssl: u64) {
    if let Some(connection) = CONNECTIONS.get_ptr_mut(&AddressKey::new(ssl, tgid)) {
        set_descriptor(connection, 0);
    }
}

#[inline(never)]
fn set_descriptor(connection: *mut ConnectionState, noted_fd: u32) {
    // SAFETY: the caller hands over a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &mut *connection };
    connection.noted_fd = noted_fd;
    connection.introduced = 0;
    connection.sock = 0;
    connection.closing = 0;
    connection.source = AddressSource::UNKNOWN_LAYOUT;
}

/// Ends a connection: `SSL_free` forgets it, `SSL_clear` begins it anew on the same descriptor.
#[inline(always)]
pub(crate) fn end(tgid: u32, ssl: u64, cookie: Cookie) {
    if cookie.role() == Role::CLEAR {
        clear(tgid, ssl, cookie);
        return;
    }
    let key = AddressKey::new(ssl, tgid);
    if let Some(connection) = CONNECTIONS.get_ptr_mut(&key) {
        report_end(connection, ssl, cookie);
        ciphertext::forget(connection, tgid);
        let _removed = CONNECTIONS.remove(&key);
    }
}

/// Begins a connection anew, or has it known from now on: whether a call clears it tells whether that call is its first.
#[inline(never)]
fn clear(tgid: u32, ssl: u64, cookie: Cookie) {
    let Some(connection) = find_or_begin(&AddressKey::new(ssl, tgid)) else {
        return;
    };
    report_end(connection, ssl, cookie);
    begin_anew(connection, tgid);
    // SAFETY: a live map value; no other thread uses this SSL object now.
    unsafe { (*connection).cleared_ns = (*connection).generation };
}

/// Notes that a call that was seen from its entry has cleared its connection, which it does first thing: whatever the
/// connection moves is seen from its first byte on. A clearing in a call that was not seen from its entry proves nothing,
/// since what that call moves is not seen either.
#[inline(never)]
pub(crate) fn note_start(call: &CallState) {
    if let Some(connection) = CONNECTIONS.get_ptr_mut(&AddressKey::new(call.ssl, call.tgid)) {
        // SAFETY: a live map value; no other thread uses this SSL object now.
        mark_start(unsafe { &mut *connection }, call);
    }
}

/// As [`note_start`], for the call's connection.
#[inline(always)]
pub(crate) fn mark_start(connection: &mut ConnectionState, call: &CallState) {
    if connection.cleared_ns > call.began_ns && connection.positions[0] | connection.positions[1] == 0 {
        connection.from_start = 1;
    }
}

/// Ends a connection of which a direction has no stretch left, and begins it anew: from its middle, as if joined late.
#[inline(never)]
pub(crate) fn renew(connection: *mut ConnectionState, ssl: u64, cookie: Cookie) {
    report_end(connection, ssl, cookie);
    begin_anew(connection, current_task().tgid);
}

/// Resets what `SSL_clear` resets; a handshake begins with it, so what `SSL_set_fd` named before it stays.
#[inline(never)]
fn begin_anew(connection: *mut ConnectionState, tgid: u32) {
    ciphertext::forget(connection, tgid);
    // SAFETY: a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &mut *connection };
    // SAFETY: the helper takes no arguments.
    connection.generation = unsafe { bpf_ktime_get_ns() };
    connection.positions = [0; 2];
    connection.reported_ns = [0; 2];
    connection.reported_bytes = [0; 2];
    connection.from_start = 0;
    connection.unknown = [0; 2];
    connection.early_bytes = 0;
    // A call that writes early data clears its connection first; an object that was a server's stays one.
    if connection.early != EarlyState::WRITING && connection.early != EarlyState::SERVER {
        connection.early = EarlyState::NONE;
    }
    connection.sock = 0;
    connection.source = AddressSource::UNKNOWN_LAYOUT;
    connection.cleared_ns = 0;
    connection.handshake_began_ns = 0;
    connection.handshake_ns = 0;
    connection.introduced = 0;
    connection.heard = 0;
    connection.told = 0;
    connection.closing = 0;
}

/// Sends the end of a connection that moved bytes, or that was told of; of others nobody has heard.
#[inline(never)]
fn report_end(connection: *const ConnectionState, ssl: u64, cookie: Cookie) {
    // SAFETY: the caller hands over a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &*connection };
    if connection.positions[0] | connection.positions[1] | u64::from(connection.heard) == 0 {
        return;
    }
    let Some(mut entry) = capture::reserve::<EndRecord>() else {
        capture::count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { fill_header(&raw mut (*record).header, connection.generation, ssl, cookie) };
    // SAFETY: as above.
    unsafe { (*record).header.kind = Kind::END };
    // SAFETY: as above.
    unsafe { (*record).read = connection.positions[0] };
    // SAFETY: as above.
    unsafe { (*record).written = connection.positions[1] };
    capture::submit(entry);
}

/// Fills in what every record begins with, field by field: a header on the stack would be too large for it. The kind
/// is the caller's to set.
///
/// # Safety
///
/// `header` must be writable.
#[inline(never)]
pub(crate) unsafe fn fill_header(header: *mut RecordHeader, generation: u64, ssl: u64, cookie: Cookie) {
    let task = current_task();
    // SAFETY: the caller vouches for the pointer; the helper takes no arguments.
    unsafe {
        (*header).ts_ns = bpf_ktime_get_ns();
        (*header).cookie = cookie;
        (*header).ssl = ssl;
        (*header).generation = generation;
        (*header).tgid = task.tgid;
        (*header).tid = task.tid;
        (*header).direction = Direction::READ;
        (*header).flags = RecordFlags(0);
        (*header).reserved = 0;
    }
}
