//! Which processes are traced, and how.
//!
//! Every hit and every send asks that of its process, and one after the other on a CPU are mostly of the same process. So each
//! CPU remembers the process that it looked up last. Whoever changes the table adds to the number of its changes afterwards;
//! what was looked up before is then looked up again.

use core::ptr::{read_volatile, write_volatile};

use tracer_ebpf::{CHANGES_BY_LOADER, CHANGES_BY_PROGRAMS, TargetFlags, TargetState};

use crate::{
    maps::{LAST_TARGET, TARGET_CHANGES, TARGETS},
    memory::add,
    record::count_total,
    task::current_task,
};

/// A process, how it is traced, and the number of changes before it was looked up, in one word: a program that interrupts
/// another one on the CPU replaces all of it.
#[derive(Clone, Copy)]
struct Seen(u64);

impl Seen {
    /// The process: ids are below 2^22 (`PID_MAX_LIMIT` in `include/linux/threads.h`).
    const TGID: u64 = (1 << 22) - 1;
    /// Where its flags begin, and all of them.
    const FLAGS_AT: u32 = 22;
    const FLAGS: u32 = (1 << 9) - 1;
    /// Whether it is traced.
    const TRACED: u64 = 1 << 31;
    /// Where the number of changes begins.
    const CHANGES_AT: u32 = 32;

    #[inline(always)]
    fn new(tgid: u32, flags: Option<TargetFlags>, changes: u32) -> Self {
        let traced = match flags {
            Some(TargetFlags(flags)) => Self::TRACED | u64::from(flags) << Self::FLAGS_AT,
            None => 0,
        };
        Self(u64::from(changes) << Self::CHANGES_AT | traced | u64::from(tgid))
    }

    #[inline(always)]
    fn is_of(self, tgid: u32, changes: u32) -> bool {
        self.0 & Self::TGID == u64::from(tgid) && self.0 >> Self::CHANGES_AT == u64::from(changes)
    }

    #[inline(always)]
    fn flags(self) -> Option<TargetFlags> {
        (self.0 & Self::TRACED != 0).then_some(TargetFlags((self.0 >> Self::FLAGS_AT) as u32 & Self::FLAGS))
    }
}

const _: () = assert!(TargetFlags::ALL.0 <= Seen::FLAGS);

/// Returns how the current process is traced; `None` if it is not.
#[inline(always)]
pub(crate) fn current_flags() -> Option<TargetFlags> {
    flags_of_current(current_task().tgid)
}

/// The same, where the id of the current process is at hand.
#[inline(always)]
pub(crate) fn flags_of_current(tgid: u32) -> Option<TargetFlags> {
    let seen = LAST_TARGET.get_ptr_mut(0)?;
    let changes = changes();
    // SAFETY: a word of this CPU, which is read and written as a whole.
    let last = Seen(unsafe { read_volatile(seen) });
    if last.is_of(tgid, changes) {
        last.flags()
    } else {
        Seen(look_up(seen, tgid, changes)).flags()
    }
}

/// Looks the current process up, and remembers it. A function of its own, because it is rare.
#[inline(never)]
fn look_up(seen: *mut u64, tgid: u32, changes: u32) -> u64 {
    let found = Seen::new(tgid, flags_of(tgid), changes);
    if u64::from(tgid) <= Seen::TGID {
        // SAFETY: as above.
        unsafe { write_volatile(seen, found.0) };
    }
    found.0
}

/// Returns how a process is traced; `None` if it is not.
#[inline(always)]
pub(crate) fn flags_of(tgid: u32) -> Option<TargetFlags> {
    let target = TARGETS.get_ptr(&tgid)?;
    // SAFETY: the loader and other CPUs may replace the flags now. They are one word, so this reads the old or the new.
    Some(unsafe { (*target).flags })
}

/// Adds a process to those that are traced; returns whether there was room.
#[inline(always)]
pub(crate) fn insert(tgid: u32, state: &TargetState) -> bool {
    let inserted = TARGETS.insert(&tgid, state, 0).is_ok();
    if inserted {
        note_change();
    } else {
        count_total(|totals| &raw mut totals.target_table_full);
    }
    inserted
}

/// Traces a process like another one, if that is traced with some flags.
#[inline(always)]
pub(crate) fn inherit(parent: u32, child: u32, needed: TargetFlags) {
    if let Some(state) = TARGETS.get_ptr(&parent)
        // SAFETY: the loader may replace the parent's flags now. They are one word, so the child gets the old or the new.
        && let state = unsafe { &*state }
        && state.flags.contains(needed)
    {
        insert(child, state);
    }
}

/// Adds flags to those with which a process is traced, if it is.
#[inline(always)]
pub(crate) fn add_flags(tgid: u32, flags: TargetFlags) {
    if let Some(state) = TARGETS.get_ptr_mut(&tgid) {
        // SAFETY: other CPUs may read the flags now, which are one word. Only the loader changes them as well, once it has
        // examined the process, which is after this.
        unsafe { (*state).flags = (*state).flags.with(flags) };
        note_change();
    }
}

/// Removes a process.
#[inline(always)]
pub(crate) fn remove(tgid: u32) {
    let _removed = TARGETS.remove(&tgid);
    note_change();
}

/// Notes that the table, or when the program of a process began, has changed.
#[inline(never)]
pub(crate) fn note_change() {
    if let Some(changes) = TARGET_CHANGES.get_ptr_mut(CHANGES_BY_PROGRAMS) {
        // SAFETY: elements of arrays are never removed; programs on other CPUs add to it atomically as well.
        unsafe { add(changes, 1) };
    }
}

/// Returns how many changes were noted, by the programs and by the loader; from 2^32 on anew.
#[inline(always)]
pub(crate) fn changes() -> u32 {
    let of = |whose| match TARGET_CHANGES.get_ptr(whose) {
        // SAFETY: other CPUs and the loader may write the word now, as a whole.
        Some(changes) => unsafe { read_volatile(changes) },
        None => 0,
    };
    of(CHANGES_BY_PROGRAMS).wrapping_add(of(CHANGES_BY_LOADER)) as u32
}
