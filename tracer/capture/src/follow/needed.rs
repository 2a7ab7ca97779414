//! Which calls stay probed beside taps and lifts, because connections refuse these or may do so at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tracer_ebpf::Direction;

use crate::target::FileIdentity;

/// How long probes at calls stay attached after the last process that needed them: a script runs one client after the other,
/// and each may send its request before they are attached again.
const KEPT: Duration = Duration::from_secs(10);

/// The calls that are needed, by file and direction.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// When a process last needed them.
    last: BTreeMap<(FileIdentity, Direction), Instant>,
    /// Those that a program needs from its first connection on, which may begin at any time.
    awaited: BTreeSet<(FileIdentity, Direction)>,
}

impl Needed {
    /// Notes that a process needs calls now.
    pub(super) fn note(&mut self, file: FileIdentity, direction: Direction, now: Instant) {
        self.last.insert((file, direction), now);
    }

    /// Keeps calls for the rest of the trace.
    pub(super) fn keep(&mut self, file: FileIdentity, direction: Direction) {
        self.awaited.insert((file, direction));
    }

    /// Returns whether calls are to stay probed at `now`, and forgets those that were needed too long ago.
    pub(super) fn is_needed(&mut self, file: FileIdentity, direction: Direction, now: Instant) -> bool {
        self.last.retain(|_, last| now.saturating_duration_since(*last) < KEPT);
        let calls = (file, direction);
        self.awaited.contains(&calls) || self.last.contains_key(&calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileIdentity = FileIdentity { device: 1, inode: 2 };
    const OTHER: FileIdentity = FileIdentity { device: 1, inode: 3 };

    #[test]
    fn calls_stay_probed_for_a_time_after_they_were_needed() {
        let (mut needed, began) = (Needed::default(), Instant::now());
        assert!(!needed.is_needed(FILE, Direction::WRITE, began));
        needed.note(FILE, Direction::WRITE, began);
        needed.note(FILE, Direction::WRITE, began + KEPT / 2);
        let almost = began + KEPT + KEPT / 3;
        assert!(needed.is_needed(FILE, Direction::WRITE, almost));
        assert!(!needed.is_needed(FILE, Direction::READ, almost));
        assert!(!needed.is_needed(OTHER, Direction::WRITE, almost));
        assert!(!needed.is_needed(FILE, Direction::WRITE, began + KEPT + KEPT / 2));
        assert!(needed.last.is_empty());
    }

    #[test]
    fn calls_of_an_awaited_program_stay_probed() {
        let (mut needed, began) = (Needed::default(), Instant::now());
        needed.keep(FILE, Direction::WRITE);
        assert!(needed.is_needed(FILE, Direction::WRITE, began + 100 * KEPT));
        assert!(!needed.is_needed(FILE, Direction::READ, began));
    }
}
