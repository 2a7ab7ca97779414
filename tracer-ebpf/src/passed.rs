//! Bytes that pass and that no data record brings.
//!
//! In: calls whose bytes the process never held, that could not be noted, or whose count cannot be read. Out: a record of
//! each, and positions that have gone on: by the number of bytes, or into the next stretch where nobody knows the number.
//! The positions alone tell of the loss, so a record that finds no room is missed by nobody.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_ebpf::{
    CallState, ConnectionState, Cookie, Direction, EarlyState, Kind, PassedCause, PassedRecord, RecordFlags, STRETCH,
    behind_unknown,
};

use crate::{capture, connection};

/// Tells of the bytes that a call moved, whose number is known.
#[inline(never)]
pub(crate) fn tell_known(call: &CallState, connection: &ConnectionState) {
    let direction = call.direction();
    let position = connection.positions[side(direction)];
    let Some(mut entry) = capture::reserve::<PassedRecord>() else {
        capture::count(call.cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { describe(record, connection, call.ssl, call.cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.header.direction = direction;
    record.began_ns = call.began_ns;
    record.position = position;
    record.span = call.moved;
    record.cause = PassedCause::SENDFILE;
    capture::submit(entry);
}

/// Notes that a call moves bytes, or moved some, and that nobody knows how many.
#[inline(never)]
pub(crate) fn note_unknown(ssl: u64, tgid: u32, cookie: Cookie, cause: PassedCause) {
    if let Some(connection) = connection::current(ssl, tgid, cookie) {
        advance(connection, ssl, cookie, cause);
    }
}

/// Goes on in the next stretch of a direction, unless nothing was brought of this one yet.
#[inline(never)]
pub(crate) fn advance(connection: *mut ConnectionState, ssl: u64, cookie: Cookie, cause: PassedCause) {
    // SAFETY: the caller hands over a live map value; no other thread uses this SSL object in this direction now.
    let state = unsafe { &mut *connection };
    let direction = cookie.role().direction();
    let side = side(direction);
    // SAFETY: the helper takes no arguments.
    state.reported_ns[side] = unsafe { bpf_ktime_get_ns() };
    state.reported_bytes[side] = 0;
    if state.unknown[side] != 0 {
        return;
    }
    let Some(behind) = behind_unknown(state.positions[side]) else {
        connection::renew(connection, ssl, cookie);
        return;
    };
    tell_unknown(state, ssl, cookie, cause);
    state.positions[side] = behind;
    state.unknown[side] = 1;
}

#[inline(never)]
fn tell_unknown(connection: &ConnectionState, ssl: u64, cookie: Cookie, cause: PassedCause) {
    let direction = cookie.role().direction();
    let Some(mut entry) = capture::reserve::<PassedRecord>() else {
        capture::count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { describe(record, connection, ssl, cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.header.direction = direction;
    record.began_ns = record.header.ts_ns;
    record.position = connection.positions[side(direction)];
    record.span = STRETCH;
    record.cause = cause;
    capture::submit(entry);
}

/// # Safety
///
/// `record` must be writable.
#[inline(always)]
unsafe fn describe(record: *mut PassedRecord, connection: &ConnectionState, ssl: u64, cookie: Cookie) {
    // SAFETY: the caller vouches for the pointer.
    unsafe { connection::fill_header(&raw mut (*record).header, connection.generation, ssl, cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::PASSED;
    record.header.flags = flags(connection);
    record.reserved = [0; 7];
}

/// What every record of bytes says of its connection.
#[inline(always)]
pub(crate) const fn flags(connection: &ConnectionState) -> RecordFlags {
    let start = if connection.from_start != 0 {
        RecordFlags::FROM_START.0
    } else {
        0
    };
    let refused = if connection.early.0 == EarlyState::REFUSED.0 {
        RecordFlags::EARLY_REFUSED.0
    } else {
        0
    };
    RecordFlags(start | refused)
}

/// The place of a direction in what is kept by direction.
#[inline(always)]
pub(crate) const fn side(direction: Direction) -> usize {
    (direction.0 & 1) as usize
}
