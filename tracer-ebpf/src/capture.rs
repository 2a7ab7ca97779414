//! User bytes into ring records, in bounded pieces.
//!
//! A call that moved bytes becomes one record per piece, each with its position. A piece that finds no room, or cannot be
//! read, is a gap: counted, and stepped over.

use tracer_ebpf::{CLASSES, CallState, DataRecord, Flow, Kind, MAX_PIECES, RecordFlags};

use crate::{
    flow::{self, fill_header},
    maps::call_bytes,
    memory::{copy_user, forgotten},
    record::{count, discard, reserve, submit},
};

const PAGE: u64 = 4096;

/// A data record with room for `N` bytes of payload.
#[repr(C)]
struct Slot<const N: usize> {
    data: DataRecord,
    payload: [u8; N],
}

/// Sends the bytes that a call moved, as many of them as the limit per call allows.
#[inline(never)]
pub(crate) fn send_bytes(call: &mut CallState, flow: &Flow) {
    limit(call);
    send_pieces(call, flow);
}

#[inline(always)]
fn limit(call: &mut CallState) {
    call.wanted = if call.moved > call_bytes() {
        call_bytes()
    } else {
        call.moved
    };
    call.done = 0;
}

#[inline(always)]
fn send_pieces(call: &mut CallState, flow: &Flow) {
    for _ in 0..MAX_PIECES {
        if call.done >= call.wanted {
            return;
        }
        let stepped = send_next(call, flow);
        if stepped == 0 {
            return;
        }
        call.done += stepped;
    }
    if call.done < call.wanted {
        // So many pages were not present that the pieces ran out before the bytes did.
        count_fault(call, call.wanted - call.done);
    }
}

/// Sends the next piece of a call; returns how many bytes are done with, 0 when the ring is full.
///
/// A global function, and so verified once and by itself: inside the loop, verifiers such as that of Linux 6.1 would
/// walk it anew for every piece, and give up. It must take its pointers for what they may be then, null.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn send_next(call: *const CallState, flow: *const Flow) -> u64 {
    if call.is_null() || flow.is_null() {
        return 0;
    }
    // SAFETY: not null. Only this thread holds the call; of the connection, others write no field of its flow.
    let (call, flow) = unsafe { (&*call, &*flow) };
    let left = call.wanted - call.done;
    if left >= CLASSES[4] as u64 {
        send_64k(call, flow)
    } else if left > CLASSES[2] as u64 {
        send_16k(call, flow)
    } else if left > CLASSES[1] as u64 {
        send_4k(call, flow)
    } else if left > CLASSES[0] as u64 {
        send_1k(call, flow)
    } else {
        send_256(call, flow)
    }
}

// One function each, and none of them inlined: their frames are not added up.

#[inline(never)]
fn send_256(call: &CallState, flow: &Flow) -> u64 {
    send::<{ CLASSES[0] }>(call, flow)
}

#[inline(never)]
fn send_1k(call: &CallState, flow: &Flow) -> u64 {
    send::<{ CLASSES[1] }>(call, flow)
}

#[inline(never)]
fn send_4k(call: &CallState, flow: &Flow) -> u64 {
    send::<{ CLASSES[2] }>(call, flow)
}

#[inline(never)]
fn send_16k(call: &CallState, flow: &Flow) -> u64 {
    send::<{ CLASSES[3] }>(call, flow)
}

#[inline(never)]
fn send_64k(call: &CallState, flow: &Flow) -> u64 {
    send::<{ CLASSES[4] }>(call, flow)
}

/// Sends up to `N` bytes of a call; returns how many bytes are done with, 0 when the ring is full.
#[inline(always)]
fn send<const N: usize>(call: &CallState, flow: &Flow) -> u64 {
    let left = call.wanted - call.done;
    let Some(mut entry) = reserve::<Slot<N>>() else {
        return count_full(call);
    };
    let slot = entry.as_mut_ptr();
    let source = call.buffer.wrapping_add(call.done);
    let wanted = if left > N as u64 { N as u64 } else { left };
    // SAFETY: only this program can reach the reservation before it is submitted; its payload holds N bytes.
    let copied = unsafe { copy::<N>((&raw mut (*slot).payload).cast(), source, wanted) };
    if copied == 0 {
        discard(entry);
        return count_fault(call, to_page_end(source, wanted));
    }
    // SAFETY: as above.
    let captured = unsafe { describe(&raw mut (*slot).data, call, flow, copied) };
    submit(entry);
    captured
}

