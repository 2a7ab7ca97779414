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
    Change, Cookie, Direction, FILE_NAME_BYTES, KernelCounters, Kind, NameKind, PATH_BYTES, ProcessRecord,
    ProcessState, RecordFlags, RecordHeader, SettingFlags, TargetFlags, TargetState,
};

use crate::{
    maps::{CGROUPS, LIFECYCLE, LONG_NAMES, NAMES, PATH, PROCESSES, TARGETS, THREADS, TOTALS, kernel_offset, settings},
    memory::{add, copy_kernel_text, forgotten, read_field, read_kernel},
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
    if TARGETS.get_ptr(&task.tgid).is_some() {
        await_ciphertext(task.tgid);
    } else {
        match wanted(ctx.arg(2)) {
            WANTED if add_executed(task.tgid) => {}
            UNDECIDED => {
                report(task.tgid, 0, Change::EXECUTED);
                return 0;
            }
            _ => return 0,
        }
    }
    begin(task.tgid);
    forget_thread(ctx.arg(1));
    forget_thread(task.tid);
    report(task.tgid, 0, Change::EXECUTED);
    0
}

#[inline(always)]
fn add_executed(tgid: u32) -> bool {
    let new = if settings().contains(SettingFlags::ALONE) {
        &ALONE
    } else {
        &FOLLOWED
    };
    let added = add_target(tgid, new);
    await_ciphertext(tgid);
    added
}

/// Has the ciphertext of a process looked for, since it may end before the loader has examined what it needs.
#[inline(never)]
pub(crate) fn await_ciphertext(tgid: u32) {
    if settings().contains(SettingFlags::CIPHERTEXT)
        && let Some(state) = TARGETS.get_ptr_mut(&tgid)
    {
        // SAFETY: a live map value. The loader alone changes the flags as well, and says what it found after this.
        unsafe { (*state).flags = (*state).flags.with(TargetFlags::CIPHERTEXT) };
    }
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

/// What is known of a process that begins a program.
const UNWANTED: u32 = 0;
const WANTED: u32 = 1;
/// Its name is the beginning of one that is traced, and the kernel does not say what its file is called.
const UNDECIDED: u32 = 2;

/// Decides whether the current process bears a name that is traced, or lives in a control group that is.
#[inline(never)]
fn wanted(binary: u64) -> u32 {
    // SAFETY: the helper takes no arguments.
    if CGROUPS.get_ptr(&unsafe { bpf_get_current_cgroup_id() }).is_some() {
        return WANTED;
    }
    let Ok(name) = bpf_get_current_comm() else {
        return UNWANTED;
    };
    match NAMES.get_ptr(&name) {
        // SAFETY: a live map value, which the loader writes before this program is attached.
        Some(kind) => named(unsafe { *kind }, binary),
        None => UNWANTED,
    }
}

#[inline(always)]
fn named(kind: NameKind, binary: u64) -> u32 {
    if kind.contains(NameKind::WHOLE) {
        return WANTED;
    }
    match read_field(binary, |offsets| &raw const offsets.binprm_filename) {
        Some(path) => has_long_name(path),
        None => UNDECIDED,
    }
}

/// Decides whether the file that a path leads to bears a name that is traced. The path is the one that was executed, as
/// the short name is: through a link it is the link's, and of a script the script's.
///
/// A global function, and so verified once and by itself: the verifier of Linux 6.1 would walk what its caller does next
/// anew for each place where the loop can end, and give up.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn has_long_name(path: u64) -> u32 {
    let Some(room) = PATH.get_ptr_mut(0) else {
        return UNWANTED;
    };
    // SAFETY: a map value of this CPU, which no other program uses, and which nothing interrupts this one to use.
    let room = unsafe { &mut *room };
    let length = copy_kernel_text(&mut room.path, path);
    if length <= 0 {
        return UNWANTED;
    }
    let mut before = 0;
    // Without the zero that ends it.
    let characters = length as usize - 1;
    for count in 1..FILE_NAME_BYTES + 1 {
        // Else the compiler counts in `at`, whose end the verifier of Linux 6.1 does not know.
        let back = forgotten(count as u64) as usize;
        if back > characters {
            break;
        }
        let at = characters - back;
        if room.path[at % PATH_BYTES] == b'/' {
            before = at + 1;
            break;
        }
    }
    room.name = [0; FILE_NAME_BYTES];
    if copy_kernel_text(&mut room.name, path + before as u64) <= 0 {
        return UNWANTED;
    }
    LONG_NAMES.get_ptr(&room.name).is_some().into()
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
