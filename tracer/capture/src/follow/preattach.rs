//! Attaching to libraries before a process maps them, so that its first call is traced however soon the process exits.
//!
//! For a program given by `--name`, these are the libraries that the dynamic linker would load. For a process without a
//! TLS library, which may load one with `dlopen`, they are those beside its C library. Libraries in another mount
//! namespace, or in a folder that only the program knows, are attached to once they are mapped.

use anyhow::Result;

use super::{Follower, scan::has_plan};
use crate::{
    attach::{Calls, Needs, Placement, Reach},
    resolve::Resolved,
    target::{FileIdentity, MappedObject, Target},
};

impl Follower {
    /// Attaches to the libraries of programs that the selection may match later.
    pub(super) fn preattach_selection(&mut self) -> Result<()> {
        if self.reach != Reach::AllProcesses {
            return Ok(());
        }
        for name in self.selection.names.clone() {
            self.preattach_program(&name)?;
        }
        if self.selection.all || !self.selection.users.is_empty() || !self.selection.ports.is_empty() {
            self.preattach_system_libraries(&mut Vec::new())?;
        }
        Ok(())
    }

    /// A program that is linked with a TLS library names it. For one that may load a library at run time, as Python does,
    /// the system's libraries are attached to.
    fn preattach_program(&mut self, name: &str) -> Result<()> {
        let target = Target::of_program(name);
        let files = self.resolver.resolve(&target);
        if self.selection.wait && target.objects.is_empty() {
            self.messages.say(&format!(
                "no program {name} in PATH: the first milliseconds of one in another folder may not be traced"
            ));
        }
        let mut new = Vec::new();
        if files.iter().any(has_plan) {
            let watches = self.probes.watches_sockets();
            let mut needs = self.needs_of_any(watches && files.iter().any(Resolved::may_set_bios));
            needs.ciphertext = watches && files.iter().any(Resolved::needs_sends);
            self.preattach_files(&target, &files, needs, &mut new)?;
            self.keep_calls(&target, &files, needs);
        } else {
            self.preattach_system_libraries(&mut new)?;
        }
        for library in new {
            self.messages.say(&format!("expecting {name}: {library}"));
        }
        Ok(())
    }

    /// Keeps the calls probed that the first connection of an awaited program may need, however late it begins.
    fn keep_calls(&mut self, target: &Target, files: &[Resolved], needs: Needs) {
        let objects = target.objects.iter().zip(files);
        for (object, _) in objects.filter(|(_, file)| has_plan(file)) {
            let needed = Calls::DIRECTIONS
                .into_iter()
                .filter(|direction| needs.calls.has(*direction));
            needed.for_each(|direction| self.needed.keep(object.identity, direction));
        }
    }

    /// Attaches to the TLS libraries beside this process's own C library.
    fn preattach_system_libraries(&mut self, new: &mut Vec<String>) -> Result<()> {
        let target = Target::discover(std::process::id())?.expected();
        let files = self.resolver.resolve(&target);
        let ciphertext = self.probes.watches_sockets();
        self.preattach_files(&target, &files, self.needs_of_any(ciphertext), new)
    }

    /// Attaches to files and pins them; adds a description of each library that is new to `new`.
    fn preattach_files(
        &mut self,
        target: &Target,
        files: &[Resolved],
        needs: Needs,
        new: &mut Vec<String>,
    ) -> Result<()> {
        self.enable_ciphertext_lookup(needs)?;
        for (object, file) in target.objects.iter().zip(files) {
            let Some(placement) = self.placement(file, needs) else {
                continue;
            };
            let is_new = self.attach_shared(object, placement, needs)?;
            self.processes.pin(object.identity);
            if is_new {
                let plans = file.resolution.plans().iter();
                new.extend(plans.map(|plan| self.describe(plan, file)));
            }
        }
        Ok(())
    }

    /// Attaches to the libraries that a process is expected to load; returns those that are probed.
    pub(super) fn attach_expected(&mut self, expected: &Target, needs: Needs) -> Vec<FileIdentity> {
        let files = self.resolver.resolve(expected);
        let mut probed = Vec::new();
        for (object, file) in expected.objects.iter().zip(&files) {
            let Some(placement) = self.placement(file, needs) else {
                continue;
            };
            // A failure is reported by the scan after the process maps the file, if it ever does.
            if self.attach(expected.pid, object, placement, needs).is_ok() {
                probed.push(object.identity);
            }
        }
        probed
    }

    /// Attaches the probes of a file that are shared by all processes; returns whether the file is new.
    pub(super) fn attach_shared(&mut self, object: &MappedObject, placement: Placement, needs: Needs) -> Result<bool> {
        let is_new = self.announce(object, placement)?;
        self.probes.attach_shared(object.identity, self.reach, needs)?;
        self.processes.add_unused(&[object.identity]);
        Ok(is_new)
    }

    /// Attaches the programs that find the socket of a connection by its ciphertext, if they are needed. Prints which of
    /// them this kernel does not support.
    pub(super) fn enable_ciphertext_lookup(&mut self, needs: Needs) -> Result<()> {
        if needs.ciphertext {
            // Parts that few programs need are reported at the end, if a connection had no address.
            let missing = self.probes.attach_ciphertext_lookup()?;
            for missing in missing.iter().filter(|missing| !missing.is_rare()) {
                self.messages.say(&missing.to_string());
            }
        }
        Ok(())
    }
}
