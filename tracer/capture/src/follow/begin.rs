//! Attaching to what is there when the tracing begins.
//!
//! In: what was asked for. Out: its processes and their descendants, traced, and one line for each thing that is to be said
//! of them. Refuses, with the reasons, if nothing that was asked for can be traced, now or later.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::{AFTER_EXEC, Follower, look::Look};
use crate::{
    attach,
    target::{self, descendants_of, exists, find, name_of},
};

impl Follower {
    /// Attaches to what is there. The kernel keeps account of the processes first, and only then are their descendants
    /// counted, so that none is forked in between.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let asked = match find(&self.selection) {
            Err(error @ target::Error::NoSuchName { .. }) => bail!("{error}; --wait waits for one"),
            found => found?,
        };
        if self.selection.all {
            self.look_at_all(&asked, &BTreeSet::new())?;
            return self.place_for_later();
        }
        let mut known = asked.clone();
        self.probes.trace(&known, &self.selection)?;
        if self.selection.wait {
            // In the table before it exists, a process is traced from its first instruction.
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
        self.look_at_all(&known, &asked)?;
        self.place_for_later()?;
        attach::trim_heap();
        if (self.selection.follow || self.selection.is_open())
            && let Some(reason) = attach::late_start()
        {
            self.messages.say(&reason);
        }
        Ok(())
    }

    fn with_descendants(&self, pids: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut found = if self.selection.follow {
            descendants_of(pids)
        } else {
            pids.clone()
        };
        // Started from a shell that is traced, the tracer is a descendant too.
        found.remove(&std::process::id());
        found
    }

    /// Says of each process once why it is not traced; fails with that if nothing is left.
    fn look_at_all(&mut self, pids: &BTreeSet<u32>, asked: &BTreeSet<u32>) -> Result<()> {
        let mut hopes = self.selection.is_open();
        for pid in pids {
            self.accounts.add(*pid);
            if self.selection.all {
                // Only those with a TLS library stay in the table.
                self.probes.trace(&BTreeSet::from([*pid]), &self.selection)?;
            }
            let is_asked = asked.contains(pid) && !self.selection.all;
            match self.look_at(*pid, true) {
                Ok(Look::Attached) => hopes = true,
                Ok(Look::None) if self.selection.all => self.leave(*pid)?,
                Ok(Look::None) => {
                    hopes = true;
                    if is_asked {
                        self.note(
                            *pid,
                            " has no TLS library that tlscope knows; it is traced as soon as it loads one",
                        );
                    }
                }
                Ok(Look::Doubtful(_)) if !is_asked => self.look_soon(*pid, AFTER_EXEC),
                Ok(Look::Refused(reason) | Look::Doubtful(reason)) => self.say_refused(*pid, &reason),
                Err(error) if is_asked && !self.selection.is_open() && exists(*pid) => return Err(error),
                Err(_gone) => self.leave(*pid)?,
            }
        }
        if !hopes {
            bail!(self.notices.take_gathered());
        }
        self.notices.say_gathered();
        Ok(())
    }

    fn note(&mut self, pid: u32, words: &str) {
        let name = name_of(pid).unwrap_or_default();
        self.notices.note(&name, pid, words);
    }

    fn leave(&mut self, pid: u32) -> Result<()> {
        self.accounts.remove(pid);
        Ok(self.probes.untrace(&BTreeSet::from([pid]))?)
    }
}
