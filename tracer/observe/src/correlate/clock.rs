//! Converts `CLOCK_MONOTONIC`, the clock of the records, to the wall clock.
//!
//! Unlike the wall clock, it is never set, and it stands still while the machine is suspended, so the offset between the two
//! changes. It is sampled with each batch, and a time is converted by the sample before it.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

/// Maximum number of samples kept. Only one that differs from its predecessor is kept.
const MAX_SAMPLES: usize = 64;

/// Difference up to which two samples count as equal: a sample reads the two clocks one after the other.
const JITTER_NS: u64 = 1_000_000;

/// Samples of the offset between the clocks.
#[derive(Debug)]
pub(super) struct Clock {
    /// The time of each sample, and the offset: nanoseconds since 1970 when the records' clock was zero.
    samples: VecDeque<(u64, u64)>,
}

impl Clock {
    /// Creates a clock with the offset that holds until the first sample.
    pub(super) fn new(boot_unix_ns: u64) -> Self {
        Self {
            samples: VecDeque::from([(0, boot_unix_ns)]),
        }
    }

    /// Adds a sample.
    pub(super) fn sample(&mut self, at_ns: u64, boot_unix_ns: u64) {
        let Some((_, last)) = self.samples.back() else {
            return;
        };
        if last.abs_diff(boot_unix_ns) <= JITTER_NS {
            return;
        }
        self.samples.push_back((at_ns, boot_unix_ns));
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
    }

    /// Converts a time of the records' clock.
    pub(super) fn time(&self, at_ns: u64) -> SystemTime {
        let before = self.samples.iter().rev().find(|(from_ns, _)| *from_ns <= at_ns);
        let (_, boot_unix_ns) = before.or(self.samples.front()).copied().unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(boot_unix_ns) + Duration::from_nanos(at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn seconds(clock: &Clock, at: u64) -> u64 {
        let time = clock.time(at * SECOND);
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn a_time_is_converted_by_the_sample_before_it() {
        let mut clock = Clock::new(1000 * SECOND);
        clock.sample(5 * SECOND, 1000 * SECOND + JITTER_NS);
        // The machine is suspended for an hour, and then the clock is set back.
        clock.sample(10 * SECOND, 4600 * SECOND);
        clock.sample(20 * SECOND, 4500 * SECOND);
        assert_eq!(
            [1, 9, 10, 19, 20, 30].map(|at| seconds(&clock, at)),
            [1001, 1009, 4610, 4619, 4520, 4530]
        );
    }

    #[test]
    fn at_the_bound_older_times_are_converted_by_the_oldest_sample() {
        let mut clock = Clock::new(0);
        for step in 1..1000 {
            clock.sample(step * SECOND, step * 10 * SECOND);
        }
        assert!(clock.samples.len() <= MAX_SAMPLES);
        assert_eq!(seconds(&clock, 999), 999 + 9990);
        assert_eq!(seconds(&clock, 1), 1 + (1000 - 64) * 10);
    }
}
