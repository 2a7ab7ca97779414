//! Scheduling of threads with a deadline.

use thread_priority::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ScheduleParams, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Gives the calling thread the lowest real-time priority; returns false without the privilege. The draining thread runs
/// for short moments only, but if a busy gateway delays it a ring overflows. The decoding thread has no such deadline.
pub(crate) fn set_realtime() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let lowest = ThreadPriority::from_posix(ScheduleParams { sched_priority: 1 });
    set_thread_priority_and_policy(thread_native_id(), lowest, policy).is_ok()
}

/// Does something short in the calling thread before whatever else would run.
pub(crate) fn at_once<T>(work: impl FnOnce() -> T) -> T {
    let is_realtime = set_realtime();
    let done = work();
    if is_realtime {
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
        let usual = ThreadPriority::from_posix(ScheduleParams { sched_priority: 0 });
        // It may lower its own priority.
        drop(set_thread_priority_and_policy(thread_native_id(), usual, policy));
    }
    done
}
