//! Room for records in the rings, the header that all of them share, and the counters of what found no room.
//!
//! Records are submitted without waking the reader, which polls on a timer: a wake-up per record would cost more than the
//! probe itself.

use aya_ebpf::{
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    maps::ring_buf::RingBufEntry,
};
use tracer_ebpf::{Cookie, Direction, KernelCounters, RecordFlags, RecordHeader, SiteCounters};

use crate::{
    maps::{COUNTERS, LIFECYCLE, RINGS, TOTALS},
    memory::add,
    task::current_task,
};

/// The slot that always has a ring.
const SPARE_RING: u32 = 0;

/// Reserves room in this CPU's ring; in the spare one while a CPU that has just come online has none.
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

/// Reserves room in the ring of processes and ends, which data cannot crowd out.
#[inline(always)]
pub(crate) fn reserve_end<T: 'static>() -> Option<RingBufEntry<T>> {
    LIFECYCLE.reserve_untyped::<T>(0)
}

/// Submits a record without waking the reader.
#[inline(always)]
pub(crate) fn submit<T: 'static>(entry: RingBufEntry<T>) {
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// Discards a reservation without waking the reader.
#[inline(always)]
pub(crate) fn discard<T: 'static>(entry: RingBufEntry<T>) {
    entry.discard(BPF_RB_NO_WAKEUP.into());
}

/// Submits a record that the reader must act on at once.
#[inline(always)]
pub(crate) fn submit_and_wake<T: 'static>(entry: RingBufEntry<T>) {
    entry.submit(BPF_RB_FORCE_WAKEUP.into());
}

/// Wakes the reader, without a record.
#[inline(always)]
pub(crate) fn wake() {
    if let Some(entry) = reserve_end::<u64>() {
        entry.discard(BPF_RB_FORCE_WAKEUP.into());
    }
}

/// Fills in the header of a record, but for its kind, field by field: a header on the stack would be too large for it.
///
/// # Safety
///
/// `header` must lie in a reservation, which no other program can reach before it is submitted.
#[inline(never)]
pub(crate) unsafe fn fill_header(header: *mut RecordHeader, generation: u64, object: u64, cookie: Cookie) {
    // SAFETY: the caller vouches for the same.
    unsafe { fill_header_inlined(header, generation, object, cookie) };
}

/// The same for a function that is called where the verifier allows no further call to nest.
///
/// # Safety
///
/// As for [`fill_header`].
#[inline(always)]
pub(crate) unsafe fn fill_header_inlined(header: *mut RecordHeader, generation: u64, object: u64, cookie: Cookie) {
    let task = current_task();
    // SAFETY: the caller vouches that only this program can reach the header; the helper takes no arguments.
    unsafe {
        (*header).ts_ns = bpf_ktime_get_ns();
        (*header).cookie = cookie;
        (*header).object = object;
        (*header).generation = generation;
        (*header).tgid = task.tgid;
        (*header).tid = task.tid;
        (*header).direction = Direction::READ;
        (*header).flags = RecordFlags(0);
        (*header).reserved = 0;
    }
}

/// Adds to one of a site's counters.
#[inline(always)]
pub(crate) fn count(cookie: Cookie, pick: impl FnOnce(&mut SiteCounters) -> *mut u64, amount: u64) {
    if let Some(counters) = COUNTERS.get_ptr_mut(cookie.site()) {
        // SAFETY: other CPUs may hold the counters now. The reference only picks a field, which all of them change by
        // atomic additions; elements of arrays are never removed.
        unsafe { add(pick(&mut *counters), amount) };
    }
}

/// Counts one loss that belongs to no site.
#[inline(always)]
pub(crate) fn count_total(pick: impl FnOnce(&mut KernelCounters) -> *mut u64) {
    if let Some(totals) = TOTALS.get_ptr_mut(0) {
        // SAFETY: as in [`count`].
        unsafe { add(pick(&mut *totals), 1) };
    }
}
