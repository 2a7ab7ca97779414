//! The loop of the follower thread: handles process events, and does what is due between them.

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
use tracer_ebpf::Direction;

use super::{AFTER_EXEC, Follower, poller::Poller, processes::ProcessInfo, scan::Scan};
use crate::{
    attach::Calls,
    clock::now_ns,
    target::{self, ProcessEvent, exists, name_of},
    thread::at_once,
};

/// Delay from an mmap event to the scan: a library and its dependencies are mapped together.
const AFTER_MMAP: Duration = Duration::from_millis(2);

/// How often all traced processes are checked for exits whose event was lost.
const LIVENESS_CHECK: Duration = Duration::from_secs(2);

/// How often all traced processes are scanned where the kernel reports no mmap events.
const RESCAN: Duration = Duration::from_millis(500);

impl Follower {
    /// Handles events until the sender is dropped.
    pub(crate) fn run(mut self, events: &Receiver<Vec<ProcessEvent>>) -> Self {
        loop {
            match events.recv_timeout(self.next_timeout()) {
                Ok(events) => events.into_iter().for_each(|event| self.handle(event)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.sweeps.report_left_over(self.messages);
                    self.log.report_repeats();
                    return self;
                }
            }
            if let Err(error) = self.run_due() {
                self.messages.say(&format!("following is not complete: {error:#}"));
            }
        }
    }

    fn next_timeout(&self) -> Duration {
        let longest = if self.has_mmap_events { LIVENESS_CHECK } else { RESCAN };
        let poll = self.poller.as_ref().map(Poller::next);
        let due = self.pending_scans.values().copied().chain(poll);
        let check = self.probes.has_fallback().then_some(self.next_check);
        let due = due.chain([self.sweeps.next()]).chain(check).min();
        due.map_or(longest, |due| {
            due.saturating_duration_since(Instant::now()).min(longest)
        })
    }

    fn handle(&mut self, event: ProcessEvent) {
        match event {
            ProcessEvent::Fork { pid, parent } if self.poller.is_some() => self.add_child(pid, parent),
            ProcessEvent::Fork { pid, parent } => self.fork(pid, parent),
            ProcessEvent::Exec { pid, at_ns } => self.exec(pid, at_ns),
            ProcessEvent::FirstHit { pid } => {
                self.processes.add(pid);
                self.schedule_scan(pid, Duration::ZERO);
                self.has_new_listener |= !self.selection.ports.is_empty();
            }
            ProcessEvent::Mmap { pid } => {
                if self.processes.contains(pid) || self.selection.all {
                    self.schedule_scan(pid, AFTER_MMAP);
                }
            }
            ProcessEvent::Lost => {
                self.has_lost_events = true;
                let all: Vec<u32> = self.processes.pids().collect();
                for pid in all {
                    self.schedule_scan(pid, AFTER_MMAP);
                }
            }
            ProcessEvent::Exit { pid, at_ns } => self.exit(pid, at_ns),
            ProcessEvent::HooksRefused {
                pid,
                site,
                direction,
                is_wrong,
            } => {
                if let Err(error) = self.refuse(pid, site, direction, is_wrong)
                    && exists(pid)
                {
                    self.messages
                        .say(&format!("calls of process {pid} are not probed: {error:#}"));
                }
            }
        }
    }

    fn exec(&mut self, pid: u32, at_ns: u64) {
        if !self.is_selected_program(pid) {
            return;
        }
        self.probes.detach_own(pid);
        self.log.remove_attached(pid);
        // The addresses in its table entries belong to the old program.
        self.sweeps.add_ended(pid, at_ns);
        let before = self.processes.get(pid);
        let info = ProcessInfo {
            lacks_library: true,
            ..ProcessInfo::default()
        };
        self.processes.set(pid, Arc::new(info));
        self.schedule_scan(pid, AFTER_EXEC);
        // The program may map the same libraries, and give its first connection a BIO of its own before the scan.
        let calls = before.needs.calls.with(Calls::of(Direction::WRITE));
        if let Err(error) = at_once(|| self.probe_calls(pid, &before.files, calls))
            && exists(pid)
        {
            self.messages
                .say(&format!("calls of process {pid} are not probed: {error:#}"));
        }
    }

