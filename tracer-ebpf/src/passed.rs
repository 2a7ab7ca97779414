//! Records of bytes that passed without being captured.
//!
//! Their calls pass no bytes (`SSL_sendfile`, a GnuTLS call that is repeated with null), could not be noted, or have a
//! count that cannot be read; or they are skipped on purpose. Positions advance all the same: by the number of bytes, or to
//! the next stretch if the number is unknown. The positions alone show the gap, so a record that finds no room loses no
//! information.

use core::mem::offset_of;

use tracer_ebpf::{Cookie, Direction, Flow, Kind, PassedCause, PassedRecord, STRETCH, Transfer, behind_unknown};

use crate::{
    flow::{self, fill_header},
    record::{count, fill_header_inlined, reserve, submit},
};

/// Reports the bytes up to `end` that were skipped last in a direction, if there are any; returns 0 if the ring has no room.
#[inline(always)]
pub(crate) fn report_skipped(flow: &mut Flow, object: u64, cookie: Cookie, direction: Direction, end: u64) -> u64 {
    report_skipped_of(flow, object, cookie.0, direction.0.into(), end)
}

/// A global function, and so verified once and by itself: it is called from everywhere.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn report_skipped_of(flow: *mut Flow, object: u64, cookie: u64, direction: u64, end: u64) -> u64 {
    if flow.is_null() {
        return 0;
    }
    // SAFETY: not null; the caller holds the flow.
    let flow = unsafe { &mut *flow };
    send_skipped(flow, object, Cookie(cookie), Direction(direction as u8), end, None).into()
}

/// The same up to where a direction is, of a connection of a process that need not be the current one. What finds no room is
/// lost.
#[inline(never)]
pub(crate) fn end_skipped_of(flow: &mut Flow, object: u64, tgid: u32, direction: Direction) {
    let (cookie, end) = (flow::cookie(flow), flow::position(flow, direction));
    if send_skipped(flow, object, cookie, direction, end, Some(tgid)) == 0 {
        count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        count(
            cookie,
            |counters| &raw mut counters.ring_full_bytes,
            flow::skipped(flow, direction),
        );
    }
}

#[inline(always)]
fn send_skipped(
    flow: &mut Flow,
    object: u64,
    cookie: Cookie,
    direction: Direction,
    end: u64,
    tgid: Option<u32>,
) -> u32 {
    let bytes = flow::skipped(flow, direction);
    if bytes == 0 {
        return 1;
    }
    let Some(mut entry) = reserve::<PassedRecord>() else {
        return 0;
    };
    let record = entry.as_mut_ptr();
    let generation = flow::generation(flow);
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header_inlined(&raw mut (*record).header, generation, object, cookie) };
    // SAFETY: as above.
    let record = unsafe { describe(record, flow, PassedCause::SKIPPED) };
    if let Some(tgid) = tgid {
        (record.header.tgid, record.header.tid) = (tgid, tgid);
    }
    record.header.direction = direction;
    record.began_ns = record.header.ts_ns;
    record.position = end - bytes;
    record.span = bytes;
    submit(entry);
    flow::forget_skipped(flow, direction);
    1
}

/// Reports the bytes up to `end` that were skipped last in a direction, before something else. If the ring has no room, they
/// are lost. Inlined, because the verifier limits how deep calls nest.
#[inline(always)]
pub(crate) fn end_skipped(flow: &mut Flow, object: u64, cookie: Cookie, direction: Direction, end: u64) {
    if report_skipped(flow, object, cookie, direction, end) == 0 {
        count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        let bytes = flow::skipped(flow, direction);
        count(cookie, |counters| &raw mut counters.ring_full_bytes, bytes);
        flow::forget_skipped(flow, direction);
    }
}

/// Reports the bytes that were skipped last in both directions, before something else.
#[inline(never)]
pub(crate) fn end_all_skipped(flow: &mut Flow, object: u64, cookie: Cookie) {
    let read = flow::position(flow, Direction::READ);
    end_skipped(flow, object, cookie, Direction::READ, read);
    let written = flow::position(flow, Direction::WRITE);
    end_skipped(flow, object, cookie, Direction::WRITE, written);
}

/// Reports the number of bytes of a call that does not pass them.
#[inline(never)]
pub(crate) fn report_known(transfer: &mut Transfer, flow: &mut Flow, cause: PassedCause) {
    let direction = transfer.direction;
    let position = flow::position(flow, direction);
    end_all_skipped(flow, transfer.object, transfer.cookie);
    let Some(mut entry) = reserve::<PassedRecord>() else {
        count(transfer.cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, flow, transfer.object, transfer.cookie) };
    // SAFETY: as above.
    let record = unsafe { describe(record, flow, cause) };
    record.header.direction = direction;
    transfer.recorded_ns = record.header.ts_ns;
    record.began_ns = if transfer.began_ns == 0 {
        transfer.recorded_ns
    } else {
        transfer.began_ns
    };
    record.position = position;
    record.span = transfer.moved;
    submit(entry);
}

/// Moves a direction on to its next stretch, unless its last bytes were an unknown number already; 0 if it has no stretch
/// left.
#[inline(always)]
pub(crate) fn skip_unknown(
    flow: &mut Flow,
    object: u64,
    cookie: Cookie,
    direction: Direction,
    cause: PassedCause,
) -> u32 {
    flow::mark_reported(flow, direction, 0);
    if flow::is_unknown(flow, direction) {
        return 1;
    }
    let Some(behind) = behind_unknown(flow::position(flow, direction)) else {
        return 0;
    };
    end_all_skipped(flow, object, cookie);
    report_unknown(flow, object, cookie, direction, cause);
    flow::skip_to(flow, direction, behind);
    1
}

#[inline(never)]
fn report_unknown(flow: &Flow, object: u64, cookie: Cookie, direction: Direction, cause: PassedCause) {
    let Some(mut entry) = reserve::<PassedRecord>() else {
        count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, flow, object, cookie) };
    // SAFETY: as above.
    let record = unsafe { describe(record, flow, cause) };
    record.header.direction = direction;
    record.began_ns = record.header.ts_ns;
    record.position = flow::position(flow, direction);
    record.span = STRETCH;
    submit(entry);
}

/// Fills in the fields that all of these records share, and the header has not.
///
/// # Safety
///
/// `record` must be a reservation, which no other program can reach before it is submitted.
#[inline(always)]
unsafe fn describe<'a>(record: *mut PassedRecord, flow: &Flow, cause: PassedCause) -> &'a mut PassedRecord {
    // SAFETY: the caller vouches that only this program can reach the record. The cause and the zeros behind it are a word
    // and lie like one; zeros by themselves would be a call.
    unsafe {
        (&raw mut (*record).cause)
            .cast::<u64>()
            .write(u64::from(cause.0).to_le())
    };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::PASSED;
    record.header.flags = flow::flags(flow);
    record
}

const _: () = assert!(
    offset_of!(PassedRecord, cause).is_multiple_of(8)
        && offset_of!(PassedRecord, cause) + 8 == size_of::<PassedRecord>()
);
