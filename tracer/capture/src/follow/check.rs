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
    attach::{Calls, Needs, Reach},
    limits::CHECKED_CALLS,
    target::{FileIdentity, exists},
};

/// How often the counters are read while probes at calls are attached beside taps and lifts.
pub(super) const CHECK: Duration = Duration::from_millis(200);

/// Maximum time that probes at calls stay attached if too few calls hit them to confirm anything: every process that uses
/// the library pays for them. They stay longer if a process needs them.
const LONGEST: Duration = Duration::from_secs(10);

impl Follower {
    /// Probes the calls of a process with a connection that refused the tap or the lift of a direction. If it is wrong, it is
    /// given up for the file of the site.
    pub(super) fn refuse(&mut self, pid: u32, site: u32, direction: Direction, is_wrong: bool) -> Result<()> {
        if is_wrong {
            self.give_up(site, direction)?;
        }
        // The process may end before it is scanned, or before the next check.
        if let Some(file) = self.probes.file_of(site) {
            let calls = Calls::of(direction);
            self.note_refused(&[file], calls);
            if self.reach == Reach::AllProcesses {
                let needs = Needs {
                    calls,
                    ..Needs::default()
                };
                self.probes.attach_shared(file, self.reach, needs)?;
            }
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

    /// Notes that the calls of a file are needed which the connections of a process refuse the tap or the lift of.
    pub(super) fn note_refused(&mut self, files: &[FileIdentity], refused: Calls) {
        let now = Instant::now();
        for direction in Calls::DIRECTIONS
            .into_iter()
            .filter(|direction| refused.has(*direction))
        {
            for file in files {
                self.needed.note(*file, direction, now);
            }
        }
    }

    /// Notes which files have a process now whose calls must be probed.
    fn note_needed(&mut self, now: Instant) {
        let probed: Vec<_> = self.probes.with_fallback().collect();
        for (file, direction) in probed {
            if self.processes.using(file).any(|(_, info)| info.refused.has(direction)) {
                self.needed.note(file, direction, now);
            }
        }
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
        let is_unneeded = |(file, direction): &_| !self.needed.is_needed(*file, *direction, now);
        let unneeded: Vec<_> = self.probes.with_fallback().filter(is_unneeded).collect();
        if unneeded.is_empty() {
            return Ok(());
        }
        let sites = self.probes.losses()?;
        // Where every process is traced, no other one pays, and a call that is rare costs little.
        let longest = if self.selection.all { Duration::MAX } else { LONGEST };
        for (file, direction) in unneeded {
            if let Some(is_confirmed) = self.probes.checked(file, direction, &sites, CHECKED_CALLS, longest) {
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
        Ok(self.probes.detach_fallback(file, direction)?)
    }
}
