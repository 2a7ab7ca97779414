//! Which processes came and went, where no program tells: it is looked, again and again.
//!
//! In: forks as the kernel's account has them, if it has one, the traced processes, and those there are. Out: the records
//! that the programs would have written, and what follows from them. Misses what a process did before it was found, and,
//! without that account, one whose parent ended before. A process id that is used again is told apart by when its process
//! began.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use anyhow::Result;
use tracer_ebpf::{Change, Cookie, Direction, Kind, ProcessRecord, RecordFlags, RecordHeader};
use zerocopy::IntoBytes as _;

use super::Follower;
use crate::{
    clock::now_ns,
    target::{descendants_of, name_of, parent_of, start_of},
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

    /// When it is to be looked again.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Which of these processes have ended. The others are remembered, with those that are new.
    fn ended(&mut self, traced: impl Iterator<Item = u32>, start_of: impl Fn(u32) -> Option<u64>) -> BTreeSet<u32> {
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

impl Follower {
    /// Looks which processes came and went, if it is time to.
    pub(super) fn watch(&mut self) -> Result<()> {
        let now = Instant::now();
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.next <= now) else {
            return Ok(());
        };
        let ended = watch.ended(self.accounts.pids(), start_of);
        self.note_ends(&ended)?;
        self.note_descendants();
        if let Some(watch) = &mut self.watch {
            watch.next = Instant::now() + EVERY.max(now.elapsed() * PAUSE);
        }
        Ok(())
    }

    fn note_ends(&mut self, ended: &BTreeSet<u32>) -> Result<()> {
        self.probes.leave(ended)?;
        for pid in ended {
            let record = record(*pid, 0, Change::ENDED);
            self.output.add_record(record.as_bytes());
            self.end(*pid, record.header.ts_ns);
        }
        Ok(())
    }

    fn note_descendants(&mut self) {
        if !self.selection.follow {
            return;
        }
        let known: BTreeSet<u32> = self.accounts.pids().collect();
        for pid in descendants_of(&known) {
            if let Some(parent) = parent_of(pid) {
                self.note_child(pid, parent);
            }
        }
    }

    /// Traces a child of a traced process from now on, unless it is already.
    pub(super) fn note_child(&mut self, pid: u32, parent: u32) {
        let wanted = self.selection.follow && pid != std::process::id();
        if !wanted || self.accounts.has(pid) || !self.accounts.has(parent) {
            return;
        }
        // Nothing of it is traced before this, so that nothing of it is older than the record.
        let record = record(pid, parent, Change::FORKED);
        self.output.add_record(record.as_bytes());
        if let Err(error) = self.probes.trace(&BTreeSet::from([pid]), &self.selection) {
            self.messages.say(&format!("process {pid} is not traced: {error:#}"));
        }
        self.fork(pid, parent);
        // It may run another program than its parent by now.
        self.look_soon(pid, Duration::ZERO);
    }
}

/// What the kernel would have written.
fn record(pid: u32, parent: u32, change: Change) -> ProcessRecord {
    let mut name = [0; 16];
    let comm = name_of(pid).unwrap_or_default();
    for (to, from) in name.iter_mut().zip(comm.bytes().take(15)) {
        *to = from;
    }
    ProcessRecord {
        header: RecordHeader {
            ts_ns: now_ns(),
            cookie: Cookie(0),
            ssl: 0,
            generation: 0,
            tgid: pid,
            tid: pid,
            kind: Kind::PROCESS,
            direction: Direction::READ,
            flags: RecordFlags(0),
            reserved: 0,
        },
        name,
        parent,
        unused: 0,
        change,
        reserved: [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Life;

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

    #[test]
    fn a_record_reads_as_the_kernels_own() {
        let own = std::process::id();
        let made = record(own, 6, Change::FORKED);
        assert_eq!(Life::parse(made.as_bytes()), Some(Life::Forked { pid: own, parent: 6 }));
        let name = name_of(own).unwrap_or_default();
        assert!(!name.is_empty() && made.name.starts_with(name.as_bytes()), "{name}");
        let gone = record(u32::MAX, 0, Change::ENDED);
        assert_eq!(gone.name, [0; 16]);
    }
}