    /// Returns whether a process that executed a program is traced. A kernel that cannot compare names longer than
    /// `comm` reports every program whose name begins like a selected one; here the others are dropped, and the
    /// selected ones are added to the kernel's table.
    fn is_selected_program(&mut self, pid: u32) -> bool {
        if self.processes.contains(pid) || self.probes.knows_long_names() {
            return true;
        }
        if self.selection.has_long_name(pid) {
            let traced = self.probes.trace(&BTreeSet::from([pid]), &self.selection);
            return traced.is_ok();
        }
        // The kernel adds a process that is selected by a short name itself.
        self.probes.traced().is_ok_and(|traced| traced.contains(&pid))
    }

    fn run_due(&mut self) -> Result<()> {
        self.poll_processes()?;
        let now = Instant::now();
        let due: Vec<u32> = self
            .pending_scans
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(pid, _)| *pid)
            .collect();
        let due = if due.is_empty() && !self.has_mmap_events {
            self.processes.pids().collect()
        } else {
            due
        };
        for pid in &due {
            self.pending_scans.remove(pid);
            self.rescan(*pid);
        }
        if take(&mut self.has_new_listener) {
            self.add_listeners()?;
            // It may have forked before it listened.
            self.add_descendants();
        }
        self.detach_unused();
        if now.duration_since(self.last_liveness_check) >= LIVENESS_CHECK {
            self.last_liveness_check = now;
            self.check_liveness()?;
        }
        self.detach_checked()?;
        self.sweep_tables()?;
        // The last known process may exit before the event of a child whose fork event was lost.
        if take(&mut self.has_lost_events) || self.processes.is_empty() {
            self.sync_with_kernel()?;
        }
        self.output
            .set_all_ended(self.processes.is_empty() && !self.selection.is_open());
        Ok(())
    }

    fn rescan(&mut self, pid: u32) {
        match self.scan(pid, false) {
            Ok(Scan::Attached | Scan::NoLibrary) => {}
            Ok(Scan::Mismatch(_)) if self.mismatched.insert(pid) => self.schedule_scan(pid, AFTER_EXEC),
            Ok(Scan::Refused(reason) | Scan::Mismatch(reason)) => self.report_refused(pid, &reason),
            // It is exiting and has no mappings; its exit event follows.
            Err(error) if matches!(error.downcast_ref(), Some(target::Error::NoMaps(_))) => {}
            Err(error) => self.report_refused(pid, &format!("{error:#}")),
        }
    }

    fn detach_unused(&mut self) {
        while let Some(file) = self.processes.evict_unused() {
            self.checked.retain(|(checked, _)| *checked != file);
            self.probes.detach_file(file);
        }
    }

    /// Adds processes that are in the kernel's table and not known here, because their event was lost; removes those
    /// that have exited from the table.
    fn sync_with_kernel(&mut self) -> Result<()> {
        for pid in self.probes.traced()? {
            if self.processes.contains(pid) {
                continue;
            }
            if exists(pid) {
                self.processes.add(pid);
                self.schedule_scan(pid, Duration::ZERO);
            } else if !self.selection.pids.contains(&pid) {
                // A selected process id stays in the table: with `--wait` its process may not exist yet.
                self.probes.untrace(&BTreeSet::from([pid]))?;
                self.sweeps.add_ended(pid, now_ns());
            }
        }
        Ok(())
    }

    /// Removes processes whose exit event was lost, and does the other periodic work.
    fn check_liveness(&mut self) -> Result<()> {
        self.log.report_attached(name_of);
        self.mismatched.retain(|pid| exists(*pid));
        let exited: Vec<u32> = self.processes.pids().filter(|pid| !exists(*pid)).collect();
        self.probes.untrace(&exited.iter().copied().collect())?;
        for pid in exited {
            self.exit(pid, now_ns());
        }
        self.add_processes_of_users()?;
        self.add_listeners()?;
        self.sync_with_kernel()
    }
}
