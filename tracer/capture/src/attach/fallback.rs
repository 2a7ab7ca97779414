//! The probes at calls beside taps and lifts: when they may go, and what becomes of a tap or a lift that is wrong.

use std::{thread, time::Duration};

use tracer_ebpf::{Direction, SiteCounters};

use super::{Error, Probes, reached::take_single, tables::Tables};
use crate::target::FileIdentity;

impl Probes {
    /// Returns whether probes at calls are attached beside taps and lifts.
    pub fn has_fallback(&self) -> bool {
        self.with_fallback().next().is_some()
    }

    /// Returns the files that have probes at calls beside taps and lifts, and of which directions.
    pub fn with_fallback(&self) -> impl Iterator<Item = (FileIdentity, Direction)> {
        let files = self.files.iter();
        files.flat_map(|(identity, file)| file.fallback.directions().map(|direction| (*identity, direction)))
    }

    /// Returns whether the probes at calls of a direction of a file may go: because so many calls have confirmed its taps and
    /// lifts, which is true, or because the calls have been probed for so long, which is false. `None` if they may not.
    pub fn checked(
        &self,
        identity: FileIdentity,
        direction: Direction,
        counters: &[SiteCounters],
        calls: u64,
        longest: Duration,
    ) -> Option<bool> {
        let file = self.files.get(&identity)?;
        let is_old = file.fallback.of(direction).since?.elapsed() >= longest;
        let is_confirmed = file.confirmed(counters, direction)? >= calls;
        (is_old || is_confirmed).then_some(is_confirmed)
    }

    /// Returns the file that a site is of.
    pub fn file_of(&self, site: u32) -> Option<FileIdentity> {
        let mut files = self.files.iter();
        files.find_map(|(identity, file)| file.has_site(site).then_some(*identity))
    }

    /// Gives up the tap or the lift of a direction, of the library that a site of a file is of. The calls of all processes
    /// that use it must be probed. The probes of a tap stay, and capture nothing.
    pub fn give_up(&mut self, identity: FileIdentity, site: u32, direction: Direction) -> Result<(), Error> {
        let Some(file) = self.files.get_mut(&identity) else {
            return Ok(());
        };
        file.give_up(site, direction);
        Tables(&mut self.ebpf).configure_all(&file.configured())
    }

    /// Returns whether the calls of a registered file can be probed wherever the tap or the lift of a direction may not serve a
    /// connection.
    pub fn has_calls(&self, identity: FileIdentity, direction: Direction) -> bool {
        self.files.get(&identity).is_none_or(|file| file.has_calls(direction))
    }

    /// Detaches the probes at calls of a file that are beside the taps and lifts of a direction; in the background, if each has
    /// a link of its own.
    pub fn detach_fallback(&mut self, identity: FileIdentity, direction: Direction) -> Result<(), Error> {
        let Some(file) = self.files.get_mut(&identity) else {
            return Ok(());
        };
        let mut links: Vec<_> = file.fallback.of_mut(direction).take().collect();
        // The programs no longer rely on the calls once their probes go.
        Tables(&mut self.ebpf).configure_all(&file.configured())?;
        let single = links.iter_mut().flat_map(|links| take_single(&mut self.ebpf, links));
        let single: Vec<_> = single.collect();
        self.detach_all(links);
        if !single.is_empty() {
            self.finish_detaching();
            // If no thread can be spawned, the closure is dropped here, and detaches them.
            let thread = thread::Builder::new().name("detach".to_owned());
            self.detaching = thread.spawn(move || drop(single)).ok();
        }
        Ok(())
    }
}
