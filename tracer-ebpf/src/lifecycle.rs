//! Processes that begin, run another program, or end.
//!
//! In: the scheduler's tracepoints. Out: the table of traced processes, extended before a child runs its first
//! instruction, and a record of each change. Refuses threads: a process is what `/proc` lists.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_ktime_get_ns},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use tracer_ebpf::{
    Change, Cookie, Direction, KernelCounters, Kind, ProcessRecord, RecordFlags, RecordHeader, SettingFlags,
    TargetFlags, TargetState,
};

use crate::{
    maps::{CGROUPS, LIFECYCLE, NAMES, TARGETS, TOTALS, kernel_offset, settings},
    memory::{add, read_kernel},
    scope::{Task, current_task},
};

/// In .rodata and not on the stack.
static FOLLOWED: TargetState = TargetState::new(TargetFlags::FOLLOW);
static ALONE: TargetState = TargetState::new(TargetFlags(0));

/// The child of a traced process is traced, if its parent is followed: `sched_process_fork(parent, child)`, called by
/// the parent before the child runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn process_forked(ctx: RawTracePointContext) -> i32 {
    let child = ctx.arg::<u64>(1) as usize;
    let pid: Option<u32> = read_kernel(child + kernel_offset(|offsets| &raw const offsets.task_pid));
    let tgid: Option<u32> = read_kernel(child + kernel_offset(|offsets| &raw const offsets.task_tgid));
    if let (Some(pid), Some(tgid)) = (pid, tgid)
        && pid == tgid
    {
        inherit(current_task().tgid, tgid);
    }
    0
}

/// A traced process runs another program, or a process runs a program that is to be traced:
/// `sched_process_exec(task, old_pid, binary)`, called by the task under its new name.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn process_executed(_ctx: RawTracePointContext) -> i32 {
    let task = current_task();
    let new = if settings().contains(SettingFlags::ALONE) {
        &ALONE
    } else {
        &FOLLOWED
    };
    if TARGETS.get_ptr(&task.tgid).is_some() || (is_wanted() && add_target(task.tgid, new)) {
        report(task.tgid, 0, Change::EXECUTED);
    }
    0
}

/// The last thread of a traced process ends: `sched_process_exit(task)`, called by each thread that ends, after the
/// count of those alive was taken down.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn process_ended(ctx: RawTracePointContext) -> i32 {
    let task = current_task();
    if TARGETS.get_ptr(&task.tgid).is_some() && is_last_thread(ctx.arg::<u64>(0) as usize) {
        report(task.tgid, 0, Change::ENDED);
        let _removed = TARGETS.remove(&task.tgid);
    }
    0
}

#[inline(always)]
fn inherit(parent: u32, child: u32) {
    let followed = match TARGETS.get_ptr(&parent) {
        // SAFETY: a live map value.
        Some(state) => unsafe { (*state).flags.contains(TargetFlags::FOLLOW) },
        None => false,
    };
    if followed {
        // SAFETY: a live map value; its counts are the parent's until the next lines.
        let inherited = TARGETS
            .get_ptr(&parent)
            .is_some_and(|state| add_target(child, unsafe { &*state }));
        if inherited && let Some(state) = TARGETS.get_ptr_mut(&child) {
            // SAFETY: a live map value of a process that does not run yet.
            unsafe { (*state).connections = 0 };
            // SAFETY: as above.
            unsafe { (*state).pending = 0 };
        }
    }
    // One that was waited for is in the table before it exists.
    if TARGETS.get_ptr(&child).is_some() {
        report(child, parent, Change::FORKED);
    }
}

/// Tells whether the current process bears a name that is traced, or lives in a control group that is.
#[inline(never)]
fn is_wanted() -> bool {
    let by_name = match bpf_get_current_comm() {
        Ok(name) => NAMES.get_ptr(&name).is_some(),
        Err(_) => false,
    };
    // SAFETY: the helper takes no arguments.
    by_name || CGROUPS.get_ptr(&unsafe { bpf_get_current_cgroup_id() }).is_some()
}

/// Adds a process to those that are traced; tells whether there was room.
#[inline(always)]
pub(crate) fn add_target(tgid: u32, state: &TargetState) -> bool {
    if TARGETS.insert(&tgid, state, 0).is_ok() {
        return true;
    }
    count_total(|totals| &raw mut totals.target_table_full);
    false
}

#[inline(always)]
fn is_last_thread(task: usize) -> bool {
    let signal: Option<u64> = read_kernel(task + kernel_offset(|offsets| &raw const offsets.task_signal));
    let Some(signal) = signal else {
        return false;
    };
    let alive: Option<u32> = read_kernel(signal as usize + kernel_offset(|offsets| &raw const offsets.signal_live));
    alive == Some(0)
}

/// Tells what happened to a process.
#[inline(never)]
pub(crate) fn report(tgid: u32, parent: u32, change: Change) {
    let Some(mut entry) = LIFECYCLE.reserve_untyped::<ProcessRecord>(0) else {
        count_total(|totals| &raw mut totals.lifecycle_ring_full);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { fill_header(&raw mut (*record).header, Task { tgid, tid: tgid }, Kind::PROCESS) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.name = bpf_get_current_comm().unwrap_or([0; 16]);
    record.parent = parent;
    record.connections = match TARGETS.get_ptr(&tgid) {
        // SAFETY: a live map value.
        Some(state) => unsafe { (*state).connections as u32 },
        None => 0,
    };
    record.change = change;
    record.reserved = [0; 7];
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// Fills in the header of a record that belongs to no connection.
///
/// # Safety
///
/// `header` must be writable.
#[inline(always)]
unsafe fn fill_header(header: *mut RecordHeader, task: Task, kind: Kind) {
    // SAFETY: the caller vouches for the pointer; the helper takes no arguments.
    unsafe {
        (*header).ts_ns = bpf_ktime_get_ns();
        (*header).cookie = Cookie(0);
        (*header).ssl = 0;
        (*header).generation = 0;
        (*header).tgid = task.tgid;
        (*header).tid = task.tid;
        (*header).kind = kind;
        (*header).direction = Direction::READ;
        (*header).flags = RecordFlags(0);
        (*header).reserved = 0;
    }
}

/// Counts one loss that belongs to no site.
#[inline(always)]
pub(crate) fn count_total(pick: impl FnOnce(&mut KernelCounters) -> *mut u64) {
    if let Some(totals) = TOTALS.get_ptr_mut(0) {
        // SAFETY: a live map value; the field is only ever added to, atomically.
        unsafe { add(pick(&mut *totals), 1) };
    }
}
