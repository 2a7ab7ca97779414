//! The wall clock of what was observed.
//!
//! In: what the wall clock showed when the records' clock was zero, as sampled with each batch. Out: the time of a moment
//! on the records' clock. The records' clock stands still while the machine is suspended, and nobody sets it; the wall
//! clock goes on, and is set: so a moment has the time by the sample before it.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

/// Samples that are remembered: those in which the clock was set, or the machine slept.
const MAX_SAMPLES: usize = 64;

/// What the samples may differ by without anybody having set the clock: they are taken by reading two clocks in turn.
const JITTER_NS: u64 = 1_000_000;

/// Turns moments on the records' clock into times.
#[derive(Debug)]
pub(super) struct Clock {
    /// From when on which sample holds.
    samples: VecDeque<(u64, u64)>,
}

impl Clock {
    /// Begins with what holds until something else is sampled: nanoseconds since 1970 when the records' clock was zero.
    pub(super) fn new(boot_unix_ns: u64) -> Self {
        Self {
            samples: VecDeque::from([(0, boot_unix_ns)]),
        }
    }

    /// Takes a sample of a moment.
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

    /// The time of a moment.
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
    fn a_moment_has_the_time_by_the_sample_before_it() {
        let mut clock = Clock::new(1000 * SECOND);
        clock.sample(5 * SECOND, 1000 * SECOND + JITTER_NS);
        // An hour of sleep, and then the clock is set back.
        clock.sample(10 * SECOND, 4600 * SECOND);
        clock.sample(20 * SECOND, 4500 * SECOND);
        assert_eq!(
            [1, 9, 10, 19, 20, 30].map(|at| seconds(&clock, at)),
            [1001, 1009, 4610, 4619, 4520, 4530]
        );
    }

    #[test]
    fn samples_are_bounded_and_what_is_older_has_the_oldest_one() {
        let mut clock = Clock::new(0);
        for step in 1..1000 {
            clock.sample(step * SECOND, step * 10 * SECOND);
        }
        assert!(clock.samples.len() <= MAX_SAMPLES);
        assert_eq!(seconds(&clock, 999), 999 + 9990);
        assert_eq!(seconds(&clock, 1), 1 + (1000 - 64) * 10);
    }
}
