//! Polls `/proc` for processes that no BPF program reports.
//!
//! Without BTF the programs cannot report forks and exits. Exits are then found by polling, and so are forks unless the
//! kernel's perf events report them. Selected users need polling on every kernel: a process that changes its user is not
//! reported; and so do selected ports, because a listening socket can be handed on. The records that the programs would have written are written here, with the time of the poll: what a process
//! did before is missed. Without perf events, so is a child whose parent exited between two polls.

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
    /// Polls for forks and exits, on a kernel that needs it and if a poll is due.
    pub(super) fn poll_processes(&mut self) -> Result<()> {
        let now = Instant::now();
        let Some(poller) = self.poller.as_mut().filter(|poller| poller.next() <= now) else {
            return Ok(());
        };
        let exited = poller.poll_exits(self.processes.pids(), start_of);
        self.add_exits(&exited)?;
        self.add_descendants();
        if let Some(poller) = &mut self.poller {
            poller.schedule_next(now.elapsed());
        }
        Ok(())
    }

    fn add_exits(&mut self, exited: &BTreeSet<u32>) -> Result<()> {
        self.probes.untrace(exited)?;
        for pid in exited {
            let record = record(*pid, 0, Change::ENDED);
            self.output.add_record(record.as_bytes());
            self.exit(*pid, record.header.ts_ns);
        }
        Ok(())
    }

    /// Starts to trace descendants of traced processes that are not traced.
    pub(super) fn add_descendants(&mut self) {
        if !self.selection.follow {
            return;
        }
        let known: BTreeSet<u32> = self.processes.pids().collect();
        for pid in descendants_of(&known) {
            if let Some(parent) = parent_of(pid) {
                self.add_child(pid, parent);
            }
        }
    }

    /// Starts to trace a child of a traced process, unless it is traced already.
    pub(super) fn add_child(&mut self, pid: u32, parent: u32) {
        let is_selected = self.selection.follow && pid != std::process::id();
        if !is_selected || self.processes.contains(pid) || !self.processes.contains(parent) {
            return;
        }
        // The record must be older than all other records of the process, so it is written before tracing starts.
        let record = record(pid, parent, Change::FORKED);
        self.output.add_record(record.as_bytes());
        if let Err(error) = self.probes.trace(&BTreeSet::from([pid]), &self.selection) {
            self.messages.say(&format!("process {pid} is not traced: {error:#}"));
        }
        self.fork(pid, parent);
        // It may have executed another program by now.
        self.schedule_scan(pid, Duration::ZERO);
    }

    /// Starts to trace processes that listen on the selected ports and that the programs have not reported: those that were
    /// handed a listening socket, and those that forked a listener and wait for it to end.
    pub(super) fn add_listeners(&mut self) -> Result<()> {
        if self.selection.ports.is_empty() {
            return Ok(());
        }
        let found = self.listeners.find(&self.selection.ports);
        if self.add_processes(&found)? {
            self.add_descendants();
        }
        Ok(())
    }

    /// Starts to trace processes of the selected users that the programs have not reported: those that changed their user
    /// and have not hit a probe since, because their files are not probed or no probe is shared by all processes.
    pub(super) fn add_processes_of_users(&mut self) -> Result<()> {
        let found = self.selection.pids_of_users();
        self.add_processes(&found).map(drop)
    }

    /// Starts to trace those processes of `pids` that are not traced; returns whether there are any.
    fn add_processes(&mut self, pids: &BTreeSet<u32>) -> Result<bool> {
        let mut has_new = false;
        for pid in pids {
            if self.processes.contains(*pid) {
                continue;
            }
            has_new = true;
            self.output.add_record(record(*pid, 0, Change::MET).as_bytes());
            self.probes.trace(&BTreeSet::from([*pid]), &self.selection)?;
            self.processes.add(*pid);
            self.schedule_scan(*pid, Duration::ZERO);
        }
        Ok(has_new)
    }
}

/// Creates the record that a BPF program would have written.
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
    use crate::target::ProcessEvent;

    #[test]
    fn a_record_parses_like_one_of_the_kernel() {
        let own = std::process::id();
        let made = record(own, 6, Change::FORKED);
        assert_eq!(
            ProcessEvent::parse(made.as_bytes()),
            Some(ProcessEvent::Fork { pid: own, parent: 6 })
        );
        let name = name_of(own).unwrap_or_default();
        assert!(!name.is_empty() && made.name.starts_with(name.as_bytes()), "{name}");
        let gone = record(u32::MAX, 0, Change::ENDED);
        assert_eq!(gone.name, [0; 16]);
    }
}
