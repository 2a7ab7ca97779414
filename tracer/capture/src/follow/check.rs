//! Checking taps and lifts: the probes of calls beside them are detached once enough calls have confirmed what they bring.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Follower, processes::ProcessInfo};
use crate::{attach::Needs, limits::CHECKED_CALLS};

/// How often the counters are read while probes of calls are attached that may not be needed.
pub(super) const CHECK: Duration = Duration::from_millis(200);

/// How long probes of calls stay attached that are hit too rarely to confirm anything: every process that uses the library
/// pays for them.
const LONGEST: Duration = Duration::from_secs(10);

impl Follower {
    /// Detaches the probes of calls of files whose taps and lifts enough calls have confirmed, unless a process needs them.
    pub(super) fn detach_checked(&mut self) -> Result<()> {
        let now = Instant::now();
        if !self.probes.has_fallback() || now < self.next_check {
            return Ok(());
        }
        self.next_check = now + CHECK;
        if self.processes.any_lacks_library() {
            return Ok(());
        }
        let sites = self.probes.losses()?;
        for file in self.probes.checked(&sites, CHECKED_CALLS, LONGEST) {
            let users: Vec<_> = self.processes.using(file).collect();
            if users.iter().any(|(_, info)| info.needs_calls) {
                continue;
            }
            self.checked.insert(file);
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
