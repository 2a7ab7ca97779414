//! Loading the programs and placing the probes; nothing is reported before the end of it.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ArrayOfMaps, Map, MapData, MapError, RingBuf},
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};
use symbolizer::{Function, ProbePlan};
use tracer_ebpf::{Cookie, KernelOffsets, MAX_CPUS, MAX_SITES, SettingFlags, Settings, SiteConfig};

use super::{
    Attached, Error, OBJECT, Options, SiteInfo,
    offsets::site_config,
    program::{Program, abi_role, is_needed},
    value::MapValue,
};
use crate::target::{FileIdentity, MappedObject, Target};

/// Loads the programs and places the probes; nothing is reported yet.
#[derive(Debug)]
pub struct Loader {
    ebpf: Ebpf,
    sites: Vec<SiteInfo>,
    /// First site of each file; its functions follow in the order of its plan.
    files: HashMap<FileIdentity, u32>,
}

impl Loader {
    /// Loads the programs.
    pub fn load(offsets: &KernelOffsets, options: Options) -> Result<Self, Error> {
        let offsets = MapValue(*offsets);
        let settings = MapValue(Settings {
            call_bytes: options.call_bytes,
            flags: SettingFlags::default(),
            own_tgid: std::process::id(),
        });
        let mut loader = EbpfLoader::new();
        loader
            .override_global("KERNEL_OFFSETS", &offsets, true)
            .override_global("SETTINGS", &settings, true);
        let mut ebpf = loader.load(OBJECT).map_err(|source| Error::Load(Box::new(source)))?;
        for name in Program::ALL.map(Program::name) {
            let program = uprobe(&mut ebpf, name)?;
            program.load().map_err(Error::program(name))?;
        }
        Ok(Self {
            ebpf,
            sites: Vec::new(),
            files: HashMap::new(),
        })
    }

    /// Places the probes of one file in one process.
    pub fn attach(&mut self, target: &Target, object: &MappedObject, plan: &ProbePlan) -> Result<(), Error> {
        let Some(pid) = NonZeroU32::new(target.pid) else {
            return Ok(());
        };
        let first = self.sites_of(object, plan)?;
        // The file is named by its open descriptor, so that what was analysed is what is probed.
        let path = PathBuf::from(format!("/proc/self/fd/{}", object.file.as_raw_fd()));
        for (site, function) in (first..)
            .zip(&plan.functions)
            .filter(|(_, function)| is_needed(plan, function.role))
        {
            for program in Program::of_role(function.role) {
                let placed = self.place(*program, site, function, &path, pid);
                placed.map_err(|source| probe_error(source, function, object))?;
            }
        }
        Ok(())
    }

    /// Lets the probes report, and hands everything over.
    pub fn enable(mut self, pids: impl IntoIterator<Item = u32>, options: Options) -> Result<Attached, Error> {
        let rings = self.make_rings(options.ring_bytes)?;
        let mut attached = Attached {
            ebpf: self.ebpf,
            rings,
            sites: self.sites,
        };
        let mut targets = attached.table::<u32, u32>("TARGETS")?;
        for pid in pids {
            targets.insert(pid, 1, 0).map_err(Error::map("TARGETS"))?;
        }
        Ok(attached)
    }

    fn sites_of(&mut self, object: &MappedObject, plan: &ProbePlan) -> Result<u32, Error> {
        if let Some(first) = self.files.get(&object.identity) {
            return Ok(*first);
        }
        let first = u32::try_from(self.sites.len()).map_err(|_overflow| Error::TooManySites)?;
        let site = |function: &Function| SiteInfo {
            path: object.path.clone(),
            function: function.name.clone(),
            library: plan.library.family.name(),
        };
        self.sites.extend(plan.functions.iter().map(site));
        if self.sites.len() > MAX_SITES {
            return Err(Error::TooManySites);
        }
        self.configure(first, plan)?;
        self.files.insert(object.identity, first);
        Ok(first)
    }

    fn configure(&mut self, first: u32, plan: &ProbePlan) -> Result<(), Error> {
        let config = site_config(plan);
        let map = self.ebpf.map_mut("SITES").ok_or(Error::Missing("SITES"))?;
        let mut sites: Array<_, MapValue<SiteConfig>> = map.try_into().map_err(Error::map("SITES"))?;
        for (site, _) in (first..).zip(&plan.functions) {
            sites.set(site, MapValue(config), 0).map_err(Error::map("SITES"))?;
        }
        Ok(())
    }

    fn place(
        &mut self,
        program: Program,
        site: u32,
        function: &Function,
        path: &Path,
        pid: NonZeroU32,
    ) -> Result<(), ProgramError> {
        let cookie = Cookie::new(site, abi_role(function.role));
        let location = UProbeAttachLocation::AbsoluteOffset(function.site.offset.0);
        let point = UProbeAttachPoint {
            location,
            cookie: Some(cookie.0),
        };
        let probe = uprobe(&mut self.ebpf, program.name()).map_err(|_missing| ProgramError::NotLoaded)?;
        probe.attach(point, path, UProbeScope::OneProcess(pid)).map(|_link| ())
    }

    fn make_rings(&mut self, bytes: u32) -> Result<Vec<RingBuf<MapData>>, Error> {
        let cpus = aya::util::nr_cpus().map_err(|(path, source)| Error::Cpus { path, source })?;
        if cpus > MAX_CPUS {
            return Err(Error::TooManyCpus(cpus));
        }
        let map = self.ebpf.map_mut("RINGS").ok_or(Error::Missing("RINGS"))?;
        let mut outer: ArrayOfMaps<_, RingBuf<MapData>> = map.try_into().map_err(Error::map("RINGS"))?;
        let rings = (0..cpus)
            .map(|_| make_ring(bytes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::map("RINGS"))?;
        for (cpu, ring) in (0..).zip(&rings) {
            outer.set(cpu, ring, 0).map_err(Error::map("RINGS"))?;
        }
        Ok(rings)
    }
}

fn uprobe<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut UProbe, Error> {
    let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
    program.try_into().map_err(Error::program(name))
}

fn make_ring(bytes: u32) -> Result<RingBuf<MapData>, MapError> {
    let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    let definition = aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0);
    RingBuf::try_from(Map::RingBuf(MapData::create(definition, "ring", None)?))
}

fn probe_error(source: ProgramError, function: &Function, object: &MappedObject) -> Error {
    Error::Probe {
        function: function.name.clone(),
        path: object.path.clone(),
        offset: function.site.offset.0,
        source: Box::new(source),
    }
}
