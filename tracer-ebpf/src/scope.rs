//! Is this task wanted? In: the current task. Out: its process, when it is traced.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::maps::TARGETS;

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

/// Names the current thread if its process is traced.
#[inline(always)]
pub(crate) fn traced_task() -> Option<Task> {
    let task = current_task();
    TARGETS.get_ptr(&task.tgid).map(|_| task)
}
