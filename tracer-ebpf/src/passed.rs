//! Records of bytes that passed without being captured.
//!
//! Their calls pass no bytes (`SSL_sendfile`, a GnuTLS call that is repeated with null), could not be noted, or have a
//! count that cannot be read. Positions advance all the same: by the number of bytes, or to the next stretch if the number
//! is unknown. The positions alone show the gap, so a record that finds no room loses no information.

use tracer_ebpf::{Cookie, Direction, Flow, Kind, PassedCause, PassedRecord, STRETCH, Transfer, behind_unknown};

use crate::{
    flow::{self, fill_header},
    record::{count, reserve, submit},
};

/// Reports the number of bytes of a call that does not pass them.
#[inline(never)]
pub(crate) fn report_known(transfer: &mut Transfer, flow: &Flow, cause: PassedCause) {
    let direction = transfer.direction;
    let position = flow::position(flow, direction);
    let Some(mut entry) = reserve::<PassedRecord>() else {
        count(transfer.cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    let record = unsafe { describe(record, flow, transfer.object, transfer.cookie) };
    record.header.direction = direction;
    record.began_ns = transfer.began_ns;
    record.position = position;
    record.span = transfer.moved;
    record.cause = cause;
    transfer.recorded_ns = record.header.ts_ns;
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
    let record = unsafe { describe(record, flow, object, cookie) };
    record.header.direction = direction;
    record.began_ns = record.header.ts_ns;
    record.position = flow::position(flow, direction);
    record.span = STRETCH;
    record.cause = cause;
    submit(entry);
}

/// Fills in the fields that both kinds of record share.
///
/// # Safety
///
/// `record` must be a reservation, which no other program can reach before it is submitted.
#[inline(always)]
unsafe fn describe<'a>(record: *mut PassedRecord, flow: &Flow, object: u64, cookie: Cookie) -> &'a mut PassedRecord {
    // SAFETY: the caller vouches that only this program can reach the record.
    unsafe { fill_header(&raw mut (*record).header, flow, object, cookie) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::PASSED;
    record.header.flags = flow::flags(flow);
    record.reserved = [0; 7];
    record
}
