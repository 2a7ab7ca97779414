//! The hot state of a connection: its generation, and how far each direction has come.
//!
//! A connection is keyed by process and TLS object; a generation separates the connections of one object.
//! Positions need no atomics: a library's caller must not use one object for one direction in two threads at once. It may
//! use one for both directions, and Go does. The table is not an LRU one, which could hand an entry to another connection
//! while a preempted program still holds it.

use core::ptr::{null_mut, read_volatile, write_volatile};

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use tracer_ebpf::{
    AddressKey, ConnectionState, Cookie, Direction, EarlyState, Flow, FlushState, RecordFlags, RecordHeader, Transfer,
};

use crate::{maps::CONNECTIONS, memory::forgotten, record, target, task};

/// In .rodata and not on the stack, which is scarce.
static NEW: ConnectionState = ConnectionState::NEW;

/// Finds a connection, or begins it; `None` when the table is full. One that is older than the program of the process is
/// not found: its end is known already, and the loader has yet to remove it.
#[inline(always)]
pub(crate) fn find_or_begin(key: &AddressKey) -> Option<*mut ConnectionState> {
    if let Some(found) = CONNECTIONS.get_ptr_mut(key)
        // SAFETY: tracepoints on other CPUs may hold the value now, and write none of the flow.
        && is_of_program(unsafe { &mut (*found).flow }, key.tgid)
    {
        return Some(found);
    }
    let begun = begin(key);
    if begun.is_null() { None } else { Some(begun) }
}

/// Begins a connection; returns null when the table is full. Of two threads that use an object at once one inserts it, and the
/// other waits until it has a generation: an entry that a program may hold is never replaced, since another connection could
/// get its memory.
#[inline(never)]
fn begin(key: &AddressKey) -> *mut ConnectionState {
    if CONNECTIONS.get_ptr(key).is_some() {
        // Of an earlier program of the process.
        let _removed = CONNECTIONS.remove(key);
    }
    let is_first = CONNECTIONS.insert(key, &NEW, BPF_NOEXIST.into()).is_ok();
    let Some(connection) = CONNECTIONS.get_ptr_mut(key) else {
        return null_mut();
    };
    if is_first {
        // SAFETY: the value is as good as new, and other threads only wait for this word.
        unsafe { write_volatile(&raw mut (*connection).flow.generation, bpf_ktime_get_ns()) };
        return connection;
    }
    // SAFETY: entries that a program may hold are not replaced.
    let generation = unsafe { &raw const (*connection).flow.generation };
    if has_begun(generation) == 0 {
        null_mut()
    } else {
        connection
    }
}

/// Waits until a connection that another thread has inserted has a generation; returns 0 if that takes too long.
///
/// A global function, and so verified once and by itself: the verifier walks every round of the loop.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn has_begun(generation: *const u64) -> u64 {
    if generation.is_null() {
        return 0;
    }
    for _ in 0..WAITS {
        // SAFETY: not null; the thread that inserted the value writes the word once.
        if unsafe { read_volatile(generation) } != 0 {
            return 1;
        }
    }
    0
}

/// Returns whether a connection is of the program that its process runs now, and not of an earlier one. Looks that up again
/// only if a process has begun a program meanwhile.
#[inline(always)]
pub(crate) fn is_of_program(flow: &mut Flow, tgid: u32) -> bool {
    check_program(flow, tgid) != 0
}

/// A function of its own, so that the frames of its callers stay small.
#[inline(never)]
fn check_program(flow: &mut Flow, tgid: u32) -> u32 {
    let changes = target::changes();
    if flow.checked == changes {
        return 1;
    }
    if flow.generation < task::since_ns(tgid) {
        return 0;
    }
    // Two threads that use the object at once write the same word.
    flow.checked = changes;
    1
}

/// How often a thread looks whether another one has begun a connection.
const WAITS: u32 = 256;

/// How long after its end an object's connection takes no bytes: they are of calls that were under way.
const AFTER_END_NS: u64 = 1_000_000_000;

/// Notes that the object of a connection is closed, which other threads may still use: until another connection begins on
/// it, or for a second, its bytes belong to none.
#[inline(always)]
pub(crate) fn mark_ended(flow: &mut Flow) {
    flow.ended = 1;
}

/// Returns whether the object of a connection was closed.
#[inline(always)]
pub(crate) fn is_ended(flow: &Flow) -> bool {
    flow.ended != 0
}

/// Returns whether it was closed so long ago that its next bytes are another connection's.
#[inline(always)]
pub(crate) fn is_long_ended(flow: &Flow) -> bool {
    // SAFETY: the helper takes no arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    now_ns - flow.generation > AFTER_END_NS
}

