//! The clocks that times of records come from.

use std::fs;

use super::{Finding, Roots, Subject};
use crate::clock::boot_unix_ns;

/// The current source, in sysfs.
const SOURCE: &str = "devices/system/clocksource/clocksource0/current_clocksource";

/// Sources that are read from a device, which takes a microsecond or more.
const SLOW: [&str; 3] = ["hpet", "acpi_pm", "jiffies"];

/// 2025-01-01. A clock that was never set is before that.
const NOT_SET: u64 = 1_735_689_600;

pub(super) fn examine(roots: &Roots) -> Finding {
    let source = fs::read_to_string(roots.sys.join(SOURCE)).unwrap_or_default();
    let offsets = fs::read_to_string(roots.proc.join("self/timens_offsets")).unwrap_or_default();
    let boot = boot_unix_ns() / 1_000_000_000;
    clock(source.trim(), monotonic_offset(&offsets), boot)
}

/// Returns the seconds by which the monotonic clock of this process's time namespace is ahead of the kernel's.
fn monotonic_offset(offsets: &str) -> i64 {
    let line = offsets.lines().find_map(|line| line.trim().strip_prefix("monotonic"));
    let seconds = line.and_then(|rest| rest.split_whitespace().next());
    seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

fn clock(source: &str, offset: i64, booted: u64) -> Finding {
    let subject = Subject::Clock;
    let value = if source.is_empty() { "unknown" } else { source };
    if offset != 0 {
        return Finding::limited(
            subject,
            value,
            format!(
                "tlscope runs in a time namespace, so the times of lines are wrong by {offset} s; durations are right"
            ),
        )
        .with_action("run tlscope in the time namespace of the host");
    }
    if booted < NOT_SET {
        return Finding::limited(
            subject,
            value,
            "the wall clock is not set, and the times of lines with it; durations are right",
        )
        .with_action("set the clock, as with NTP, and start tlscope after that");
    }
    if SLOW.contains(&source) {
        return Finding::limited(
            subject,
            value,
            "reading this clock takes a microsecond or more, and each hit of a probe reads it",
        )
        .with_action("look into the kernel log for why tsc was marked unstable");
    }
    if source.is_empty() {
        return Finding::unknown(subject, value, "sysfs does not name the source of time");
    }
    Finding::fine(
        subject,
        value,
        "times are those of the wall clock when tlscope starts; if it is stepped later, or the machine suspended, they do \
         not follow",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    const TODAY: u64 = 1_795_000_000;

    #[test]
    fn each_state_of_the_clocks_is_told() {
        assert_eq!(clock("tsc", 0, TODAY).state, State::Fine);
        for slow in SLOW {
            assert_eq!(clock(slow, 0, TODAY).state, State::Limited, "{slow}");
        }
        assert_eq!(clock("", 0, TODAY).state, State::Unknown);
        let unset = clock("tsc", 0, 1000);
        assert!(unset.state == State::Limited && unset.meaning.contains("not set"));
        let shifted = clock("tsc", -86_400, TODAY);
        assert!(shifted.state == State::Limited && shifted.meaning.contains("-86400 s"));
    }

    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        assert_eq!(
            monotonic_offset("monotonic           0         0\nboottime            0         0\n"),
            0
        );
        assert_eq!(
            monotonic_offset("monotonic      -86400         0\nboottime          100         0\n"),
            -86_400
        );
        assert_eq!(monotonic_offset(""), 0);
    }
}
