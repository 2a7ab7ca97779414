//! Scheduling of threads with a deadline.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ScheduleParams, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// Gives the calling thread the lowest real-time priority; returns false without the privilege. The draining thread runs
/// for short moments only, but if a busy gateway delays it a ring overflows. The decoding thread has no such deadline.
pub(crate) fn set_realtime() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let lowest = ThreadPriority::from_posix(ScheduleParams { sched_priority: 1 });
    set_thread_priority_and_policy(thread_native_id(), lowest, policy).is_ok()
}
