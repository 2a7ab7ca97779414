//! Scanning a process: which files it maps, and which probes those files need.

use std::sync::Arc;

use anyhow::Result;
use symbolizer::{ProbePlan, Role};
use tracer_ebpf::Direction;

use super::{Follower, processes::ProcessInfo};
use crate::{
    attach::{self, Calls, Chosen, Needs, Placement, SiteInfo},
    resolve::{Resolved, has_none, untraced, why_not},
    target::{FileIdentity, MappedObject, Target, exists, has_memory, parent_of, verify},
};

/// The outcome of a scan.
pub(super) enum Scan {
    /// The process maps a TLS library, which is probed.
    Attached,
    /// It maps none yet.
    NoLibrary,
    /// A file differs from what the process runs, or its crypto library is not mapped. Transient if the process executed
    /// another program during the scan, or still maps its libraries.
    Mismatch(String),
    /// It cannot be traced, for this reason.
    Refused(String),
}

impl Follower {
    /// Scans a process and attaches to its TLS libraries. Prints each library that is probed for the first time; if the
    /// scan is the `first` of the process, each library. Another one that is new in the process is printed a little later.
    pub(super) fn scan(&mut self, pid: u32, first: bool) -> Result<Scan> {
        let target = Target::discover(pid)?;
        let files = self.resolver.resolve(&target);
        if !first && self.awaits_crypto(&files) && !self.mismatched.contains(&pid) {
            return Ok(Scan::Mismatch("its crypto library is not mapped yet".to_owned()));
        }
        let watches = self.probes.watches_sockets() && files.iter().any(has_plan);
        let ciphertext = watches && files.iter().any(Resolved::needs_sends);
        let may_set_bios = watches && files.iter().any(Resolved::may_set_bios);
        let refused = self.processes.get(pid).refused.with(self.calls_of_any(may_set_bios));
        let needs = Needs {
            ciphertext,
            calls: refused.with(self.unchecked(&files)),
        };
        let objects = target.objects.iter().zip(&files);
        let placed = objects.filter_map(|(object, file)| Some((object, file, self.placement(file, needs)?)));
        let placed: Vec<_> = placed.collect();
        let placements: Vec<_> = placed.iter().map(|(_, _, placement)| placement).collect();
        if let Err(reason) = attach::check_target(&target, &placements) {
            return Ok(Scan::Refused(reason.to_string()));
        }
        self.enable_ciphertext_lookup(needs)?;
        let known = self.processes.get(pid);
        let first = first || known.lacks_library;
        let (mut probed, mut traced) = (Vec::new(), Vec::new());
        let mut told = known.traced.clone();
        for (object, file, placement) in placed {
            if let Err(mismatch) = verify(pid, object, placement.offsets()) {
                if exists(pid) {
                    return Ok(Scan::Mismatch(mismatch.to_string()));
                }
                // The process has exited. Attach all the same: the next process with this file is traced from its first
                // call.
                self.attach_shared(object, placement, needs)?;
                continue;
            }
            let is_new = self.attach(pid, object, placement, needs)?;
            probed.push(object.identity);
            for plan in file.resolution.plans() {
                let library = self.describe(plan, file);
                if is_new || first {
                    self.messages
                        .say(&format!("attached to {} ({pid}): {library}", target.name));
                    told.push(library.clone());
                }
                traced.push(library);
            }
        }
        let untraced = self.report_untraced(&target, &files, &known);
        let scan = match (files.iter().any(has_plan), has_none(&files)) {
            (true, _) => Scan::Attached,
            (false, true) => Scan::NoLibrary,
            (false, false) => Scan::Refused(why_not(&files)),
        };
        // A program that was just executed may have mapped libssl and not yet libcrypto, without which it is refused.
        let lacks_library = match &scan {
            Scan::NoLibrary => true,
            Scan::Refused(_) => known.lacks_library,
            Scan::Attached | Scan::Mismatch(_) => false,
        };
        if lacks_library && !has_memory(pid) {
            // The process exited during the scan: a file that could not be opened may be its TLS library.
            return Ok(scan);
        }
        let mut needs = needs;
        if lacks_library {
            // The first call on a library that it loads later may use a custom BIO.
            needs = self.needs_of_any(self.probes.watches_sockets());
            self.enable_ciphertext_lookup(needs)?;
            probed = self.attach_expected(&target.expected(), needs);
        }
        let files = probed;
        self.set_flags(pid, &files, needs)?;
        if self.processes.contains(pid) {
            let info = ProcessInfo {
                files,
                needs,
                refused,
                lacks_library,
                traced,
                untraced,
            };
            let info = Arc::new(info);
            // With `--all`, each process that calls a library is traced, and only the first one with it is named.
            if !self.selection.all && !info.traced.iter().all(|library| told.contains(library)) {
                self.log.add_attached(pid, &info);
            }
            self.processes.set(pid, info);
            let new = refused.without(known.refused);
            if new.is_any() {
                self.probe_calls_of_parents(pid, new)?;
            }
        } else {
            // With `--all`, a process is added on its first probe hit.
            self.processes.add_unused(&files);
        }
        Ok(scan)
    }

    /// Returns whether a file is to be registered for the first time while its crypto library is not mapped: a process that
    /// begins maps one after the other, and the hooks of a file stay as they are then.
    fn awaits_crypto(&self, files: &[Resolved]) -> bool {
        let mut new = files.iter().filter(|file| !self.probes.is_registered(file.identity));
        new.any(Resolved::lacks_crypto)
    }

