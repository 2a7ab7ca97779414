//! User bytes into ring records, in bounded pieces.
//!
//! In: a call that moved bytes. Out: one record per piece, each with its position. A piece that finds no room, or
//! cannot be read, is a hole: counted, and stepped over. Records are submitted without waking the reader, who comes by
//! on a timer: a wake-up per record would cost more than the probe.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    maps::ring_buf::RingBufEntry,
};
use tracer_ebpf::{
    CLASSES, CallState, ConnectionState, Cookie, DataRecord, Kind, MAX_PIECES, PassedCause, RecordFlags, Role,
    SettingFlags, SiteCounters,
};

use crate::{
    connection,
    early::{self, Early},
    handshake,
    maps::{COUNTERS, LIFECYCLE, RINGS, call_bytes, settings},
    memory::{add, copy_user, forgotten},
    passed, socket, transport,
};

const PAGE: u64 = 4096;

/// The slot that always has a ring.
const SPARE_RING: u32 = 0;

/// A data record with room for `N` bytes of payload.
#[repr(C)]
struct Slot<const N: usize> {
    data: DataRecord,
    payload: [u8; N],
}

/// Captures what a call moved, unless a call nested in it has already done so.
#[inline(always)]
pub(crate) fn capture(call: &mut CallState) {
    let Some(connection) = connection::current(call.ssl, call.tgid, call.cookie) else {
        return;
    };
    // SAFETY: a live map value; no other thread uses this SSL object in this direction now.
    let connection = unsafe { &mut *connection };
    let side = side(call);
    if connection.reported_ns[side] > call.began_ns {
        if connection.reported_bytes[side] != call.moved {
            passed::advance(connection, call.ssl, call.cookie, PassedCause::NOT_CAPTURED);
        }
        return;
    }
    connection::mark_start(connection, call);
    let early = early::judge(connection, call);
    if early == Early::Unknowable {
        passed::advance(connection, call.ssl, call.cookie, PassedCause::NOT_CAPTURED);
        return;
    }
    call.early = (early == Early::Yes).into();
    if connection.introduced == 0 {
        let sock = transport::sock_of(connection);
        socket::introduce(connection, call.ssl, sock);
    }
    if settings().contains(SettingFlags::CONNECTIONS) && connection.told == 0 {
        handshake::tell(connection, call.ssl);
    }
    if call.cookie.role() == Role::SENDFILE {
        passed::tell_known(call, connection);
    } else {
        limit(call);
        send_pieces(call, connection);
    }
    // The position passes whether or not the bytes were captured.
    connection.positions[side] += call.moved;
    connection.reported_bytes[side] = call.moved;
    connection.unknown[side] = 0;
    if early == Early::Yes {
        connection.early_bytes += call.moved;
    }
    // SAFETY: the helper takes no arguments.
    connection.reported_ns[side] = unsafe { bpf_ktime_get_ns() };
}

