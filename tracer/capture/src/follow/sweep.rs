//! When the programs' tables are swept, and what the user is told of them.
//!
//! In: which processes ended. Out: tables without what they left, within a second; a line on stderr for a table that is
//! nearly full or refused something, once a minute each. Ends that come together are swept together.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Result;
use tracer_observe::health::{Figures, Subject};

use super::{Follower, losses::When};
use crate::{
    attach::{Ends, Fill, Swept, Table, Threads},
    message::Messages,
    target::{thread_has_ended, threads_of},
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
    ended: BTreeMap<u32, u64>,
    /// Processes that are not traced and had entries in the last sweep.
    suspects: BTreeSet<u32>,
    /// When the last sweep was over, and how long it took.
    swept: Instant,
    took: Duration,
    /// How many threads had ended by then.
    threads_ended: u64,
    /// Entries found of processes whose end was overlooked.
    left_over: u64,
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
    fn newly_refused(&mut self, subject: Subject, refused: u64) -> u64 {
        let before = self.refused.insert(subject, refused).unwrap_or(0);
        refused.saturating_sub(before)
    }

    /// What is to be said of a table that refused so much in all, if anything.
    fn complain(&mut self, fill: Fill, refused: u64, now: Instant) -> Option<String> {
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
        let (what, consequence) = table.words();
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

impl Follower {
    /// Has the programs' tables swept, if it is time to.
    pub(super) fn sweep_tables(&mut self) -> Result<()> {
        let began = Instant::now();
        if self.sweeps.next() > began {
            return Ok(());
        }
        self.tell_reached(When::AfterLoss)?;
        let totals = self.probes.totals()?;
        let threads_ended = totals.threads_ended != self.sweeps.threads_ended;
        let result = self.probes.sweep(Ends {
            processes: &self.sweeps.ended,
            threads: threads_ended.then_some(Threads {
                of_process: threads_of,
                has_ended: thread_has_ended,
            }),
            suspects: &self.sweeps.suspects,
        });
        // Should it fail, it is not tried again without a pause.
        self.sweeps.swept = Instant::now();
        self.sweeps.took = began.elapsed();
        let Swept {
            fills,
            suspects,
            left_over,
        } = result?;
        self.sweeps.threads_ended = totals.threads_ended;
        self.sweeps.ended.clear();
        self.sweeps.suspects = suspects;
        self.sweeps.left_over += left_over;
        self.say_fills(&fills)
    }

    fn say_fills(&mut self, fills: &[Fill]) -> Result<()> {
        let totals = self.probes.totals()?;
        let sites = self.probes.losses()?;
        let lost = sites.iter().map(|site| site.ring_full_records).sum();
        let dropped = self.sweeps.newly_refused(Subject::Ring, lost);
        if dropped > 0 {
            let figures = Figures {
                dropped,
                ..Figures::default()
            };
            self.output.add_health(Subject::Ring, figures);
        }
        let now = Instant::now();
        for fill in fills {
            let refused = match fill.table {
                Table::Targets => totals.target_table_full,
                Table::Calls => sites.iter().map(|site| site.call_table_full).sum(),
                Table::Connections => sites.iter().map(|site| site.connection_table_full).sum(),
                Table::Threads => totals.thread_table_full,
                Table::Ciphertexts => totals.ciphertext_table_full,
                Table::Sockets => totals.socket_table_full,
            };
            let subject = Subject::Table(fill.table.word());
            let figures = Figures {
                used: fill.used.try_into().ok(),
                capacity: fill.room.try_into().ok(),
                dropped: self.sweeps.newly_refused(subject.clone(), refused),
            };
            self.output.add_health(subject, figures);
            if let Some(complaint) = self.sweeps.complain(*fill, refused, now) {
                self.messages.say(&complaint);
            }
        }
        Ok(())
    }
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
