//! nginx as it lives: a new configuration, a new binary.
//!
//! In: an nginx under load. Out: the same service by other processes, once the former ones have gone. What the signals
//! mean is nginx's own contract: HUP reloads, USR2 upgrades, WINCH ends the workers, QUIT the master.

use anyhow::Result;

use crate::{Nginx, kernel, wait};

impl Nginx {
    /// Loads the configuration again, and waits until every worker is a new one.
    pub fn reload(&self) -> Result<()> {
        let former = self.workers()?;
        kernel::signal(self.master(), libc::SIGHUP)?;
        wait::until_true("the workers of a reload", || {
            let workers = self.workers()?;
            Ok(workers.len() == self.workers && workers.iter().all(|worker| !former.contains(worker)))
        })
    }

    /// Puts a new master with new workers in place of the old ones, as an upgrade of the binary does.
    pub fn upgrade(&mut self) -> Result<()> {
        let old = self.master();
        kernel::signal(old, libc::SIGUSR2)?;
        let new = wait::until("the new master", || {
            Ok(kernel::pid_in(&self.pid_file()).filter(|pid| *pid != old))
        })?;
        wait::until_true("the workers of the new master", || {
            Ok(kernel::children(new)?.len() == self.workers)
        })?;
        kernel::signal(old, libc::SIGWINCH)?;
        // The new master is the old one's child until that has gone.
        wait::until_true("the end of the old workers", || Ok(kernel::children(old)? == [new]))?;
        kernel::signal(old, libc::SIGQUIT)?;
        wait::until_true("the end of the old master", || Ok(!kernel::is_running(old)))?;
        self.master = new;
        Ok(())
    }
}