#[inline(always)]
const fn side(call: &CallState) -> usize {
    passed::side(call.direction())
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
fn send_pieces(call: &mut CallState, connection: &ConnectionState) {
    for _ in 0..MAX_PIECES {
        if call.done >= call.wanted {
            return;
        }
        let stepped = send_next(call, connection);
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

/// Sends the next piece of a call; tells how many bytes are done with, 0 when the ring is full.
///
/// A global function, and so verified once and by itself: inside the loop, verifiers such as that of Linux 6.1 would
/// walk it anew for every piece, and give up. It must take its pointers for what they may be then, null.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn send_next(call: *const CallState, connection: *const ConnectionState) -> u64 {
    if call.is_null() || connection.is_null() {
        return 0;
    }
    // SAFETY: not null, and the caller hands over live map values.
    let (call, connection) = unsafe { (&*call, &*connection) };
    let left = call.wanted - call.done;
    if left >= CLASSES[4] as u64 {
        send_64k(call, connection)
    } else if left > CLASSES[2] as u64 {
        send_16k(call, connection)
    } else if left > CLASSES[1] as u64 {
        send_4k(call, connection)
    } else if left > CLASSES[0] as u64 {
        send_1k(call, connection)
    } else {
        send_256(call, connection)
    }
}

// One function each, and none of them inlined: their frames are not added up.

#[inline(never)]
fn send_256(call: &CallState, connection: &ConnectionState) -> u64 {
    send::<{ CLASSES[0] }>(call, connection)
}

#[inline(never)]
fn send_1k(call: &CallState, connection: &ConnectionState) -> u64 {
    send::<{ CLASSES[1] }>(call, connection)
}

#[inline(never)]
fn send_4k(call: &CallState, connection: &ConnectionState) -> u64 {
    send::<{ CLASSES[2] }>(call, connection)
}

#[inline(never)]
fn send_16k(call: &CallState, connection: &ConnectionState) -> u64 {
    send::<{ CLASSES[3] }>(call, connection)
}

#[inline(never)]
fn send_64k(call: &CallState, connection: &ConnectionState) -> u64 {
    send::<{ CLASSES[4] }>(call, connection)
}

/// Sends up to `N` bytes of a call; tells how many bytes are done with, 0 when the ring is full.
#[inline(always)]
fn send<const N: usize>(call: &CallState, connection: &ConnectionState) -> u64 {
    let left = call.wanted - call.done;
    let Some(mut entry) = reserve::<Slot<N>>() else {
        return count_full(call);
    };
    let slot = entry.as_mut_ptr();
    let source = call.buffer.wrapping_add(call.done);
    let wanted = if left > N as u64 { N as u64 } else { left };
    // SAFETY: the slot's payload holds N bytes.
    let copied = unsafe { copy::<N>((&raw mut (*slot).payload).cast(), source, wanted) };
    if copied == 0 {
        entry.discard(BPF_RB_NO_WAKEUP.into());
        return count_fault(call, to_page_end(source, wanted));
    }
    // SAFETY: the slot is reserved and large enough.
    let captured = unsafe { describe(&raw mut (*slot).data, call, connection, copied) };
    submit(entry);
    captured
}

#[inline(never)]
fn count_full(call: &CallState) -> u64 {
    count(call.cookie, |counters| &raw mut counters.ring_full_records, 1);
    count(
        call.cookie,
        |counters| &raw mut counters.ring_full_bytes,
        // What lay over the limit, too: the record that would say so is lost as well.
        call.moved - call.done,
    );
    0
}

#[inline(never)]
fn count_fault(call: &CallState, skipped: u64) -> u64 {
    // No record says what lay over the limit if the last piece is not there.
    let unsaid = if call.done + skipped >= call.wanted {
        call.moved - call.wanted
    } else {
        0
    };
    count(call.cookie, |counters| &raw mut counters.fault_records, 1);
    count(call.cookie, |counters| &raw mut counters.fault_bytes, skipped + unsaid);
    skipped
}

/// What a piece says of its call. What the call moved over the limit is counted with its last piece: if that is lost, then
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

/// # Safety
///
/// `data` must be writable.
#[inline(never)]
unsafe fn describe(data: *mut DataRecord, call: &CallState, connection: &ConnectionState, copied: u64) -> u64 {
    let start = connection.positions[side(call)];
    let flags = flags(call, copied);
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        connection::fill_header(&raw mut (*data).header, connection.generation, call.ssl, call.cookie);
        (*data).header.kind = Kind::DATA;
        (*data).header.direction = call.direction();
        (*data).header.flags = RecordFlags(flags | passed::flags(connection).0);
        (*data).began_ns = call.began_ns;
        (*data).position = start + call.done;
        (*data).call_position = start;
        (*data).call_length = call.moved;
        (*data).captured = copied as u32;
        (*data).reserved = 0;
    }
    copied
}

/// Copies `wanted` bytes, or what the first page of them holds; tells how many.
///
/// A read that meets a page which is not present fails as a whole, so it is tried once more up to the end of the page.
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

/// How many of `bytes` lie before the next page boundary.
#[inline(always)]
fn to_page_end(address: u64, bytes: u64) -> u64 {
    let page = PAGE - (address & (PAGE - 1));
    if page < bytes { page } else { bytes }
}

/// Reserves room for a record in this CPU's ring; if it has none yet, since it has just come online, in another's.
#[inline(always)]
pub(crate) fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    // SAFETY: the helper takes no arguments. The program cannot migrate, so the CPU stays the same.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let ring = match RINGS.get(cpu) {
        Some(ring) => ring,
        None => RINGS.get(SPARE_RING)?,
    };
    ring.reserve_untyped::<T>(0)
}

/// Reserves room for the end of something, where data cannot crowd it out.
#[inline(always)]
pub(crate) fn reserve_end<T: 'static>() -> Option<RingBufEntry<T>> {
    LIFECYCLE.reserve_untyped::<T>(0)
}

/// Submits a record without waking the reader.
#[inline(always)]
pub(crate) fn submit<T: 'static>(entry: RingBufEntry<T>) {
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// Adds to one of a site's counters.
#[inline(always)]
pub(crate) fn count(cookie: Cookie, pick: impl FnOnce(&mut SiteCounters) -> *mut u64, amount: u64) {
    if let Some(counters) = COUNTERS.get_ptr_mut(cookie.site()) {
        // SAFETY: a live map value; the field is only ever added to, atomically.
        unsafe { add(pick(&mut *counters), amount) };
    }
}
