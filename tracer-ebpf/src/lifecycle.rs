//! Traced processes: they begin, run another program, end, or hit a probe for the first time.
//!
//! A child is in the table of targets before it runs its first instruction, and each change is a record. A process is what
//! `/proc` lists; its other threads are not reported.

use aya_ebpf::helpers::{bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_uid_gid, bpf_ktime_get_ns};
use tracer_ebpf::{
    Change, Cookie, FILE_NAME_BYTES, Kind, NameKind, PATH_BYTES, ProcessRecord, ProcessState, SettingFlags,
    TargetFlags, TargetState,
};

use crate::{
    maps::{CGROUPS, LONG_NAMES, NAMES, PATH, PORTS, PROCESSES, THREADS, UIDS, kernel_offset, own_tgid, settings},
    memory::{copy_kernel_text, forgotten, read_field, read_kernel},
    record::{count_total, fill_header, reserve_end, submit},
    target,
    task::{Task, current_task, is_on},
};

/// In .rodata and not on the stack.
static FOLLOWED: TargetState = TargetState::new(TargetFlags::FOLLOW);
static ALONE: TargetState = TargetState::new(TargetFlags(0));

/// Returns the current thread if its process is traced, and how it is traced. In a process that is seen for the first
/// time while all are traced, or all of its user, tracing begins here.
#[inline(always)]
pub(crate) fn traced_task() -> Option<(Task, TargetFlags)> {
    let task = current_task();
    let flags = match target::flags_of_current(task.tgid) {
        None if add_on_first_hit(task.tgid) => target::flags_of(task.tgid),
        found => found,
    }?;
    is_on().then_some((task, flags))
}

/// Adds a process that is not in the table, if all processes are traced or all of its user; returns whether it is traced
/// now.
#[inline(always)]
fn add_on_first_hit(tgid: u32) -> bool {
    (settings().contains(SettingFlags::ALL) || has_traced_user() == WANTED)
        && tgid != own_tgid()
        && add_and_report(tgid) == 1
}

/// Returns [`WANTED`] if the processes of the current process's user are traced. It is the real user, numbered as in the
/// initial user namespace, in whatever namespace the process is.
#[inline(never)]
fn has_traced_user() -> u32 {
    if !settings().contains(SettingFlags::USERS) {
        return UNWANTED;
    }
    UIDS.get_ptr(&(bpf_get_current_uid_gid() as u32)).is_some().into()
}

#[inline(never)]
fn add_and_report(tgid: u32) -> u32 {
    if !is_on() || !target::insert(tgid, &FOLLOWED) {
        return 0;
    }
    await_ciphertext(tgid);
    report(tgid, 0, Change::MET);
    1
}

/// Traces the current process, which begins to listen on a socket, if the port is selected. Its namespaces do not matter.
#[inline(never)]
pub(crate) fn listened(sock: u64) {
    // Not `read_field`: see `forked`.
    let port: Option<u16> = read_kernel(sock as usize + kernel_offset(|offsets| &raw const offsets.sock_num));
    let Some(port) = port else {
        return;
    };
    let tgid = current_task().tgid;
    if PORTS.get_ptr(&u32::from(port)).is_some()
        && tgid != own_tgid()
        && target::flags_of(tgid).is_none()
        && add_selected(tgid)
    {
        begin(tgid);
        report(tgid, 0, Change::MET);
    }
}

/// Traces the child that the current process has forked, if the process is followed.
#[inline(always)]
pub(crate) fn forked(child: u64) {
    let child = child as usize;
    // Not `read_field`: the compiler would copy an error's value, which is none, and the verifier refuses that.
    let pid: Option<u32> = read_kernel(child + kernel_offset(|offsets| &raw const offsets.task_pid));
    let tgid: Option<u32> = read_kernel(child + kernel_offset(|offsets| &raw const offsets.task_tgid));
    if let (Some(pid), Some(tgid)) = (pid, tgid)
        && pid == tgid
    {
        inherit(current_task().tgid, tgid);
    }
}

/// Notes that the current process runs another program, and traces it if its name, its control group or its user is
/// selected. Its one remaining thread had the id `old_tid`.
#[inline(always)]
pub(crate) fn executed(old_tid: u32, binary: u64) {
    let task = current_task();
    if target::flags_of(task.tgid).is_some() {
        await_ciphertext(task.tgid);
    } else {
        match wanted(binary) {
            WANTED if add_selected(task.tgid) => {}
            UNDECIDED => {
                report(task.tgid, 0, Change::EXECUTED);
                return;
            }
            _ => return,
        }
    }
    begin(task.tgid);
    forget_thread(old_tid);
    forget_thread(task.tid);
    report(task.tgid, 0, Change::EXECUTED);
}

