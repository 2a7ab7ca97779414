//! The probes of one file.
//!
//! In: a file held open, and what is to be probed in it. Out: links, for everyone or for one process. Those of a hook
//! are placed all or none.

use std::{collections::BTreeMap, fs::File, num::NonZeroU32, os::fd::AsRawFd as _, path::PathBuf};

use aya::{
    Ebpf,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
};
use symbolizer::{Hook, Role};
use tracer_ebpf::Cookie;

use super::{
    Error, Placement,
    operands::abi_role,
    program::{Point, Program},
    program_of,
};

/// A file with sites.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) path: PathBuf,
    /// Held open, so that its number cannot come to mean another file.
    pub(super) file: File,
    pub(super) placement: Placement,
    /// Its first site; its hooks follow in the order of their placement.
    pub(super) first: u32,
    /// The probes for everyone.
    pub(super) shared: Links,
    /// The probes for one process each.
    pub(super) own: BTreeMap<u32, Links>,
}

/// Probes in place, by the site they sit on.
pub(super) type Links = BTreeMap<u32, Vec<(Program, UProbeLinkId)>>;

impl Probed {
    /// The hooks that are wanted and have no probes in `links`, with their sites.
    pub(super) fn missing(&self, links: &Links, wanted: impl Fn(&Placement, &Hook) -> bool) -> Vec<(u32, Hook)> {
        let numbered = (self.first..).zip(&self.placement.hooks);
        let missing = numbered.filter(|(site, hook)| !links.contains_key(site) && wanted(&self.placement, hook));
        missing.map(|(site, hook)| (site, hook.clone())).collect()
    }

    /// Places the probes of hooks, for one process or for everyone; those of a hook all or none.
    pub(super) fn place(
        &mut self,
        ebpf: &mut Ebpf,
        mut hooks: Vec<(u32, Hook)>,
        pid: Option<NonZeroU32>,
    ) -> Result<(), Error> {
        let scope = pid.map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess);
        // A tap takes a connection that was cleared for one that is seen from its start.
        hooks.sort_by_key(|(_, hook)| hook.role == Role::Clear);
        for (site, hook) in hooks {
            let Some(role) = abi_role(&hook) else {
                continue;
            };
            let cookie = Cookie::new(site, role);
            let mut placed = Vec::new();
            for point in Program::points(&hook, cookie) {
                match self.place_one(ebpf, point, scope) {
                    Ok(link) => placed.push((point.program, link)),
                    Err(source) => {
                        detach(ebpf, placed);
                        return Err(self.error(source, &hook));
                    }
                }
            }
            let links = match pid {
                Some(pid) => self.own.entry(pid.get()).or_default(),
                None => &mut self.shared,
            };
            links.insert(site, placed);
        }
        Ok(())
    }

    /// The file is named by its open descriptor, so that what was analysed is what is probed.
    fn place_one(&self, ebpf: &mut Ebpf, point: Point, scope: UProbeScope) -> Result<UProbeLinkId, ProgramError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let Point {
            program,
            offset,
            cookie,
        } = point;
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(offset),
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

pub(super) fn detach(ebpf: &mut Ebpf, placed: impl IntoIterator<Item = (Program, UProbeLinkId)>) {
    for (program, link) in placed {
        if let Ok(probe) = program_of::<UProbe>(ebpf, program.name()) {
            // It cannot fail but for a link that is gone.
            drop(probe.detach(link));
        }
    }
}
