//! A connection, from the first call on an `SSL` object to its end.
//!
//! Keyed by process and `SSL` address; a generation tells apart the connections that had the same address. Positions
//! need no atomics: a library's caller must not use one `SSL` object in two threads at once. The table is not an LRU
//! one, which could hand an entry to another connection while a preempted program still holds it.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_ebpf::{AddressKey, ConnectionState, Cookie, Direction, EndRecord, Kind, RecordFlags, RecordHeader, Role};

use crate::{capture, maps::CONNECTIONS, scope::current_task};

/// In .rodata and not on the stack, which is scarce.
static NEW: ConnectionState = ConnectionState {
    generation: 0,
    positions: [0; 2],
    reported_ns: [0; 2],
    noted_fd: 0,
    introduced: 0,
};

/// Finds a connection, or begins it; `None` when the table takes no more.
#[inline(always)]
pub(crate) fn find_or_begin(key: &AddressKey) -> Option<*mut ConnectionState> {
    if let Some(found) = CONNECTIONS.get_ptr_mut(key) {
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
pub(crate) fn note_descriptor(tgid: u32, ssl: u64, fd: i32) {
    if let Some(connection) = find_or_begin(&AddressKey::new(ssl, tgid)) {
        // SAFETY: a live map value; no other thread uses this SSL object now.
        unsafe { (*connection).noted_fd = (fd as u32).wrapping_add(1) };
        // SAFETY: as above.
        unsafe { (*connection).introduced = 0 };
    }
}

/// Forgets the noted descriptor: the connection has another BIO now.
#[inline(always)]
pub(crate) fn forget_descriptor(tgid: u32, ssl: u64) {
    if let Some(connection) = CONNECTIONS.get_ptr_mut(&AddressKey::new(ssl, tgid)) {
        // SAFETY: a live map value; no other thread uses this SSL object now.
        unsafe { (*connection).noted_fd = 0 };
        // SAFETY: as above.
        unsafe { (*connection).introduced = 0 };
    }
}

/// Ends a connection: `SSL_free` forgets it, `SSL_clear` begins it anew on the same descriptor.
#[inline(always)]
pub(crate) fn end(tgid: u32, ssl: u64, cookie: Cookie) {
    let key = AddressKey::new(ssl, tgid);
    let Some(connection) = CONNECTIONS.get_ptr_mut(&key) else {
        return;
    };
    report_end(connection, ssl, cookie);
    if cookie.role() == Role::CLEAR {
        begin_anew(connection);
    } else {
        let _removed = CONNECTIONS.remove(&key);
    }
}

/// Resets what `SSL_clear` resets; a handshake begins with it, so what `SSL_set_fd` named before it stays.
#[inline(always)]
fn begin_anew(connection: *mut ConnectionState) {
    // SAFETY: a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &mut *connection };
    // SAFETY: the helper takes no arguments.
    connection.generation = unsafe { bpf_ktime_get_ns() };
    connection.positions = [0; 2];
    connection.reported_ns = [0; 2];
    connection.introduced = 0;
}

/// Sends the end of a connection that moved bytes; of one that moved none nobody has heard.
#[inline(never)]
fn report_end(connection: *const ConnectionState, ssl: u64, cookie: Cookie) {
    // SAFETY: the caller hands over a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &*connection };
    if connection.positions[0] | connection.positions[1] == 0 {
        return;
    }
    let Some(mut entry) = capture::reserve::<EndRecord>() else {
        capture::count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { fill_header(&raw mut (*record).header, connection, ssl, cookie) };
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
pub(crate) unsafe fn fill_header(header: *mut RecordHeader, connection: &ConnectionState, ssl: u64, cookie: Cookie) {
    let task = current_task();
    // SAFETY: the caller vouches for the pointer; the helper takes no arguments.
    unsafe {
        (*header).ts_ns = bpf_ktime_get_ns();
        (*header).cookie = cookie;
        (*header).ssl = ssl;
        (*header).generation = connection.generation;
        (*header).tgid = task.tgid;
        (*header).tid = task.tid;
        (*header).direction = Direction::READ;
        (*header).flags = RecordFlags(0);
        (*header).reserved = 0;
    }
}
