//! Probes in libraries before a process maps them, so that its first call is seen however soon it ends.
//!
//! In: names of programs that are waited for, and processes without a TLS library so far. Out: probes for every process in
//! the libraries that those would load. Misses what lies elsewhere: in another mount namespace, or in a folder that a
//! program finds by itself.

use anyhow::Result;

use super::{
    Follower,
    look::{described, has_plan, placement},
};
use crate::{
    attach::{Needs, Placement, Reach},
    resolve::Resolved,
    target::{FileIdentity, MappedObject, Target},
};

impl Follower {
    /// Places probes in what the programs that may come would load: those of the names, or, where all are traced or
    /// all of a user, any.
    pub(super) fn place_for_later(&mut self) -> Result<()> {
        if self.reach != Reach::AllProcesses {
            return Ok(());
        }
        for name in self.selection.names.clone() {
            self.place_for_program(&name)?;
        }
        if self.selection.all || !self.selection.users.is_empty() {
            self.place_beside_own_libc(&mut Vec::new())?;
        }
        Ok(())
    }

    /// A program that needs a TLS library names it; one that loads it later, as Python does, takes the system's.
    fn place_for_program(&mut self, name: &str) -> Result<()> {
        let target = Target::of_program(name);
        let files = self.resolver.resolve(&target);
        if self.selection.wait && target.objects.is_empty() {
            self.messages.say(&format!(
                "no program is named {name} in PATH: of one that lies elsewhere, the first milliseconds may not be seen"
            ));
        }
        let mut new = Vec::new();
        if files.iter().any(has_plan) {
            let ciphertext = self.probes.watches_sockets() && files.iter().any(Resolved::needs_ciphertext);
            self.place_all(&target, &files, Needs { ciphertext }, &mut new)?;
        } else {
            self.place_beside_own_libc(&mut new)?;
        }
        for library in new {
            self.messages.say(&format!("expecting {name}: {library}"));
        }
        Ok(())
    }

    fn place_beside_own_libc(&mut self, new: &mut Vec<String>) -> Result<()> {
        let target = Target::discover(std::process::id())?.expected();
        let files = self.resolver.resolve(&target);
        let ciphertext = self.probes.watches_sockets();
        self.place_all(&target, &files, Needs { ciphertext }, new)
    }

    /// Places the probes of the files that have any, and keeps them; names the libraries that are new.
    fn place_all(&mut self, target: &Target, files: &[Resolved], needs: Needs, new: &mut Vec<String>) -> Result<()> {
        self.await_ciphertext(needs)?;
        for (object, file) in target.objects.iter().zip(files) {
            let Some(placement) = placement(file, needs) else {
                continue;
            };
            let is_new = self.place_ahead(object, placement, needs)?;
            self.accounts.keep(object.identity);
            if is_new {
                let plans = file.resolution.plans().iter();
                new.extend(plans.map(|plan| described(plan, file)));
            }
        }
        Ok(())
    }

    /// Places probes in the libraries that a process would load, so that nothing is missed between loading and looking.
    pub(super) fn place_expected(&mut self, expected: &Target, needs: Needs) -> Vec<FileIdentity> {
        let files = self.resolver.resolve(expected);
        let mut probed = Vec::new();
        for (object, file) in expected.objects.iter().zip(&files) {
            let Some(placement) = placement(file, needs) else {
                continue;
            };
            // What cannot be probed ahead is examined again once it is mapped, and then the user is told.
            if self.place(expected.pid, object, placement, needs).is_ok() {
                probed.push(object.identity);
            }
        }
        probed
    }

    /// Places the probes of a file that are for every process; returns whether the file is new.
    pub(super) fn place_ahead(&mut self, object: &MappedObject, placement: Placement, needs: Needs) -> Result<bool> {
        let is_new = self.announce(object, placement)?;
        self.probes.attach_shared(object.identity, self.reach, needs)?;
        self.accounts.set_idle(&[object.identity]);
        Ok(is_new)
    }

    /// Has the kernel look for ciphertext in what goes through sockets, if that is needed; says what it does not offer.
    pub(super) fn await_ciphertext(&mut self, needs: Needs) -> Result<()> {
        if needs.ciphertext {
            // What is rare is said at the end, if a connection missed it.
            let missing = self.probes.attach_ciphertext_lookup()?;
            for missing in missing.iter().filter(|missing| !missing.is_rare()) {
                self.messages.say(&missing.to_string());
            }
        }
        Ok(())
    }
}
