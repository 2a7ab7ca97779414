//! The loop of the thread that follows: takes what happened to processes, and does what is due.

use std::{
    collections::BTreeSet,
    mem::take,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{AFTER_EXEC, Follower, accounts::Mapped, look::Look, watch::Watch};
use crate::{
    clock::now_ns,
    target::{self, Life, exists, name_of},
};

/// How long after a mapping its process is looked at: a library and those it needs come together.
const AFTER_MAPPING: Duration = Duration::from_millis(2);

/// How often it is checked that processes are still there, should a record of their end have been lost.
const SWEEP: Duration = Duration::from_secs(2);

/// How often processes are looked at where the kernel does not tell of mappings.
const LOOK: Duration = Duration::from_millis(500);

impl Follower {
    /// Follows until nobody tells of anything any more.
    pub(crate) fn run(mut self, lives: &Receiver<Vec<Life>>) -> Self {
        loop {
            match lives.recv_timeout(self.next_due()) {
                Ok(lives) => lives.into_iter().for_each(|life| self.take(life)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.sweeps.say_left_over(self.messages);
                    self.notices.say_repeated();
                    return self;
                }
            }
            if let Err(error) = self.catch_up() {
                self.messages.say(&format!("following is not complete: {error:#}"));
            }
        }
    }

    fn next_due(&self) -> Duration {
        let wait = if self.mappings_are_told { SWEEP } else { LOOK };
        let watch = self.watch.as_ref().map(Watch::next);
        let due = self.due.values().copied().chain(watch);
        let due = due.chain([self.sweeps.next()]).min();
        due.map_or(wait, |due| due.saturating_duration_since(Instant::now()).min(wait))
    }

    fn take(&mut self, life: Life) {
        match life {
            Life::Forked { pid, parent } if self.watch.is_some() => self.note_child(pid, parent),
            Life::Forked { pid, parent } => self.fork(pid, parent),
            Life::Executed { pid, at_ns } => {
                if !self.is_traced_by_name(pid) {
                    return;
                }
                self.probes.detach_own(pid);
                self.notices.left(pid);
                // Every address in it means something else now.
                self.sweeps.ended(pid, at_ns);
                let begun = Mapped {
                    expected: true,
                    ..Mapped::default()
                };
                self.accounts.set(pid, Arc::new(begun));
                self.look_soon(pid, AFTER_EXEC);
            }
            Life::Met { pid } => {
                self.accounts.add(pid);
                self.look_soon(pid, Duration::ZERO);
            }
            Life::Mapped { pid } => {
                if self.accounts.has(pid) || self.selection.all {
                    self.look_soon(pid, AFTER_MAPPING);
                }
            }
            Life::Overlooked => {
                self.overlooked = true;
                let all: Vec<u32> = self.accounts.pids().collect();
                for pid in all {
                    self.look_soon(pid, AFTER_MAPPING);
                }
            }
            Life::Ended { pid, at_ns } => self.end(pid, at_ns),
        }
    }

    /// Returns whether a process that began a program is traced. Where the kernel cannot compare long names it reports
    /// all that begin alike, and those that are meant are traced from now on.
    fn is_traced_by_name(&mut self, pid: u32) -> bool {
        if self.accounts.has(pid) || self.probes.knows_long_names() {
            return true;
        }
        if self.selection.has_long_name(pid) {
            let traced = self.probes.trace(&BTreeSet::from([pid]), &self.selection);
            return traced.is_ok();
        }
        // Those of other names are in the kernel's table already.
        self.probes.traced().is_ok_and(|traced| traced.contains(&pid))
    }

    /// Does what is due.
    fn catch_up(&mut self) -> Result<()> {
        self.watch()?;
        let now = Instant::now();
        let due: Vec<u32> = self
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(pid, _)| *pid)
            .collect();
        let looked_for = !self.mappings_are_told;
        let due = if due.is_empty() && looked_for {
            self.accounts.pids().collect()
        } else {
            due
        };
        for pid in &due {
            self.due.remove(pid);
            self.look_again(*pid);
        }
        self.drop_unused();
        if now.duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.sweep()?;
        }
        self.sweep_tables()?;
        // The end of the last process that is known may be told before a child of it whose fork was overlooked.
        if take(&mut self.overlooked) || self.accounts.is_empty() {
            self.catch_missed()?;
        }
        self.output
            .set_all_ended(self.accounts.is_empty() && !self.selection.is_open());
        Ok(())
    }

    fn look_again(&mut self, pid: u32) {
        match self.look_at(pid, false) {
            Ok(Look::Attached | Look::None) => {}
            Ok(Look::Doubtful(_)) if self.doubtful.insert(pid) => self.look_soon(pid, AFTER_EXEC),
            Ok(Look::Refused(reason) | Look::Doubtful(reason)) => self.say_refused(pid, &reason),
            // It maps nothing any more: its end is about to be told.
            Err(error) if matches!(error.downcast_ref(), Some(target::Error::NoMaps(_))) => {}
            Err(error) => self.say_refused(pid, &format!("{error:#}")),
        }
    }

    /// Takes the probes of files away that nobody has mapped for longest.
    fn drop_unused(&mut self) {
        while let Some(file) = self.accounts.take_unused() {
            self.probes.detach_file(file);
        }
    }

    /// Finds the processes that the kernel traces and of which nothing was told here.
    fn catch_missed(&mut self) -> Result<()> {
        for pid in self.probes.traced()? {
            if self.accounts.has(pid) {
                continue;
            }
            if exists(pid) {
                self.accounts.add(pid);
                self.look_soon(pid, Duration::ZERO);
            } else if !self.selection.pids.contains(&pid) {
                // Its end was overlooked. One that was asked for may be waited for.
                self.probes.untrace(&BTreeSet::from([pid]))?;
                self.sweeps.ended(pid, now_ns());
            }
        }
        Ok(())
    }

    /// Forgets processes that have ended, also those whose end was not told.
    fn sweep(&mut self) -> Result<()> {
        self.notices.say_arrived(name_of);
        self.doubtful.retain(|pid| exists(*pid));
        let gone: Vec<u32> = self.accounts.pids().filter(|pid| !exists(*pid)).collect();
        self.probes.untrace(&gone.iter().copied().collect())?;
        for pid in gone {
            self.end(pid, now_ns());
        }
        self.note_processes_of_users()?;
        self.catch_missed()
    }
}
