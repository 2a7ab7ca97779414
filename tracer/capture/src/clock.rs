//! Clocks that match the timestamps of BPF records.

use rustix::time::{ClockId, clock_gettime};

/// Returns the time of `CLOCK_MONOTONIC` in nanoseconds, the clock of `bpf_ktime_get_ns`.
pub fn now_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Returns the Unix time, in nanoseconds, at which `CLOCK_MONOTONIC` was zero: added to a record's time it gives the wall
/// clock.
pub fn boot_unix_ns() -> u64 {
    nanoseconds(ClockId::Realtime).saturating_sub(now_ns())
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
