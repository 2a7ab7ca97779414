//! Checks taps and lifts against calls: the probes at calls beside them are detached once enough calls have confirmed their
//! byte counts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Follower, processes::ProcessInfo};
use crate::{attach::Needs, limits::CHECKED_CALLS};

/// How often the counters are read while probes at calls are attached beside taps and lifts.
pub(super) const CHECK: Duration = Duration::from_millis(200);

/// Maximum time that probes at calls stay attached if too few calls hit them to confirm anything: every process that uses
/// the library pays for them. They stay longer if a process needs them.
const LONGEST: Duration = Duration::from_secs(10);

impl Follower {
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
        let sites = self.probes.losses()?;
        for (file, is_confirmed) in self.probes.checked(&sites, CHECKED_CALLS, LONGEST) {
            let users: Vec<_> = self.processes.using(file).collect();
            if users.iter().any(|(_, info)| info.needs_calls) {
                continue;
            }
            if is_confirmed {
                self.checked.insert(file);
            }
            for (pid, info) in users.iter().filter(|(_, info)| info.needs.calls) {
                // The programs no longer rely on the calls once their probes go.
                self.probes.set_calls_probed(*pid, false)?;
                let needs = Needs {
                    calls: false,
                    ..info.needs
                };
                let info = ProcessInfo {
                    needs,
                    ..(**info).clone()
                };
                self.processes.set(*pid, Arc::new(info));
            }
            self.probes.detach_fallback(file);
        }
        Ok(())
    }
}
