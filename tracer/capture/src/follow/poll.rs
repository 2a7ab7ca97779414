//! Which processes came and went, where no program tells: it is looked, again and again.
//!
//! In: forks as the kernel's account has them, if it has one, the traced processes, and those there are. Out: the records
//! that the programs would have written, and what follows from them. Misses what a process did before it was found, and,
//! without that account, one whose parent ended before.

use std::{
    collections::BTreeSet,
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

impl Follower {
    /// Looks which processes came and went, if it is time to.
    pub(super) fn watch(&mut self) -> Result<()> {
        let now = Instant::now();
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.next() <= now) else {
            return Ok(());
        };
        let ended = watch.ended(self.accounts.pids(), start_of);
        self.note_ends(&ended)?;
        self.note_descendants();
        if let Some(watch) = &mut self.watch {
            watch.rest(now.elapsed());
        }
        Ok(())
    }

    fn note_ends(&mut self, ended: &BTreeSet<u32>) -> Result<()> {
        self.probes.untrace(ended)?;
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

    /// Traces processes of the selected users that the programs have not reported: those that became a user's after they
    /// began, and have hit no probe, because nobody probed the files that they map or because no probe is for all processes.
    pub(super) fn note_processes_of_users(&mut self) -> Result<()> {
        for pid in self.selection.pids_of_users() {
            if self.accounts.has(pid) {
                continue;
            }
            self.output.add_record(record(pid, 0, Change::MET).as_bytes());
            self.probes.trace(&BTreeSet::from([pid]), &self.selection)?;
            self.accounts.add(pid);
            self.look_soon(pid, Duration::ZERO);
        }
        Ok(())
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
            object: 0,
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
