//! User bytes into ring records, in bounded pieces.
//!
//! What a call, or a hit of a tap or a lift, moves becomes one record per piece, each with its position. A piece that finds
//! no room, or cannot be read, is a gap: counted, and stepped over.

use tracer_ebpf::{CLASSES, DataRecord, Flow, Kind, MAX_PIECES, RecordFlags, Transfer};

use crate::{
    flow::{self, fill_header},
    maps::call_bytes,
    memory::{copy_user, forgotten},
    record::{count, discard, reserve, submit},
    skip,
};

const PAGE: u64 = 4096;

/// A data record with room for `N` bytes of payload.
#[repr(C)]
struct Slot<const N: usize> {
    data: DataRecord,
    payload: [u8; N],
}

/// Sends the bytes of a transfer, but for those that are skipped, as many of them as the limit per call allows.
#[inline(never)]
pub(crate) fn send_bytes(transfer: &mut Transfer, flow: &mut Flow) {
    transfer.done = skip::pass_over(transfer, flow);
    if transfer.done < transfer.moved {
        limit(transfer);
        send_pieces(transfer, flow);
    }
}

#[inline(always)]
fn limit(transfer: &mut Transfer) {
    let left = transfer.moved - transfer.done;
    let sent = if left > call_bytes() { call_bytes() } else { left };
    transfer.wanted = transfer.done + sent;
}

#[inline(always)]
fn send_pieces(transfer: &mut Transfer, flow: &Flow) {
    for _ in 0..MAX_PIECES {
        if transfer.done >= transfer.wanted {
            return;
        }
        let stepped = send_next(transfer, flow);
        if stepped == 0 {
            return;
        }
        transfer.done += stepped;
    }
    if transfer.done < transfer.wanted {
        // So many pages were not present that the pieces ran out before the bytes did.
        count_fault(transfer, transfer.wanted - transfer.done);
    }
}

/// Sends the next piece; returns how many bytes are done with, 0 when the ring is full.
///
/// A global function, and so verified once and by itself: inside the loop, verifiers such as that of Linux 6.1 would
/// walk it anew for every piece, and give up. It must take its pointers for what they may be then, null.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn send_next(transfer: *mut Transfer, flow: *const Flow) -> u64 {
    if transfer.is_null() || flow.is_null() {
        return 0;
    }
    // SAFETY: not null. Only this thread holds the transfer, which is no part of the flow; of the connection, others write no
    // field of its flow.
    let (transfer, flow) = unsafe { (&mut *transfer, &*flow) };
    let left = transfer.wanted - transfer.done;
    if left >= CLASSES[8] as u64 {
        send_64k(transfer, flow)
    } else if left > CLASSES[6] as u64 {
        send_16k(transfer, flow)
    } else if left > CLASSES[5] as u64 {
        send_8k(transfer, flow)
    } else if left > CLASSES[4] as u64 {
        send_4k(transfer, flow)
    } else {
        send_little(transfer, flow, left)
    }
}

#[inline(always)]
fn send_little(transfer: &mut Transfer, flow: &Flow, left: u64) -> u64 {
    if left > CLASSES[3] as u64 {
        send_2k(transfer, flow)
    } else if left > CLASSES[2] as u64 {
        send_1536(transfer, flow)
    } else if left > CLASSES[1] as u64 {
        send_1k(transfer, flow)
    } else if left > CLASSES[0] as u64 {
        send_512(transfer, flow)
    } else {
        send_256(transfer, flow)
    }
}

// One function each, and none of them inlined: their frames are not added up.

macro_rules! senders {
    ($($name:ident: $class:literal;)*) => {
        $(#[inline(never)]
        fn $name(transfer: &mut Transfer, flow: &Flow) -> u64 {
            send::<{ CLASSES[$class] }>(transfer, flow)
        })*
    };
}

senders! {
    send_256: 0;
    send_512: 1;
    send_1k: 2;
    send_1536: 3;
    send_2k: 4;
    send_4k: 5;
    send_8k: 6;
    send_16k: 7;
    send_64k: 8;
}

