//! When `/proc` is polled for exited processes, and the start time of each traced process: a process id is reused, but
//! not with the same start time.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// Minimum pause between two polls.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Minimum pause as a multiple of the duration of the last poll, so that polling many processes does not occupy a CPU.
const PAUSE_FACTOR: u32 = 20;

/// State of polling.
#[derive(Debug)]
pub(super) struct Poller {
    next: Instant,
    /// Start time of each traced process, in clock ticks since boot.
    start_times: HashMap<u32, u64>,
}

impl Poller {
    /// Creates a poller whose first poll is due now.
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
            start_times: HashMap::new(),
        }
    }

    /// Schedules the next poll; `took` is the duration of the last one.
    pub(super) fn schedule_next(&mut self, took: Duration) {
        self.next = Instant::now() + MIN_PAUSE.max(took * PAUSE_FACTOR);
    }

    /// Returns when the next poll is due.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Returns which of the traced processes have exited since the last poll, and remembers the others.
    pub(super) fn poll_exits(
        &mut self,
        traced: impl Iterator<Item = u32>,
        start_of: impl Fn(u32) -> Option<u64>,
    ) -> BTreeSet<u32> {
        let before = std::mem::take(&mut self.start_times);
        let mut exited = BTreeSet::new();
        for pid in traced {
            match (before.get(&pid), start_of(pid)) {
                (known, Some(now)) if known.is_none_or(|known| *known == now) => {
                    self.start_times.insert(pid, now);
                }
                _ => {
                    exited.insert(pid);
                }
            }
        }
        exited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_exited_when_it_is_gone_or_its_id_is_reused() {
        let mut poller = Poller::new();
        let at = |starts: &'static [(u32, u64)]| {
            move |pid| starts.iter().find(|(known, _)| *known == pid).map(|(_, start)| *start)
        };
        let traced = || [1, 2, 3].into_iter();
        assert!(poller.poll_exits(traced(), at(&[(1, 10), (2, 20), (3, 30)])).is_empty());
        let exited = poller.poll_exits(traced(), at(&[(1, 10), (3, 31)]));
        assert_eq!(exited, BTreeSet::from([2, 3]));
        assert_eq!(poller.start_times, HashMap::from([(1, 10)]), "nothing is left of them");
    }
}
