//! The clocks of the records.

use rustix::time::{ClockId, clock_gettime};

/// Reads the clock that the programs read: `CLOCK_MONOTONIC`, in nanoseconds.
pub fn now_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Reads what the wall clock showed, if it went on like that clock, when that was zero: nanoseconds since 1970.
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
