//! Is this task wanted? In: the current task. Out: its process, when it is traced.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use tracer_ebpf::TargetFlags;

use crate::maps::TARGETS;

/// A thread of a traced process.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
    /// How it is traced; none when nobody asked.
    pub(crate) flags: TargetFlags,
}

/// Names the current thread, wanted or not.
#[inline(always)]
pub(crate) fn current_task() -> Task {
    let pid_tgid = bpf_get_current_pid_tgid();
    Task {
        tgid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
        flags: TargetFlags(0),
    }
}

/// Names the current thread if its process is traced.
#[inline(always)]
pub(crate) fn traced_task() -> Option<Task> {
    let task = current_task();
    // SAFETY: a live map value; its flags are written before it is put there, and by the loader.
    TARGETS.get_ptr(&task.tgid).map(|target| Task {
        flags: unsafe { (*target).flags },
        ..task
    })
}
