//! The exchanges of one row: those of the last seconds, and all of them.

use std::collections::VecDeque;

use crate::stat::Counts;

/// How many seconds the last seconds are. The current one is the last of them.
pub(super) const RECENT_SECONDS: u64 = 10;

/// Counts of exchanges.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    all: Tally,
    /// By the second in which they were counted, the oldest first; at most [`RECENT_SECONDS`].
    recent: VecDeque<(u64, Tally)>,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    /// Exchanges of which a part was lost or not seen.
    pub(super) partial: u64,
}

impl Traffic {
    /// Counts something in a second. Seconds do not go back.
    pub(super) fn add(&mut self, second: u64, add: impl Fn(&mut Tally)) {
        add(&mut self.all);
        if self.recent.back().is_none_or(|(last, _)| *last < second) {
            self.recent.push_back((second, Tally::default()));
        }
        if let Some((_, tally)) = self.recent.back_mut() {
            add(tally);
        }
        self.forget(second);
    }

    /// Returns all that was counted.
    pub(super) const fn all(&self) -> &Tally {
        &self.all
    }

    /// Returns what was counted in the last seconds.
    pub(super) fn recent(&mut self, second: u64) -> Tally {
        self.forget(second);
        let mut sum = Tally::default();
        for (_, tally) in &self.recent {
            sum.merge(tally);
        }
        sum
    }

    /// Forgets what is older than the last seconds.
    fn forget(&mut self, second: u64) {
        while self
            .recent
            .front()
            .is_some_and(|(first, _)| first.saturating_add(RECENT_SECONDS) <= second)
        {
            self.recent.pop_front();
        }
    }
}

impl Tally {
    fn merge(&mut self, other: &Self) {
        let Counts {
            requests,
            errors,
            durations,
            gateway,
        } = &other.counts;
        self.counts.requests += requests;
        self.counts.errors += errors;
        self.counts.durations.merge(durations);
        self.counts.gateway.merge(gateway);
        self.partial += other.partial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seconds_move_on_and_the_sum_stays() {
        let mut traffic = Traffic::default();
        for second in 100..130 {
            traffic.add(second, |tally| {
                tally.counts.requests += 1;
                tally.counts.durations.add(second);
            });
            assert!(traffic.recent.len() <= 10);
        }
        let recent = traffic.recent(129);
        assert_eq!(
            (recent.counts.requests, recent.counts.durations.percentile(100)),
            (10, Some(129))
        );
        assert_eq!(traffic.recent(134).counts.requests, 5);
        assert_eq!(traffic.recent(1000).counts.requests, 0);
        assert_eq!(traffic.all().counts.requests, 30);
    }
}
