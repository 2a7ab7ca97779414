//! When the programs' tables are swept, for which processes, and what was said of each table. Ends that come together are
//! swept together, and a table is complained of once a minute at the most.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tracer_observe::health::Subject;

use crate::{
    attach::{Fill, Table},
    message::Messages,
};

/// How long after an end the tables are swept.
const AFTER_END: Duration = Duration::from_millis(250);

/// How often they are swept in any case.
const EVERY: Duration = Duration::from_secs(2);

/// How many times as long as a sweep the pause after it is: large tables must not take a CPU.
const PAUSE: u32 = 20;

/// How long nothing more is said of a table.
const QUIET: Duration = Duration::from_mins(1);

/// When tables are swept, and for whom.
#[derive(Debug)]
pub(super) struct Sweeps {
    /// Processes that ended, or began another program, and when.
    pub(super) ended: BTreeMap<u32, u64>,
    /// Processes that are not traced and had entries in the last sweep.
    pub(super) suspects: BTreeSet<u32>,
    /// When the last sweep was over, and how long it took.
    pub(super) swept: Instant,
    pub(super) took: Duration,
    /// How many threads had ended by then.
    pub(super) threads_ended: u64,
    /// Entries found of processes whose end was overlooked.
    pub(super) left_over: u64,
    /// When something was last said of a table, and how much it had refused by then.
    said: BTreeMap<Table, (Instant, u64)>,
    /// What tables had refused by the last sweep, and records rings.
    refused: BTreeMap<Subject, u64>,
}

impl Sweeps {
    /// Begins with nothing.
    pub(super) fn new() -> Self {
        Self {
            ended: BTreeMap::new(),
            suspects: BTreeSet::new(),
            swept: Instant::now(),
            took: Duration::ZERO,
            threads_ended: 0,
            left_over: 0,
            said: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Notes that a process ended, or began another program.
    pub(super) fn ended(&mut self, pid: u32, at_ns: u64) {
        let last = self.ended.entry(pid).or_default();
        *last = at_ns.max(*last);
    }

    /// Returns whether a process is known to have ended, or begun another program, after something in it began.
    pub(super) fn has_ended(&self, pid: u32, since_ns: u64) -> bool {
        self.ended.get(&pid).is_some_and(|ended_ns| since_ns < *ended_ns)
    }

    /// When the tables are to be swept again.
    pub(super) fn next(&self) -> Instant {
        let pause = if self.ended.is_empty() && self.suspects.is_empty() {
            EVERY
        } else {
            AFTER_END
        };
        self.swept + pause.max(self.took * PAUSE)
    }

    /// Says how many entries were found of processes whose end was overlooked, if any.
    pub(super) fn say_left_over(&self, messages: Messages) {
        if self.left_over > 0 {
            messages.say(&format!(
                "entries of processes whose end was overlooked, removed: {}",
                self.left_over
            ));
        }
    }

    /// How much of what something refused in all is new.
    pub(super) fn newly_refused(&mut self, subject: Subject, refused: u64) -> u64 {
        let before = self.refused.insert(subject, refused).unwrap_or(0);
        refused.saturating_sub(before)
    }

    /// What is to be said of a table that refused so much in all, if anything.
    pub(super) fn complain(&mut self, fill: Fill, refused: u64, now: Instant) -> Option<String> {
        let Fill { table, used, room } = fill;
        let before = self.said.get(&table);
        if before.is_some_and(|(at, _)| now.saturating_duration_since(*at) < QUIET) {
            return None;
        }
        let new = refused > before.map_or(0, |(_, refused)| *refused);
        if !new && !is_nearly_full(fill) {
            return None;
        }
        self.said.insert(table, (now, refused));
        let (what, consequence) = table.description();
        Some(if new {
            format!("the table of {what} was full ({room}): {consequence}; so often by now: {refused}")
        } else {
            format!("the table of {what} is nearly full ({used} of {room}); when it is full, {consequence}")
        })
    }
}

/// Returns whether a table is over nine tenths.
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
    fn ends_that_come_together_are_swept_together_within_a_second() {
        let mut sweeps = Sweeps::new();
        assert_eq!(sweeps.next(), sweeps.swept + EVERY);
        for pid in 0..20_000 {
            sweeps.ended(pid, 5);
        }
        assert_eq!(sweeps.next(), sweeps.swept + AFTER_END);
        sweeps.ended(7, 9);
        sweeps.ended(7, 8);
        assert_eq!(sweeps.ended.get(&7), Some(&9), "the last end counts");
        sweeps.took = Duration::from_millis(30);
        assert_eq!(sweeps.next(), sweeps.swept + Duration::from_millis(600));
    }

    #[test]
    fn a_table_is_complained_of_from_nine_tenths_on_and_once_a_minute() {
        let mut sweeps = Sweeps::new();
        let start = Instant::now();
        assert_eq!(sweeps.complain(calls(90), 0, start), None);
        let said = sweeps.complain(calls(91), 0, start).unwrap();
        assert!(said.contains("calls in flight") && said.contains("91 of 100"), "{said}");
        assert_eq!(sweeps.complain(calls(99), 0, start + QUIET / 2), None);
        assert!(sweeps.complain(calls(99), 0, start + QUIET).is_some());
    }

    #[test]
    fn what_a_table_refused_is_said_also_once_it_has_room_again() {
        let mut sweeps = Sweeps::new();
        let start = Instant::now();
        let said = sweeps.complain(calls(3), 7, start).unwrap();
        assert!(said.contains("was full") && said.ends_with(": 7"), "{said}");
        assert_eq!(sweeps.complain(calls(3), 7, start + QUIET), None, "nothing new");
        assert!(sweeps.complain(calls(3), 8, start + QUIET).is_some());
    }
}
