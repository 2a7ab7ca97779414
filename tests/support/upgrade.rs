//! Reloads and binary upgrades of nginx.
//!
//! nginx documents the signals: HUP reloads, USR2 starts a new master, WINCH ends the workers, QUIT ends the master.

use anyhow::Result;

use crate::{Nginx, kernel, wait};

impl Nginx {
    /// Reloads the configuration, and waits until all workers are new.
    pub fn reload(&self) -> Result<()> {
        let former = self.workers()?;
        kernel::signal(self.master(), libc::SIGHUP)?;
        wait::until_true("the workers of a reload", || {
            let workers = self.workers()?;
            Ok(workers.len() == self.workers && workers.iter().all(|worker| !former.contains(worker)))
        })
    }

    /// Replaces the master and its workers, as an upgrade of the binary does.
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
        // The new master is a child of the old one until that ends.
        wait::until_true("the end of the old workers", || Ok(kernel::children(old)? == [new]))?;
        kernel::signal(old, libc::SIGQUIT)?;
        wait::until_true("the end of the old master", || Ok(!kernel::is_running(old)))?;
        self.master = new;
        Ok(())
    }
}