/// Notes that the current thread ends, and with the last one its process. Calls it was in never return; the loader removes
/// them.
#[inline(always)]
pub(crate) fn ended(thread: u64) {
    let task = current_task();
    if target::flags_of_current(task.tgid).is_none() {
        return;
    }
    forget_thread(task.tid);
    if is_last_thread(thread as usize) {
        report(task.tgid, 0, Change::ENDED);
        let _removed = PROCESSES.remove(&task.tgid);
        target::remove(task.tgid);
    } else {
        count_total(|totals| &raw mut totals.threads_ended);
    }
}

/// Adds a process that is selected at its `exec` or when it listens.
#[inline(always)]
fn add_selected(tgid: u32) -> bool {
    let new = if settings().contains(SettingFlags::ALONE) {
        &ALONE
    } else {
        &FOLLOWED
    };
    let added = target::insert(tgid, new);
    await_ciphertext(tgid);
    added
}

/// Enables the matching of a process's ciphertext, since it may end before the loader has examined what it needs.
#[inline(never)]
fn await_ciphertext(tgid: u32) {
    if settings().contains(SettingFlags::CIPHERTEXT) {
        target::add_flags(tgid, TargetFlags::CIPHERTEXT);
    }
}

/// Begins the state of a process; an older one of the same id is another program's.
#[inline(never)]
fn begin(tgid: u32) {
    let state = ProcessState {
        // SAFETY: the helper takes no arguments.
        since_ns: unsafe { bpf_ktime_get_ns() },
        pending: 0,
        unseen_ns: 0,
    };
    if PROCESSES.insert(&tgid, &state, 0).is_err() {
        count_total(|totals| &raw mut totals.target_table_full);
    }
    target::note_change();
}

/// Forgets which call a thread was in: the thread or its program ended.
#[inline(never)]
fn forget_thread(tid: u32) {
    let _removed = THREADS.remove(&tid);
}

#[inline(always)]
fn inherit(parent: u32, child: u32) {
    target::inherit(parent, child, TargetFlags::FOLLOW);
    // A process that was selected before it existed is in the table already.
    if target::flags_of(child).is_some() {
        begin(child);
        report(child, parent, Change::FORKED);
    }
}

/// Whether a process that begins a program is to be traced.
const UNWANTED: u32 = 0;
const WANTED: u32 = 1;
/// Its name is the beginning of a longer one that is traced, and this kernel's BTF does not lead to the name of its file.
const UNDECIDED: u32 = 2;

/// Returns whether the name of the current process is traced, or its control group or its user is.
#[inline(never)]
fn wanted(binary: u64) -> u32 {
    // SAFETY: the helper takes no arguments.
    if CGROUPS.get_ptr(&unsafe { bpf_get_current_cgroup_id() }).is_some() {
        return WANTED;
    }
    if has_traced_user() == WANTED {
        return WANTED;
    }
    let Ok(name) = bpf_get_current_comm() else {
        return UNWANTED;
    };
    match NAMES.get_ptr(&name) {
        // SAFETY: nobody writes the value now: the loader does before this program is attached.
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

/// Returns whether the name of the file that a path leads to is traced. The path is the one that was executed, as
/// the short name is: through a link it is the link's, and of a script the script's.
///
/// A global function, and so verified once and by itself: the verifier of Linux 6.1 would walk the rest of its caller
/// anew for each place where the loop can end, and give up.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn has_long_name(path: u64) -> u32 {
    let Some(room) = PATH.get_ptr_mut(0) else {
        return UNWANTED;
    };
    // SAFETY: a value of this CPU, which only this program uses, at a tracepoint where nothing preempts it to run it again.
    let room = unsafe { &mut *room };
    let length = copy_kernel_text(&mut room.path, path);
    if length <= 0 {
        return UNWANTED;
    }
    let mut before = 0;
    // Without the zero that ends it.
    let characters = length as usize - 1;
    for count in 1..FILE_NAME_BYTES + 1 {
        // The compiler would count in `at` instead, for which the verifier of Linux 6.1 has no bound.
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

#[inline(always)]
fn is_last_thread(task: usize) -> bool {
    let signal: Option<u64> = read_kernel(task + kernel_offset(|offsets| &raw const offsets.task_signal));
    let Some(signal) = signal else {
        return false;
    };
    let alive: Option<u32> = read_kernel(signal as usize + kernel_offset(|offsets| &raw const offsets.signal_live));
    alive == Some(0)
}

/// Reports a change of a process.
#[inline(never)]
fn report(tgid: u32, parent: u32, change: Change) {
    let Some(mut entry) = reserve_end::<ProcessRecord>() else {
        count_total(|totals| &raw mut totals.lifecycle_ring_full);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, 0, 0, Cookie(0)) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::PROCESS;
    // The current process may be the parent.
    record.header.tgid = tgid;
    record.header.tid = tgid;
    record.name = bpf_get_current_comm().unwrap_or([0; 16]);
    record.parent = parent;
    record.unused = 0;
    record.change = change;
    record.reserved = [0; 7];
    submit(entry);
}