#[inline(never)]
fn count_full(call: &CallState) -> u64 {
    count(call.cookie, |counters| &raw mut counters.ring_full_records, 1);
    count(
        call.cookie,
        |counters| &raw mut counters.ring_full_bytes,
        // With the bytes over the limit: the record that would report them is lost as well.
        call.moved - call.done,
    );
    0
}

#[inline(never)]
fn count_fault(call: &CallState, skipped: u64) -> u64 {
    // Bytes over the limit are reported with the last piece; without that piece they are counted here.
    let unreported = if call.done + skipped >= call.wanted {
        call.moved - call.wanted
    } else {
        0
    };
    count(call.cookie, |counters| &raw mut counters.fault_records, 1);
    count(
        call.cookie,
        |counters| &raw mut counters.fault_bytes,
        skipped + unreported,
    );
    skipped
}

/// Returns the flags of a piece. What the call moved over the limit is counted with its last piece: if that is lost, then
/// so is the rest. A function of its own, so that the frame of [`describe`] stays small.
#[inline(never)]
fn flags(call: &CallState, copied: u64) -> u16 {
    let last = call.done + copied == call.wanted;
    let over = call.moved > call.wanted;
    if last && over {
        count(
            call.cookie,
            |counters| &raw mut counters.over_limit_bytes,
            call.moved - call.wanted,
        );
    }
    let bit = |set: bool, flag: RecordFlags| if set { flag.0 } else { 0 };
    bit(last, RecordFlags::LAST) | bit(over, RecordFlags::OVER_LIMIT) | bit(call.early != 0, RecordFlags::EARLY)
}

/// Fills in a data record; returns how many bytes are done with.
///
/// # Safety
///
/// `data` must lie in a reservation, which no other program can reach before it is submitted.
#[inline(never)]
unsafe fn describe(data: *mut DataRecord, call: &CallState, flow: &Flow, copied: u64) -> u64 {
    let start = flow::position(flow, call.direction);
    let flags = flags(call, copied);
    // SAFETY: the caller vouches that only this program can reach the record.
    unsafe {
        fill_header(&raw mut (*data).header, flow, call.object, call.cookie);
        (*data).header.kind = Kind::DATA;
        (*data).header.direction = call.direction;
        (*data).header.flags = RecordFlags(flags | flow::flags(flow).0);
        (*data).began_ns = call.began_ns;
        (*data).position = start + call.done;
        (*data).call_position = start;
        (*data).call_length = call.moved;
        (*data).captured = copied as u32;
        (*data).reserved = 0;
    }
    copied
}

/// Copies `wanted` bytes, or those in the first page of them; returns how many.
///
/// A read fails as a whole if one of its pages is not present, so it is tried once more up to the end of the first page.
///
/// # Safety
///
/// `payload` must have room for `N` bytes.
#[inline(always)]
unsafe fn copy<const N: usize>(payload: *mut u8, source: u64, wanted: u64) -> u64 {
    // SAFETY: the caller vouches for the room, and the helper checks the source.
    if unsafe { read_user::<N>(payload, source, wanted) } {
        return wanted;
    }
    let page = to_page_end(source, wanted);
    // SAFETY: as above.
    if page < wanted && unsafe { read_user::<N>(payload, source, page) } {
        return page;
    }
    0
}

/// # Safety
///
/// `payload` must have room for `N` bytes.
#[inline(always)]
unsafe fn read_user<const N: usize>(payload: *mut u8, source: u64, bytes: u64) -> bool {
    let bytes = forgotten(bytes);
    if bytes > N as u64 {
        return false;
    }
    // SAFETY: `bytes` is at most N, for which the caller vouches; the helper checks the source.
    unsafe { copy_user(payload, source, bytes as u32) }
}

/// Returns how many of `bytes` lie before the next page boundary.
#[inline(always)]
fn to_page_end(address: u64, bytes: u64) -> u64 {
    let page = PAGE - (address & (PAGE - 1));
    if page < bytes { page } else { bytes }
}
