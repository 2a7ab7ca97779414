//! Looking at a process: which files it maps, and which probes those need.
//!
//! In: a process. Out: probes in the files with a TLS library, and one line for each that is new. Refuses, with the
//! reason, a process whose library is not to be traced, and a file that is not what the process runs.

use std::sync::Arc;

use anyhow::Result;
use symbolizer::ProbePlan;
use tracer_observe::batch::SiteEntry;

use super::{Follower, accounts::Mapped};
use crate::{
    attach::{self, Needs, Placement, hooks_of},
    resolve::{Resolved, has_none, untraced, why_not},
    target::{MappedObject, Target, exists, has_memory, verify},
};

/// What looking at a process gave.
pub(super) enum Look {
    /// It has a TLS library, and probes are in it.
    Attached,
    /// It has none so far.
    None,
    /// It maps a file that is not what it runs; or it began another program while it was looked at.
    Doubtful(String),
    /// It has one that is not traced, because.
    Refused(String),
}

impl Follower {
    /// Looks which files a process maps, and attaches to those with a TLS library; says so for each file that is new,
    /// and for each process if it is `first`.
    pub(super) fn look_at(&mut self, pid: u32, first: bool) -> Result<Look> {
        let target = Target::discover(pid)?;
        let files = self.resolver.resolve(&target);
        if let Err(reason) = attach::check_target(&target) {
            return Ok(Look::Refused(reason.to_string()));
        }
        let needs = Needs {
            ciphertext: self.probes.watches_sockets()
                && files.iter().any(Resolved::needs_ciphertext)
                && files.iter().any(has_plan),
        };
        self.await_ciphertext(needs)?;
        let known = self.accounts.of(pid);
        let first = first || known.expected;
        let (mut probed, mut traced) = (Vec::new(), Vec::new());
        for (object, file) in target.objects.iter().zip(&files) {
            let Some(placement) = placement(file, needs) else {
                continue;
            };
            if let Err(mismatch) = verify(pid, object, placement.offsets()) {
                if exists(pid) {
                    return Ok(Look::Doubtful(mismatch.to_string()));
                }
                // It has ended meanwhile; the next that maps the file is seen from its first call on.
                self.place_ahead(object, placement, needs)?;
                continue;
            }
            let is_new = self.place(pid, object, placement, needs)?;
            probed.push(object.identity);
            if let Some(plan) = file.resolution.plan() {
                let library = described(plan, file);
                if is_new || first {
                    self.messages
                        .say(&format!("attached to {} ({pid}): {library}", target.name));
                }
                traced.push(library);
            }
        }
        let untraced = self.note_untraced(&target, &files, &known);
        let looked = match (files.iter().any(has_plan), has_none(&files)) {
            (true, _) => Look::Attached,
            (false, true) => Look::None,
            (false, false) => Look::Refused(why_not(&files)),
        };
        let expected = matches!(looked, Look::None);
        if expected && !has_memory(pid) {
            // It ended while its files were opened, so those that could not be are no sign of what it lacks.
            return Ok(looked);
        }
        let mut needs = needs;
        if expected {
            // Whatever it loads, its first call may be on a BIO of its own.
            needs.ciphertext = self.probes.watches_sockets();
            self.await_ciphertext(needs)?;
            probed = self.place_expected(&target.expected(), needs);
        }
        self.probes.look_for_ciphertext(pid, needs.ciphertext)?;
        let files = probed;
        if self.accounts.has(pid) {
            let mapped = Mapped {
                files,
                needs,
                expected,
                traced,
                untraced,
            };
            self.accounts.set(pid, Arc::new(mapped));
        } else {
            // Where all are traced, a process that has not met a probe yet is not known.
            self.accounts.set_idle(&files);
        }
        Ok(looked)
    }

    /// Notes each TLS library of a process that is not traced beside one that is; returns them in words.
    fn note_untraced(&mut self, target: &Target, files: &[Resolved], known: &Mapped) -> Vec<String> {
        if !files.iter().any(has_plan) {
            return Vec::new();
        }
        let untraced: Vec<_> = untraced(files).into_iter().map(|words| format!(": {words}")).collect();
        for words in untraced.iter().filter(|words| !known.untraced.contains(words)) {
            self.notices.note(&target.name, target.pid, words);
        }
        untraced
    }

    /// Places the probes of a file that a process needs; tells whether the file is new.
    pub(super) fn place(
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

    /// Makes the sites of a file known before its probes are placed; tells whether they are new.
    pub(super) fn announce(&mut self, object: &MappedObject, placement: Placement) -> Result<bool> {
        let new = self.probes.announce(object, placement)?;
        let is_new = !new.is_empty();
        let new = new.iter().map(|site| SiteEntry {
            path: site.path.display().to_string(),
            function: site.function.clone(),
            library: site.library.to_owned(),
        });
        self.output.add_sites(new);
        Ok(is_new)
    }
}

pub(super) fn has_plan(file: &Resolved) -> bool {
    file.resolution.plan().is_some()
}

/// What is to be probed in a file; nothing in most.
pub(super) fn placement(file: &Resolved, needs: Needs) -> Option<Placement> {
    if let Some(plan) = file.resolution.plan() {
        return Some(Placement::of_plan(plan));
    }
    let write = file.bios.write.as_ref().filter(|_| needs.ciphertext)?;
    Some(Placement::of_bio_write(write))
}

/// Names the library of a file, where it is, and how much of it is probed.
pub(super) fn described(plan: &ProbePlan, file: &Resolved) -> String {
    let version = plan.library.version.as_ref();
    format!(
        "{} in {}, {} functions",
        version.map_or(plan.library.family.name(), |version| &version.text),
        file.path.display(),
        hooks_of(plan).count(),
    )
}
