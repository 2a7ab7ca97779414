//! Until when a ring was read completely.
//!
//! In: at the beginning of each drain the time and how far the programs have come; at its end how far the ring was read.
//! Out: a time before which no record of the ring is missing. A program reserves a record's room first and reads the
//! clock then, so every record behind a position that a ring had not yet reached at some moment was made after that
//! moment. That holds for records still being written, and where programs interrupt each other, which the records' own
//! times would not tell.

use std::collections::VecDeque;

/// Moments remembered of one ring: it must stand still for so many drains while its programs go on.
const MAX_MOMENTS: usize = 1024;

/// How far the clock that programs read may be behind the one that this side reads: `bpf_ktime_get_ns` reads it without
/// a lock, and may be off by what an update of the clock changes, which is far less.
const CLOCK_SLACK_NS: u64 = 100_000;

/// What is remembered of a ring.
#[derive(Debug)]
pub(super) struct Progress {
    /// Every record that is not read yet was made after this.
    complete_until_ns: u64,
    /// Times of drains that are not wholly read, and how far the ring had been filled at each.
    moments: VecDeque<(u64, u64)>,
}

impl Progress {
    /// Begins with a ring to which no program had access before.
    pub(super) const fn new(now_ns: u64) -> Self {
        Self {
            complete_until_ns: now_ns.saturating_sub(CLOCK_SLACK_NS),
            moments: VecDeque::new(),
        }
    }

    /// Notes how far the ring was filled at a moment; the clock must have been read first.
    pub(super) fn begin(&mut self, now_ns: u64, produced: u64) {
        let room = self.moments.len() < MAX_MOMENTS;
        match self.moments.back_mut() {
            // Nothing came in between, or there is no room: one moment stands for both. A later time for what lies
            // behind the later position is true, if less sharp.
            Some(last) if last.1 == produced || !room => *last = (now_ns, produced),
            _ => self.moments.push_back((now_ns, produced)),
        }
    }

    /// Says until when the ring is complete, once it was read up to a position.
    pub(super) fn complete_until(&mut self, consumed: u64) -> u64 {
        while let Some((time_ns, _)) = self.moments.pop_front_if(|(_, produced)| *produced <= consumed) {
            self.complete_until_ns = self.complete_until_ns.max(time_ns.saturating_sub(CLOCK_SLACK_NS));
        }
        self.complete_until_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn after(time_ns: u64) -> u64 {
        time_ns - CLOCK_SLACK_NS
    }

    #[test]
    fn a_ring_that_was_read_to_the_end_is_complete_until_the_drain_began() {
        let mut progress = Progress::new(START);
        progress.begin(START + 5, 100);
        assert_eq!(progress.complete_until(100), after(START + 5));
        progress.begin(START + 9, 100);
        assert_eq!(progress.complete_until(100), after(START + 9));
    }

    #[test]
    fn what_is_left_over_holds_the_time_at_the_drain_before_it_was_made() {
        let mut progress = Progress::new(START);
        progress.begin(START + 10, 100);
        assert_eq!(progress.complete_until(100), after(START + 10));
        progress.begin(START + 20, 300);
        assert_eq!(progress.complete_until(200), after(START + 10));
        progress.begin(START + 30, 500);
        assert_eq!(progress.complete_until(299), after(START + 10));
        assert_eq!(progress.complete_until(300), after(START + 20));
        assert_eq!(progress.complete_until(500), after(START + 30));
    }

    #[test]
    fn a_ring_that_stands_still_is_remembered_within_a_bound_and_never_too_late() {
        let mut progress = Progress::new(START);
        let rounds = 3 * u64::try_from(MAX_MOMENTS).unwrap();
        for round in 1..=rounds {
            progress.begin(START + round, round);
            assert_eq!(progress.complete_until(0), after(START));
        }
        assert!(progress.moments.len() <= MAX_MOMENTS);
        assert_eq!(progress.complete_until(5), after(START + 5));
        // Beyond the bound, positions in between are complete only since the last moment that was kept apart.
        let kept = START + u64::try_from(MAX_MOMENTS).unwrap() - 1;
        assert_eq!(progress.complete_until(rounds - 1), after(kept));
        assert_eq!(progress.complete_until(rounds), after(START + rounds));
    }
}
