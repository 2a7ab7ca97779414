//! When the BPF tables are swept and for which processes, and which warnings about them were printed.
//!
//! One sweep serves all processes that exited shortly before it. A warning about a table is repeated at most once a
//! minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tracer_observe::health::Subject;

use crate::{
    attach::{Fill, Table},
    message::Messages,
};

/// Pause before a sweep when a process has exited.
const AFTER_EXIT: Duration = Duration::from_millis(250);

/// Pause before a sweep when none has.
const IDLE: Duration = Duration::from_secs(2);

/// Minimum pause as a multiple of the duration of the last sweep, so that sweeping large tables does not occupy a CPU.
const PAUSE_FACTOR: u32 = 20;

/// Minimum time between two warnings about the same table.
const QUIET: Duration = Duration::from_mins(1);

/// State of sweeping.
#[derive(Debug)]
pub(super) struct SweepSchedule {
    /// Processes that exited or executed another program since the last sweep, and when.
    pub(super) ended: BTreeMap<u32, u64>,
    /// Untraced processes that had entries at the last sweep. Entries found twice are removed.
    pub(super) suspects: BTreeSet<u32>,
    /// When the last sweep ended.
    pub(super) swept: Instant,
    /// How long the last sweep took.
    pub(super) took: Duration,
    /// The kernel's count of exited threads at the last sweep.
    pub(super) threads_ended: u64,
    /// Entries that were removed although the event of the process's exit was lost.
    pub(super) left_over: u64,
    /// Calls that were removed because their goroutines have left them without returning.
    pub(super) abandoned: u64,
    /// When the last warning about a table was printed, and how many insertions had failed by then.
    warned: BTreeMap<Table, (Instant, u64)>,
    /// Failed insertions by the last sweep; for rings, dropped records.
    refused: BTreeMap<Subject, u64>,
}

impl SweepSchedule {
    pub(super) fn new() -> Self {
        Self {
            ended: BTreeMap::new(),
            suspects: BTreeSet::new(),
            swept: Instant::now(),
            took: Duration::ZERO,
            threads_ended: 0,
            left_over: 0,
            abandoned: 0,
            warned: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Marks the entries of a process as stale if they are older than `at_ns`: it exited or executed another program.
    pub(super) fn add_ended(&mut self, pid: u32, at_ns: u64) {
        let last = self.ended.entry(pid).or_default();
        *last = at_ns.max(*last);
    }

    /// Returns whether a process exited or executed another program after `since_ns`.
    pub(super) fn has_ended(&self, pid: u32, since_ns: u64) -> bool {
        self.ended.get(&pid).is_some_and(|ended_ns| since_ns < *ended_ns)
    }

    /// Returns when the next sweep is due.
    pub(super) fn next(&self) -> Instant {
        let pause = if self.ended.is_empty() && self.suspects.is_empty() {
            IDLE
        } else {
            AFTER_EXIT
        };
        self.swept + pause.max(self.took * PAUSE_FACTOR)
    }

    /// Prints how many entries were removed of processes whose exit was not seen, and of goroutines that ended within a call,
    /// if any.
    pub(super) fn report_left_over(&self, messages: Messages) {
        if self.abandoned > 0 {
            messages.say(&format!(
                "calls of goroutines that never returned, removed: {}",
                self.abandoned
            ));
        }
        if self.left_over > 0 {
            messages.say(&format!(
                "entries of processes whose end was overlooked, removed: {}",
                self.left_over
            ));
        }
    }

    /// Records the total of failed insertions of `subject` and returns how many are new.
    pub(super) fn newly_refused(&mut self, subject: Subject, refused: u64) -> u64 {
        let before = self.refused.insert(subject, refused).unwrap_or(0);
        refused.saturating_sub(before)
    }

    /// Returns a warning about a table that is nearly full or refused insertions, if one is due. `refused` is the total
    /// of failed insertions.
    pub(super) fn warn(&mut self, fill: Fill, refused: u64, now: Instant) -> Option<String> {
        let Fill { table, used, room } = fill;
        let before = self.warned.get(&table);
        if before.is_some_and(|(at, _)| now.saturating_duration_since(*at) < QUIET) {
            return None;
        }
        let has_refused = refused > before.map_or(0, |(_, refused)| *refused);
        if !has_refused && !is_nearly_full(fill) {
            return None;
        }
        self.warned.insert(table, (now, refused));
        let (what, consequence) = table.description();
        Some(if has_refused {
            format!("the table of {what} was full ({room}): {consequence}; times so far: {refused}")
        } else {
            format!("the table of {what} is nearly full ({used} of {room}); when it is full, {consequence}")
        })
    }
}

/// Returns whether more than nine tenths of a table are used.
const fn is_nearly_full(fill: Fill) -> bool {
    fill.used * 10 > fill.room * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(used: usize) -> Fill {
        Fill {
            table: Table::Calls,
            used,
            room: 100,
        }
    }

    #[test]
    fn one_sweep_within_a_second_serves_all_exited_processes() {
        let mut sweeps = SweepSchedule::new();
        assert_eq!(sweeps.next(), sweeps.swept + IDLE);
        for pid in 0..20_000 {
            sweeps.add_ended(pid, 5);
        }
        assert_eq!(sweeps.next(), sweeps.swept + AFTER_EXIT);
        sweeps.add_ended(7, 9);
        sweeps.add_ended(7, 8);
        assert_eq!(sweeps.ended.get(&7), Some(&9), "the latest time counts");
        sweeps.took = Duration::from_millis(30);
        assert_eq!(sweeps.next(), sweeps.swept + Duration::from_millis(600));
    }

    #[test]
    fn a_nearly_full_table_is_warned_about_once_a_minute() {
        let mut sweeps = SweepSchedule::new();
        let start = Instant::now();
        assert_eq!(sweeps.warn(calls(90), 0, start), None);
        let warning = sweeps.warn(calls(91), 0, start).unwrap();
        assert!(
            warning.contains("calls in flight") && warning.contains("91 of 100"),
            "{warning}"
        );
        assert_eq!(sweeps.warn(calls(99), 0, start + QUIET / 2), None);
        assert!(sweeps.warn(calls(99), 0, start + QUIET).is_some());
    }

    #[test]
    fn refused_insertions_are_reported_after_the_table_has_room_again() {
        let mut sweeps = SweepSchedule::new();
        let start = Instant::now();
        let warning = sweeps.warn(calls(3), 7, start).unwrap();
        assert!(warning.contains("was full") && warning.ends_with(": 7"), "{warning}");
        assert_eq!(sweeps.warn(calls(3), 7, start + QUIET), None, "nothing new");
        assert!(sweeps.warn(calls(3), 8, start + QUIET).is_some());
    }
}
