//! Is this task wanted? In: the current task. Out: its process, when it is traced and the probes may report.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use tracer_ebpf::{Change, SettingFlags, TargetFlags, TargetState};

use crate::{
    lifecycle,
    maps::{SWITCH, TARGETS, own_tgid, settings},
};

/// In .rodata and not on the stack.
static MET: TargetState = TargetState::new(TargetFlags::FOLLOW);

/// A thread of a traced process.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
}

/// Names the current thread, wanted or not.
#[inline(always)]
pub(crate) fn current_task() -> Task {
    let pid_tgid = bpf_get_current_pid_tgid();
    Task {
        tgid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
    }
}

/// Names the current thread if its process is traced, and says how it is. Other processes may meet the same probes.
#[inline(always)]
pub(crate) fn traced_task() -> Option<(Task, TargetFlags)> {
    let task = current_task();
    let target = match TARGETS.get_ptr(&task.tgid) {
        None if meet(task.tgid) => TARGETS.get_ptr(&task.tgid),
        found => found,
    }?;
    // SAFETY: a live map value; the flags are written as a whole.
    let flags = unsafe { (*target).flags };
    is_on().then_some((task, flags))
}

/// Tells whether the probes may report: not before everything is in place, and not after the end was decided.
#[inline(always)]
fn is_on() -> bool {
    match SWITCH.get_ptr(0) {
        // SAFETY: a live map value.
        Some(on) => unsafe { *on == 1 },
        None => false,
    }
}

/// Adds a process that was not known, where all are traced; tells whether it is traced.
#[inline(always)]
fn meet(tgid: u32) -> bool {
    settings().contains(SettingFlags::ALL) && tgid != own_tgid() && add_met(tgid) == 1
}

#[inline(never)]
fn add_met(tgid: u32) -> u32 {
    if !is_on() || !lifecycle::add_target(tgid, &MET) {
        return 0;
    }
    lifecycle::await_ciphertext(tgid);
    lifecycle::report(tgid, 0, Change::MET);
    1
}
