//! Attaching to the processes that exist when the trace starts.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::{AFTER_EXEC, Follower, scan::Scan};
use crate::{
    attach,
    target::{self, descendants_of, exists, find, name_of},
};

impl Follower {
    /// Attaches to the selected processes and their descendants. Fails, with the reason for each process, if none can be
    /// traced now or later.
    ///
    /// Processes are added to the kernel's table before their children are listed, and the list is repeated until nothing
    /// is new: a child that is forked in between is reported by the kernel.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let selected = match find(&self.selection) {
            Err(error @ target::Error::NoSuchName { .. }) => bail!("{error}; --wait waits for one"),
            found => found?,
        };
        if self.selection.all {
            self.scan_all(&selected, &BTreeSet::new())?;
            return self.preattach_selection();
        }
        let mut known = selected.clone();
        self.probes.trace(&known, &self.selection)?;
        if self.selection.wait {
            // A process id that is in the table before the process exists is traced from its first instruction.
            self.probes
                .trace(&self.selection.pids.iter().copied().collect(), &self.selection)?;
        }
        loop {
            let found = self.with_descendants(&known);
            if found.is_subset(&known) {
                break;
            }
            self.probes.trace(&found, &self.selection)?;
            known.extend(found);
        }
        self.scan_all(&known, &selected)?;
        self.preattach_selection()?;
        attach::trim_memory();
        if (self.selection.follow || self.selection.is_open()) && self.probes.has_returns() {
            self.messages
                .say("return probes are placed in a process once it is scanned: what it does before is not captured");
        }
        Ok(())
    }

    fn with_descendants(&self, pids: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut found = if self.selection.follow {
            descendants_of(pids)
        } else {
            pids.clone()
        };
        // The tracer itself, if its shell is traced.
        found.remove(&std::process::id());
        found
    }

    /// Scans processes and prints why some are not traced; `selected` are those that the user named. Fails with these
    /// reasons if nothing is left to trace.
    fn scan_all(&mut self, pids: &BTreeSet<u32>, selected: &BTreeSet<u32>) -> Result<()> {
        let mut can_trace = self.selection.is_open();
        for pid in pids {
            self.processes.add(*pid);
            if self.selection.all {
                self.probes.trace(&BTreeSet::from([*pid]), &self.selection)?;
            }
            let is_selected = selected.contains(pid) && !self.selection.all;
            match self.scan(*pid, true) {
                Ok(Scan::Attached) => can_trace = true,
                // With `--all`, only processes with a TLS library stay in the kernel's table.
                Ok(Scan::NoLibrary) if self.selection.all => self.leave(*pid)?,
                Ok(Scan::NoLibrary) => {
                    can_trace = true;
                    if is_selected {
                        self.report_no_library(*pid);
                    }
                }
                Ok(Scan::Mismatch(_)) if !is_selected => self.schedule_scan(*pid, AFTER_EXEC),
                Ok(Scan::Refused(reason) | Scan::Mismatch(reason)) => {
                    can_trace |= self.probes.captures_plain();
                    self.report_refused(*pid, &reason);
                }
                Err(error) if is_selected && !self.selection.is_open() && exists(*pid) => return Err(error),
                Err(_gone) => self.leave(*pid)?,
            }
        }
        if !can_trace {
            bail!(self.log.take_initial());
        }
        self.log.report_initial();
        Ok(())
    }

    fn report_no_library(&mut self, pid: u32) {
        let name = name_of(pid).unwrap_or_default();
        let text = if self.probes.captures_plain() {
            " has no TLS library that tlscope knows; HTTP without TLS is traced, and TLS as soon as it loads one"
        } else {
            " has no TLS library that tlscope knows; it is traced as soon as it loads one"
        };
        self.log.report(&name, pid, text);
    }

    fn leave(&mut self, pid: u32) -> Result<()> {
        self.processes.remove(pid);
        Ok(self.probes.untrace(&BTreeSet::from([pid]))?)
    }
}
