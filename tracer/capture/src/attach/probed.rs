//! The sites of one file, and the links of the probes that are attached to them.

use std::{collections::BTreeMap, fs::File, num::NonZeroU32, os::fd::AsRawFd as _, path::PathBuf};

use aya::{
    Ebpf,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
};
use symbolizer::Hook;
use tracer_ebpf::Cookie;

use super::{Error, Placement, operands::abi_role, placement::PlannedSite, program::Program, program_of};

/// A file whose sites are registered.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) path: PathBuf,
    /// Held open, so that its inode number is not reused while the file is registered.
    pub(super) file: File,
    pub(super) placement: Placement,
    /// Index of the first site; the others follow in the order of the placement.
    pub(super) first: u32,
    /// Links of probes for all processes.
    pub(super) shared: Links,
    /// Links of probes for single processes, by process.
    pub(super) own: BTreeMap<u32, Links>,
}

/// Links of attached probes, by the index of their site.
pub(super) type Links = BTreeMap<u32, Vec<(Program, UProbeLinkId)>>;

impl Probed {
    /// Returns the wanted hooks that have no probes in `links`, with the indexes of their sites.
    pub(super) fn missing(&self, links: &Links, wanted: impl Fn(&PlannedSite) -> bool) -> Vec<(u32, Hook)> {
        let numbered = (self.first..).zip(&self.placement.sites);
        let missing = numbered.filter(|(index, site)| !links.contains_key(index) && wanted(site));
        missing.map(|(index, site)| (index, site.hook.clone())).collect()
    }

    /// Attaches the probes of hooks for one process, or for all if `pid` is absent. If one probe of a hook fails, the
    /// others of that hook are detached.
    pub(super) fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        hooks: Vec<(u32, Hook)>,
        pid: Option<NonZeroU32>,
    ) -> Result<(), Error> {
        let scope = pid.map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess);
        for (site, hook) in hooks {
            let Some(role) = abi_role(&hook) else {
                continue;
            };
            let cookie = Cookie::new(site, role);
            let mut attached = Vec::new();
            for program in Program::of_role(hook.role) {
                match self.attach_program(ebpf, *program, cookie, &hook, scope) {
                    Ok(link) => attached.push((*program, link)),
                    Err(source) => {
                        detach(ebpf, attached);
                        return Err(self.error(source, &hook));
                    }
                }
            }
            let links = match pid {
                Some(pid) => self.own.entry(pid.get()).or_default(),
                None => &mut self.shared,
            };
            links.insert(site, attached);
        }
        Ok(())
    }

    /// Names the file by its open descriptor: its path may lead to another file by now.
    fn attach_program(
        &self,
        ebpf: &mut Ebpf,
        program: Program,
        cookie: Cookie,
        hook: &Hook,
        scope: UProbeScope,
    ) -> Result<UProbeLinkId, ProgramError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(hook.site.offset.0),
            cookie: Some(cookie.0),
        };
        let probe: &mut UProbe = program_of(ebpf, program.name()).map_err(|_missing| ProgramError::NotLoaded)?;
        probe.attach(point, path, scope)
    }

    fn error(&self, source: ProgramError, hook: &Hook) -> Error {
        Error::Probe {
            function: hook.name.clone(),
            path: self.path.clone(),
            offset: hook.site.offset.0,
            source: Box::new(source),
        }
    }
}

/// Detaches probes.
pub(super) fn detach(ebpf: &mut Ebpf, links: impl IntoIterator<Item = (Program, UProbeLinkId)>) {
    for (program, link) in links {
        if let Ok(probe) = program_of::<UProbe>(ebpf, program.name()) {
            // Fails only if the program does not have the link.
            drop(probe.detach(link));
        }
    }
}
