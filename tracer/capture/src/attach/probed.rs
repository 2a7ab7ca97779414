//! The probes of one file.
//!
//! In: a file held open, and what is to be probed in it. Out: links, for everyone or for one process. Those of a function
//! are placed all or none.

use std::{collections::BTreeMap, fs::File, num::NonZeroU32, os::fd::AsRawFd as _, path::PathBuf};

use aya::{
    Ebpf,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
};
use symbolizer::Function;
use tracer_ebpf::Cookie;

use super::{
    Error, Placement,
    program::{Program, abi_role},
    program_of,
};

/// A file with sites.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) path: PathBuf,
    /// Held open, so that its number cannot come to mean another file.
    pub(super) file: File,
    pub(super) placement: Placement,
    /// Its first site; its functions follow in the order of their placement.
    pub(super) first: u32,
    /// The probes for everyone.
    pub(super) shared: Links,
    /// The probes for one process each.
    pub(super) own: BTreeMap<u32, Links>,
}

/// Probes in place, by the site they sit on.
pub(super) type Links = BTreeMap<u32, Vec<(Program, UProbeLinkId)>>;

impl Probed {
    /// The functions that are wanted and have no probes in `links`, with their sites.
    pub(super) fn missing(
        &self,
        links: &Links,
        wanted: impl Fn(&Placement, &Function) -> bool,
    ) -> Vec<(u32, Function)> {
        let numbered = (self.first..).zip(&self.placement.functions);
        let missing =
            numbered.filter(|(site, function)| !links.contains_key(site) && wanted(&self.placement, function));
        missing.map(|(site, function)| (site, function.clone())).collect()
    }

    /// Places the probes of functions, for one process or for everyone; those of a function all or none.
    pub(super) fn place(
        &mut self,
        ebpf: &mut Ebpf,
        functions: Vec<(u32, Function)>,
        pid: Option<NonZeroU32>,
    ) -> Result<(), Error> {
        let scope = pid.map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess);
        for (site, function) in functions {
            let mut placed = Vec::new();
            for program in Program::of_role(function.role) {
                match self.place_one(ebpf, *program, site, &function, scope) {
                    Ok(link) => placed.push((*program, link)),
                    Err(source) => {
                        detach(ebpf, placed);
                        return Err(self.error(source, &function));
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
    fn place_one(
        &self,
        ebpf: &mut Ebpf,
        program: Program,
        site: u32,
        function: &Function,
        scope: UProbeScope,
    ) -> Result<UProbeLinkId, ProgramError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(function.site.offset.0),
            cookie: Some(Cookie::new(site, abi_role(function.role)).0),
        };
        let probe: &mut UProbe = program_of(ebpf, program.name()).map_err(|_missing| ProgramError::NotLoaded)?;
        probe.attach(point, path, scope)
    }

    fn error(&self, source: ProgramError, function: &Function) -> Error {
        Error::Probe {
            function: function.name.clone(),
            path: self.path.clone(),
            offset: function.site.offset.0,
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