    /// Reports each TLS library that is not traced, of a process with one that is; returns the messages.
    fn report_untraced(&mut self, target: &Target, files: &[Resolved], known: &ProcessInfo) -> Vec<String> {
        if !files.iter().any(has_plan) {
            return Vec::new();
        }
        let untraced: Vec<_> = untraced(files).into_iter().map(|text| format!(": {text}")).collect();
        for text in untraced.iter().filter(|text| !known.untraced.contains(text)) {
            self.log.report(&target.name, target.pid, text);
        }
        untraced
    }

    /// Attaches the probes that a process needs in a file; returns whether the file is new.
    pub(super) fn attach(
        &mut self,
        pid: u32,
        object: &MappedObject,
        placement: Placement,
        needs: Needs,
    ) -> Result<bool> {
        let is_new = self.announce(object, placement)?;
        self.probes.attach(object.identity, pid, self.reach, needs)?;
        Ok(is_new)
    }

    /// Returns what a process may need whose files are not known yet; `ciphertext` is set if it may use BIOs of its own.
    pub(super) const fn needs_of_any(&self, ciphertext: bool) -> Needs {
        Needs {
            ciphertext,
            calls: self.calls_of_any(ciphertext),
        }
    }

    /// Returns the calls whose lift may be refused: connections with a BIO of the program's own refuse it.
    const fn calls_of_any(&self, ciphertext: bool) -> Calls {
        Calls {
            read: false,
            write: ciphertext || !self.probes.watches_sockets(),
        }
    }

    /// Returns the calls that have to check the taps and lifts of files.
    fn unchecked(&self, files: &[Resolved]) -> Calls {
        let is_unchecked = |direction| {
            let mut files = files.iter().filter(|file| has_plan(file));
            files.any(|file| !self.checked.contains(&(file.identity, direction)))
        };
        Calls {
            read: is_unchecked(Direction::READ),
            write: is_unchecked(Direction::WRITE),
        }
    }

    /// Returns which probes a file gets; `None` for most files.
    pub(super) fn placement(&self, file: &Resolved, needs: Needs) -> Option<Placement> {
        if has_plan(file) {
            return Some(Placement::of_plans(file.resolution.plans(), self.kinds));
        }
        let write = file.bios.write.as_ref().filter(|_| needs.ciphertext)?;
        Some(Placement::of_bio_write(write))
    }

    /// Formats the library of a file, its path, the number of probed functions, and what the kinds of hooks that may be used
    /// cannot capture.
    pub(super) fn describe(&self, plan: &ProbePlan, file: &Resolved) -> String {
        let version = plan.library.version.as_ref();
        let plan = self.kinds.usable(plan);
        let chosen = self.kinds.choose(&plan);
        format!(
            "{} in {}, {} functions{}",
            version.map_or(plan.library.family.name(), |version| &version.text),
            file.path.display(),
            chosen.iter().filter(|chosen| !chosen.is_fallback).count(),
            uncaptured(&chosen),
        )
    }

    /// Probes the calls of a process with a connection that refused the tap or the lift of a direction.
    pub(super) fn probe_refused_calls(&mut self, pid: u32, direction: Direction) -> Result<()> {
        if self.processes.get(pid).refused.has(direction) {
            return Ok(());
        }
        let calls = Calls::of(direction);
        self.probe_needed_calls(pid, calls)?;
        self.probe_calls_of_parents(pid, calls)
    }

    /// Probes the calls of the traced ancestors of a process that needs it, for as long as they run: what they fork or
    /// execute next needs it from its first call on. With `--all`, everything may be an ancestor.
    fn probe_calls_of_parents(&mut self, pid: u32, calls: Calls) -> Result<()> {
        if self.selection.all {
            return Ok(());
        }
        let mut process = pid;
        while let Some(parent) = parent_of(process).filter(|parent| self.processes.contains(*parent)) {
            self.probe_needed_calls(parent, calls)?;
            process = parent;
        }
        Ok(())
    }

    fn probe_needed_calls(&mut self, pid: u32, calls: Calls) -> Result<()> {
        let info = self.processes.get(pid);
        if !calls.without(info.refused).is_any() {
            return Ok(());
        }
        let needs = Needs {
            calls: info.needs.calls.with(calls),
            ..info.needs
        };
        self.probe_calls(pid, &info.files, needs.calls)?;
        let info = ProcessInfo {
            needs,
            refused: info.refused.with(calls),
            ..(*info).clone()
        };
        self.processes.set(pid, Arc::new(info));
        Ok(())
    }

    /// Probes calls of a process in these files, beside their taps and lifts.
    pub(super) fn probe_calls(&mut self, pid: u32, files: &[FileIdentity], calls: Calls) -> Result<()> {
        let needs = Needs {
            calls,
            ..self.processes.get(pid).needs
        };
        for file in files {
            self.probes.attach(*file, pid, self.reach, needs)?;
        }
        Ok(self.set_calls_probed(pid, files, needs)?)
    }

    /// Announces the sites of a file before its probes are attached; returns whether they are new.
    pub(super) fn announce(&mut self, object: &MappedObject, placement: Placement) -> Result<bool> {
        let new = self.probes.register(object, placement)?;
        let is_new = !new.is_empty();
        self.output.add_sites(new.iter().map(SiteInfo::entry));
        Ok(is_new)
    }
}

pub(super) fn has_plan(file: &Resolved) -> bool {
    !file.resolution.plans().is_empty()
}
/// Formats which directions no hook captures: a kind that was asked for may be proven for one of them, or for none.
fn uncaptured(chosen: &[Chosen<'_>]) -> &'static str {
    let captures = |role| chosen.iter().any(|chosen| chosen.hook.role == role);
    match (captures(Role::Read), captures(Role::Write)) {
        (true, true) => "",
        (true, false) => "; what it writes is not captured with these --hooks",
        (false, true) => "; what it reads is not captured with these --hooks",
        (false, false) => "; nothing of it is captured with these --hooks",
    }
}