/// Marks a connection whose call cleared it first thing, if that call was seen from its entry: then position 0 is its
/// first byte. A clearing in a call that was not seen from its entry proves nothing, since the bytes of that call are not
/// seen either.
#[inline(always)]
pub(crate) fn mark_start(flow: &mut Flow, transfer: &Transfer) {
    if is_cleared_within(flow, transfer) && flow.positions[0] | flow.positions[1] == 0 {
        flow.from_start = 1;
    }
}

/// Marks a connection that was seen to be cleared, as a tap or a lift finds its first bytes: these need no entry of a call, so
/// all bytes since then are seen.
#[inline(always)]
pub(crate) fn mark_start_since_clearing(flow: &mut Flow) {
    if flow.cleared != 0 && flow.positions[0] | flow.positions[1] == 0 {
        flow.from_start = 1;
    }
}

/// Returns whether a call that was seen from its entry cleared the connection.
#[inline(always)]
pub(crate) fn is_cleared_within(flow: &Flow, transfer: &Transfer) -> bool {
    flow.cleared != 0 && flow.generation > transfer.began_ns
}

/// Returns how many bytes of a call's direction a call nested in it reported last; `None` if none did.
#[inline(always)]
pub(crate) fn reported_within(flow: &Flow, transfer: &Transfer) -> Option<u64> {
    let side = side(transfer.direction);
    (flow.reported_ns[side] > transfer.began_ns).then(|| flow.reported_bytes[side])
}

/// Notes that so many bytes of a direction are reported now.
#[inline(always)]
pub(crate) fn mark_reported(flow: &mut Flow, direction: Direction, bytes: u64) {
    // SAFETY: the helper takes no arguments.
    mark_reported_at(flow, direction, bytes, unsafe { bpf_ktime_get_ns() });
}

/// Notes that what a call moved is reported, at the time of its last record.
#[inline(always)]
pub(crate) fn mark_call_reported(flow: &mut Flow, transfer: &Transfer) {
    if transfer.recorded_ns == 0 {
        mark_reported(flow, transfer.direction, transfer.moved);
    } else {
        mark_reported_at(flow, transfer.direction, transfer.moved, transfer.recorded_ns);
    }
}

#[inline(always)]
fn mark_reported_at(flow: &mut Flow, direction: Direction, bytes: u64, now_ns: u64) {
    let side = side(direction);
    flow.reported_ns[side] = now_ns;
    flow.reported_bytes[side] = bytes;
}

/// Moves a direction on by the bytes of a call or a hit, whether or not they were captured.
#[inline(always)]
pub(crate) fn advance(flow: &mut Flow, transfer: &Transfer) {
    let side = side(transfer.direction);
    flow.positions[side] += transfer.moved;
    flow.unknown &= !(1 << side);
    if transfer.early != 0 {
        flow.early_bytes += transfer.moved;
    }
}

/// Moves a direction on to the position behind an unknown number of bytes.
#[inline(always)]
pub(crate) fn skip_to(flow: &mut Flow, direction: Direction, position: u64) {
    let side = side(direction);
    flow.positions[side] = position;
    flow.unknown |= 1 << side;
    if direction == Direction::WRITE {
        flow.refused = 0;
    }
}

/// Returns whether the last bytes of a direction were an unknown number of them.
#[inline(always)]
pub(crate) fn is_unknown(flow: &Flow, direction: Direction) -> bool {
    flow.unknown & 1 << side(direction) != 0
}

/// Returns the position behind the last byte of a direction.
#[inline(always)]
pub(crate) fn position(flow: &Flow, direction: Direction) -> u64 {
    flow.positions[side(direction)]
}

/// Notes the sequence number of TCP behind the last byte of a direction; returns the one before.
#[inline(always)]
pub(crate) fn replace_sequence(flow: &mut Flow, direction: Direction, sequence: u32) -> u32 {
    core::mem::replace(&mut flow.sequences[side(direction)], sequence)
}

/// Returns how many bytes were skipped last in a direction, and are in no record yet.
#[inline(always)]
pub(crate) fn skipped(flow: &Flow, direction: Direction) -> u64 {
    flow.skipped[side(direction)]
}

/// Notes that bytes are skipped, before the direction moves on: the loader, which may read the value now, must not take them
/// for lost. Returns how many were skipped last.
#[inline(always)]
pub(crate) fn add_skipped(flow: &mut Flow, direction: Direction, bytes: u64) -> u64 {
    let side = side(direction);
    flow.skipped[side] += bytes;
    flow.skipped[side]
}

/// Notes that the skipped bytes of a direction are in a record.
#[inline(always)]
pub(crate) fn forget_skipped(flow: &mut Flow, direction: Direction) {
    flow.skipped[side(direction)] = 0;
}

/// Returns the generation of a connection.
#[inline(always)]
pub(crate) fn generation(flow: &Flow) -> u64 {
    flow.generation
}

