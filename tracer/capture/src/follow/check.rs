//! Checks taps and lifts against calls: the probes at calls beside them are detached once enough calls have confirmed their
//! byte counts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use tracer_ebpf::Direction;

use super::{Follower, processes::ProcessInfo};
use crate::{
    attach::{Calls, Needs},
    limits::CHECKED_CALLS,
    target::{FileIdentity, exists},
};

/// How often the counters are read while probes at calls are attached beside taps and lifts.
pub(super) const CHECK: Duration = Duration::from_millis(200);

/// Maximum time that probes at calls stay attached if too few calls hit them to confirm anything: every process that uses
/// the library pays for them. They stay longer if a process needs them.
const LONGEST: Duration = Duration::from_secs(10);

/// How long probes at calls stay attached after the last process that needed them: a script runs one client after the other,
/// and each may send its request before they are attached again.
const KEPT: Duration = Duration::from_secs(10);

impl Follower {
    /// Probes the calls of a process with a connection that refused the tap or the lift of a direction. If it is wrong, it is
    /// given up for the file of the site.
    pub(super) fn refuse(&mut self, pid: u32, site: u32, direction: Direction, is_wrong: bool) -> Result<()> {
        if is_wrong {
            self.give_up(site, direction)?;
        }
        self.probe_refused_calls(pid, direction)
    }

    /// Gives up the tap or the lift of the library that a site is of, because it is wrong: calls capture its bytes in every
    /// process that uses the file, now and later. Does nothing if the calls cannot be probed.
    fn give_up(&mut self, site: u32, direction: Direction) -> Result<()> {
        let has_calls = |file: &FileIdentity| self.probes.has_calls(*file, direction);
        let Some(file) = self.probes.file_of(site).filter(has_calls) else {
            return Ok(());
        };
        self.checked.remove(&(file, direction));
        let users: Vec<u32> = self.processes.using(file).map(|(pid, _)| pid).collect();
        for pid in users {
            // The probes of one that has exited are not needed.
            if let Err(error) = self.probe_refused_calls(pid, direction)
                && exists(pid)
            {
                return Err(error);
            }
        }
        Ok(self.probes.give_up(file, site, direction)?)
    }

    /// Notes which files have a process whose calls must be probed, or had one shortly before.
    fn note_needed(&mut self, now: Instant) {
        let probed: Vec<_> = self.probes.with_fallback().collect();
        for (file, direction) in probed {
            if self.processes.using(file).any(|(_, info)| info.refused.has(direction)) {
                self.needed.insert((file, direction), now);
            }
        }
        self.needed
            .retain(|_, last| now.saturating_duration_since(*last) < KEPT);
    }

    /// Detaches the probes at calls of files whose taps and lifts are checked, unless a process needs them.
    pub(super) fn detach_checked(&mut self) -> Result<()> {
        let now = Instant::now();
        if !self.probes.has_fallback() || now < self.next_check {
            return Ok(());
        }
        self.next_check = now + CHECK;
        // A program that was just executed may give its connections BIOs of its own.
        if !self.pending_scans.is_empty() {
            return Ok(());
        }
        self.note_needed(now);
        let unneeded = self
            .probes
            .with_fallback()
            .filter(|calls| !self.needed.contains_key(calls));
        let unneeded: Vec<_> = unneeded.collect();
        if unneeded.is_empty() {
            return Ok(());
        }
        let sites = self.probes.losses()?;
        for (file, direction) in unneeded {
            if let Some(is_confirmed) = self.probes.checked(file, direction, &sites, CHECKED_CALLS, LONGEST) {
                if is_confirmed {
                    self.checked.insert((file, direction));
                }
                self.detach_calls(file, direction)?;
            }
        }
        Ok(())
    }

    fn detach_calls(&mut self, file: FileIdentity, direction: Direction) -> Result<()> {
        let users: Vec<_> = self.processes.using(file).collect();
        for (pid, info) in users.iter().filter(|(_, info)| info.needs.calls.has(direction)) {
            let needs = Needs {
                calls: info.needs.calls.without(Calls::of(direction)),
                ..info.needs
            };
            // The programs no longer rely on the calls once their probes go.
            self.set_calls_probed(*pid, &info.files, needs)?;
            let info = ProcessInfo {
                needs,
                ..(**info).clone()
            };
            self.processes.set(*pid, Arc::new(info));
        }
        self.probes.detach_fallback(file, direction);
        Ok(())
    }
}
