//! When it was last looked which processes there are, and which there were. A process id that is used again is told apart
//! by when its process began.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// How often it is looked, at the least.
const EVERY: Duration = Duration::from_millis(100);

/// How many times as long as a look the pause after it is: many processes must not take a CPU.
const PAUSE: u32 = 20;

/// When it was looked, and what was there.
#[derive(Debug)]
pub(super) struct Watch {
    next: Instant,
    /// When each traced process began, in the clock ticks of `/proc`.
    began: HashMap<u32, u64>,
}

impl Watch {
    /// Begins with nothing, and a look that is due.
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
            began: HashMap::new(),
        }
    }

    /// Puts the next look off, by what the last one took.
    pub(super) fn rest(&mut self, took: Duration) {
        self.next = Instant::now() + EVERY.max(took * PAUSE);
    }

    /// When it is to be looked again.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Which of these processes have ended. The others are remembered, with those that are new.
    pub(super) fn ended(
        &mut self,
        traced: impl Iterator<Item = u32>,
        start_of: impl Fn(u32) -> Option<u64>,
    ) -> BTreeSet<u32> {
        let before = std::mem::take(&mut self.began);
        let mut ended = BTreeSet::new();
        for pid in traced {
            match (before.get(&pid), start_of(pid)) {
                (known, Some(now)) if known.is_none_or(|known| *known == now) => {
                    self.began.insert(pid, now);
                }
                _ => {
                    ended.insert(pid);
                }
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_ended_when_it_is_gone_or_another_has_its_id() {
        let mut watch = Watch::new();
        let at = |starts: &'static [(u32, u64)]| {
            move |pid| starts.iter().find(|(known, _)| *known == pid).map(|(_, start)| *start)
        };
        let traced = || [1, 2, 3].into_iter();
        assert!(watch.ended(traced(), at(&[(1, 10), (2, 20), (3, 30)])).is_empty());
        let ended = watch.ended(traced(), at(&[(1, 10), (3, 31)]));
        assert_eq!(ended, BTreeSet::from([2, 3]));
        assert_eq!(watch.began, HashMap::from([(1, 10)]), "nothing is left of them");
    }
}