/// Returns the cookie of the site that the connection was first seen at.
#[inline(always)]
pub(crate) fn cookie(flow: &Flow) -> Cookie {
    flow.cookie
}

/// Notes the site that a connection is seen at, if it is the first one.
#[inline(always)]
pub(crate) fn note_site(flow: &mut Flow, cookie: Cookie) {
    if flow.cookie.0 == 0 {
        flow.cookie = cookie;
    }
}

/// Notes that the connection is in a record.
#[inline(always)]
pub(crate) fn mark_known(flow: &mut Flow) {
    flow.known = 1;
}

/// Fills in the header of a record of a connection, but for its kind.
///
/// # Safety
///
/// As for [`record::fill_header`].
#[inline(always)]
pub(crate) unsafe fn fill_header(header: *mut RecordHeader, flow: &Flow, object: u64, cookie: Cookie) {
    // SAFETY: the caller vouches for the same.
    unsafe { record::fill_header(header, flow.generation, object, cookie) };
}

/// Notes that the connection was begun by a clearing of its object.
#[inline(always)]
pub(crate) fn mark_cleared(flow: &mut Flow) {
    flow.cleared = 1;
}

/// Returns whether the connection was begun by a clearing of its object.
#[inline(always)]
pub(crate) fn is_cleared(flow: &Flow) -> bool {
    flow.cleared != 0
}

/// Returns whether any record of the flow was sent.
#[inline(always)]
pub(crate) fn is_known(flow: &Flow) -> bool {
    flow.positions[0] | flow.positions[1] | u64::from(flow.known) != 0
}

/// Begins a flow anew: another connection uses the object.
#[inline(always)]
pub(crate) fn reset(flow: &mut Flow) {
    // SAFETY: the loader may read the value now, in the order of its fields; volatile keeps this write first.
    unsafe { write_volatile(&raw mut flow.positions, [0; 2]) };
    flow.reported_ns = [0; 2];
    flow.reported_bytes = [0; 2];
    flow.skip_until = [0; 2];
    flow.skipped = [0; 2];
    flow.copied = [0; 2];
    flow.from_start = 0;
    flow.unknown = 0;
    flow.known = 0;
    flow.cleared = 0;
    flow.flushing = FlushState::NONE;
    flow.refused = 0;
    flow.ended = 0;
    flow.early_bytes = 0;
    // A call that writes early data clears its connection first; an object that was a server's stays one.
    if flow.early != EarlyState::WRITING && flow.early != EarlyState::SERVER {
        flow.early = EarlyState::NONE;
    }
    // SAFETY: as above. Last: the loader must not find this generation with the positions of the one before.
    unsafe { write_volatile(&raw mut flow.generation, bpf_ktime_get_ns()) };
}

/// Returns the index of a direction in arrays by direction. The compiler may know that there are two directions and drop the
/// mask, from which the verifier knows it.
#[inline(always)]
pub(crate) fn side(direction: Direction) -> usize {
    (forgotten(direction.0.into()) & 1) as usize
}

/// Returns the flags of a connection that every record of bytes carries.
#[inline(always)]
pub(crate) const fn flags(flow: &Flow) -> RecordFlags {
    let start = if flow.from_start != 0 {
        RecordFlags::FROM_START.0
    } else {
        0
    };
    let refused = if flow.early.0 == EarlyState::REFUSED.0 {
        RecordFlags::EARLY_REFUSED.0
    } else {
        0
    };
    RecordFlags(start | refused)
}

/// Notes whether writes are sent from now on that were accepted before.
#[inline(always)]
pub(crate) fn set_flushing(flow: &mut Flow, state: FlushState) {
    flow.flushing = state;
}

/// Returns whether what a call moved was accepted, and reported, before.
#[inline(always)]
pub(crate) fn flushing(flow: &Flow, transfer: &Transfer) -> FlushState {
    if transfer.direction == Direction::WRITE {
        flow.flushing
    } else {
        FlushState::NONE
    }
}

/// Notes that the bytes last reported were of a write that failed for now: the library keeps them, and a later call sends
/// them.
#[inline(always)]
pub(crate) fn mark_refused(flow: &mut Flow) {
    flow.refused = 1;
}

/// Returns whether a write has failed for now, and none has succeeded since.
#[inline(always)]
pub(crate) fn is_refused(flow: &Flow) -> bool {
    flow.refused != 0
}

/// Returns how many bytes were reported of a write that failed for now, if this call is the one that has sent them.
#[inline(always)]
pub(crate) fn take_refused(flow: &mut Flow, transfer: &Transfer) -> Option<u64> {
    if transfer.direction != Direction::WRITE || flow.refused == 0 {
        return None;
    }
    flow.refused = 0;
    Some(flow.reported_bytes[side(Direction::WRITE)])
}
