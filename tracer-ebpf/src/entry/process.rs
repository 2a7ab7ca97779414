//! The scheduler's tracepoints.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::lifecycle;

/// `sched_process_fork(parent, child)`, called by the parent before the child runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub(crate) fn process_forked(ctx: RawTracePointContext) -> i32 {
    lifecycle::forked(ctx.arg(1));
    0
}

/// `sched_process_exec(task, old_pid, binary)`, called by the task under its new name and, as the one thread that is left,
/// with the leader's id; `old_pid` is the one it had.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub(crate) fn process_executed(ctx: RawTracePointContext) -> i32 {
    lifecycle::executed(ctx.arg(1), ctx.arg(2));
    0
}

/// `sched_process_exit(task)`, called by each thread that ends, after the count of those alive was decremented.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub(crate) fn process_ended(ctx: RawTracePointContext) -> i32 {
    lifecycle::ended(ctx.arg(0));
    0
}
