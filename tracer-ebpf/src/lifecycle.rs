//! Processes that begin, run another program, or end.
//!
//! In: the scheduler's tracepoints. Out: the table of traced processes, extended before a child runs its first
//! instruction, and a record of each change. Refuses threads: a process is what `/proc` lists.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_ktime_get_ns},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use tracer_ebpf::{
    Change, Cookie, Direction, KernelCounters, Kind, ProcessRecord, ProcessState, RecordFlags, RecordHeader,
    SettingFlags, TargetFlags, TargetState,
};

use crate::{
    maps::{CGROUPS, LIFECYCLE, NAMES, PROCESSES, TARGETS, THREADS, TOTALS, kernel_offset, settings},
    memory::{add, read_kernel},
    scope::{Task, current_task},
};

/// In .rodata and not on the stack.
static FOLLOWED: TargetState = TargetState::new(TargetFlags::FOLLOW);
static ALONE: TargetState = TargetState::new(TargetFlags(0));
static KNOWN: ProcessState = ProcessState {
    since_ns: 0,
    pending: 0,
};

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
/// `sched_process_exec(task, old_pid, binary)`, called by the task under its new name and, as the one thread that is left,
/// with the leader's id; `old_pid` is the one it had.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn process_executed(ctx: RawTracePointContext) -> i32 {
    let task = current_task();
    let new = if settings().contains(SettingFlags::ALONE) {
        &ALONE
    } else {
        &FOLLOWED
    };
    if TARGETS.get_ptr(&task.tgid).is_some() || (is_wanted() && add_target(task.tgid, new)) {
        begin(task.tgid);
        forget_thread(ctx.arg(1));
        forget_thread(task.tid);
        report(task.tgid, 0, Change::EXECUTED);
    }
    0
}

/// A thread of a traced process ends, perhaps its last one: `sched_process_exit(task)`, called by each thread that ends,
/// after the count of those alive was taken down. Calls it was in never return; the loader removes them.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn process_ended(ctx: RawTracePointContext) -> i32 {
    let task = current_task();
    if TARGETS.get_ptr(&task.tgid).is_none() {
        return 0;
    }
    forget_thread(task.tid);
    if is_last_thread(ctx.arg::<u64>(0) as usize) {
        report(task.tgid, 0, Change::ENDED);
        let _removed = TARGETS.remove(&task.tgid);
        let _removed = PROCESSES.remove(&task.tgid);
    } else {
        count_total(|totals| &raw mut totals.threads_ended);
    }
    0
}

/// Keeps account of a process from now on; what was known of its id is another program's.
#[inline(never)]
fn begin(tgid: u32) {
    let state = ProcessState {
        // SAFETY: the helper takes no arguments.
        since_ns: unsafe { bpf_ktime_get_ns() },
        pending: 0,
    };
    if PROCESSES.insert(&tgid, &state, 0).is_err() {
        count_total(|totals| &raw mut totals.target_table_full);
    }
}

/// Keeps account of a process that may have begun before it was traced; 0 when the table takes no more.
#[inline(never)]
pub(crate) fn keep(tgid: u32) -> u32 {
    let _inserted = PROCESSES.insert(&tgid, &KNOWN, BPF_NOEXIST.into());
    PROCESSES.get_ptr(&tgid).is_some().into()
}

/// When the program of a process began; 0 when that was before it was traced.
#[inline(never)]
pub(crate) fn since_ns(tgid: u32) -> u64 {
    match PROCESSES.get_ptr(&tgid) {
        // SAFETY: a live map value; the field is not written again.
        Some(process) => unsafe { (*process).since_ns },
        None => 0,
    }
}

/// A thread that ended, or whose program did, is in no call.
#[inline(never)]
fn forget_thread(tid: u32) {
    let _removed = THREADS.remove(&tid);
}

#[inline(always)]
fn inherit(parent: u32, child: u32) {
    let followed = match TARGETS.get_ptr(&parent) {
        // SAFETY: a live map value.
        Some(state) => unsafe { (*state).flags.contains(TargetFlags::FOLLOW) },
        None => false,
    };
    if followed {
        // SAFETY: a live map value, copied as a whole.
        let _inherited = TARGETS
            .get_ptr(&parent)
            .is_some_and(|state| add_target(child, unsafe { &*state }));
    }
    // One that was waited for is in the table before it exists.
    if TARGETS.get_ptr(&child).is_some() {
        begin(child);
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
    record.unused = 0;
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