/// Sends up to `N` bytes; returns how many bytes are done with, 0 when the ring is full.
#[inline(always)]
fn send<const N: usize>(transfer: &mut Transfer, flow: &Flow) -> u64 {
    let left = transfer.wanted - transfer.done;
    let Some(mut entry) = reserve::<Slot<N>>() else {
        return count_full(transfer);
    };
    let slot = entry.as_mut_ptr();
    let source = transfer.buffer.wrapping_add(transfer.done);
    let wanted = if left > N as u64 { N as u64 } else { left };
    // SAFETY: only this program can reach the reservation before it is submitted; its payload holds N bytes.
    let copied = unsafe { copy::<N>((&raw mut (*slot).payload).cast(), source, wanted) };
    if copied == 0 {
        discard(entry);
        return count_fault(transfer, to_page_end(source, wanted));
    }
    // SAFETY: as above.
    let captured = unsafe { describe(&raw mut (*slot).data, transfer, flow, copied) };
    submit(entry);
    captured
}

#[inline(never)]
fn count_full(transfer: &Transfer) -> u64 {
    count(transfer.cookie, |counters| &raw mut counters.ring_full_records, 1);
    count(
        transfer.cookie,
        |counters| &raw mut counters.ring_full_bytes,
        // With the bytes over the limit: the record that would report them is lost as well.
        transfer.moved - transfer.done,
    );
    0
}

#[inline(never)]
fn count_fault(transfer: &Transfer, skipped: u64) -> u64 {
    // Bytes over the limit are reported with the last piece; without that piece they are counted here.
    let unreported = if transfer.done + skipped >= transfer.wanted {
        transfer.moved - transfer.wanted
    } else {
        0
    };
    count(transfer.cookie, |counters| &raw mut counters.fault_records, 1);
    count(
        transfer.cookie,
        |counters| &raw mut counters.fault_bytes,
        skipped + unreported,
    );
    skipped
}

/// Returns the flags of a piece. What the call moved over the limit is counted with its last piece: if that is lost, then
/// so is the rest.
#[inline(always)]
fn flags(transfer: &Transfer, copied: u64) -> u16 {
    let last = transfer.done + copied == transfer.wanted;
    let over = transfer.moved > transfer.wanted;
    if last && over {
        count_over_limit(transfer);
    }
    let bit = |set: bool, flag: RecordFlags| if set { flag.0 } else { 0 };
    bit(last, RecordFlags::LAST) | bit(over, RecordFlags::OVER_LIMIT) | bit(transfer.early != 0, RecordFlags::EARLY)
}

#[inline(never)]
fn count_over_limit(transfer: &Transfer) {
    count(
        transfer.cookie,
        |counters| &raw mut counters.over_limit_bytes,
        transfer.moved - transfer.wanted,
    );
}

/// Fills in a data record; returns how many bytes are done with.
///
/// # Safety
///
/// `data` must lie in a reservation, which no other program can reach before it is submitted.
#[inline(never)]
unsafe fn describe(data: *mut DataRecord, transfer: &mut Transfer, flow: &Flow, copied: u64) -> u64 {
    let start = flow::position(flow, transfer.direction);
    let flags = flags(transfer, copied);
    // SAFETY: the caller vouches that only this program can reach the record.
    unsafe {
        fill_header(&raw mut (*data).header, flow, transfer.object, transfer.cookie);
        (*data).header.kind = Kind::DATA;
        (*data).header.direction = transfer.direction;
        (*data).header.flags = RecordFlags(flags | flow::flags(flow).0);
        transfer.recorded_ns = (*data).header.ts_ns;
        (*data).began_ns = if transfer.began_ns == 0 {
            transfer.recorded_ns
        } else {
            transfer.began_ns
        };
        (*data).position = start + transfer.done;
        (*data).call_position = start;
        (*data).call_length = transfer.moved;
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
