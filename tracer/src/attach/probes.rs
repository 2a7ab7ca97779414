//! Placing probes, before the start and while it goes on, and taking them away again.
//!
//! In: files that processes map, with their plans. Out: probes at the plans' sites: for all processes where the kernel
//! emulates the instruction, so that a process that is forked later meets them too; else, and where that is not wanted,
//! for one process at a time. A file's probes go when nobody has mapped it for a while.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    num::NonZeroU32,
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::Arc,
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
};
use symbolizer::{Function, ProbePlan, Tier};
use tracer_ebpf::{
    Cookie, FileKey, KernelCounters, KernelOffsets, MAX_SITES, SettingFlags, Settings, SiteConfig, SiteCounters,
    TargetFlags,
};

use super::{
    Error, LateLibraries, OBJECT, Options, Rings, SiteInfo, Switch, hooks,
    program::{Program, abi_role, is_needed},
    program_of,
    tables::Tables,
    value::MapValue,
};
use crate::target::{FileIdentity, MappedObject, Selection};

/// Whom the probes of a file are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// For every process that maps the file, as far as its sites are cheap; the programs tell apart whom they are for.
    Everyone,
    /// For one process.
    Process,
}

/// The loaded programs and the probes in place; dropping it detaches everything.
#[derive(Debug)]
pub struct Probes {
    ebpf: Ebpf,
    sites: Vec<SiteInfo>,
    files: HashMap<FileIdentity, Probed>,
    late: LateLibraries,
    told: SettingFlags,
}

/// What of a file a process needs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// It may give an SSL object a BIO that is not a socket's: then the ciphertext tells which socket it uses.
    pub ciphertext: bool,
}

/// A file with sites.
#[derive(Debug)]
struct Probed {
    path: PathBuf,
    /// Held open, so that its number cannot come to mean another file.
    file: File,
    plan: Arc<ProbePlan>,
    /// Its first site; its functions follow in the order of its plan.
    first: u32,
    /// The probes for everyone.
    shared: Links,
    /// The probes for one process each.
    own: BTreeMap<u32, Links>,
}

/// Probes in place, by the site they sit on.
type Links = BTreeMap<u32, Vec<(Program, UProbeLinkId)>>;

impl Probes {
    /// Loads the programs; nothing is reported before the [`Switch`] is on.
    pub fn load(offsets: &KernelOffsets, options: Options) -> Result<(Self, Rings, Switch), Error> {
        let offsets = MapValue(*offsets);
        let settings = MapValue(Settings {
            call_bytes: options.call_bytes,
            flags: options.flags,
            own_tgid: std::process::id(),
        });
        let mut loader = EbpfLoader::new();
        loader
            .override_global("KERNEL_OFFSETS", &offsets, true)
            .override_global("SETTINGS", &settings, true);
        let mut ebpf = loader.load(OBJECT).map_err(|source| Error::Load(Box::new(source)))?;
        for name in Program::ALL.map(Program::name) {
            let program: &mut UProbe = program_of(&mut ebpf, name)?;
            program.load().map_err(Error::program(name))?;
        }
        let rings = Rings::make(&mut ebpf, options.ring_bytes)?;
        let switch = Switch::take(&mut ebpf)?;
        let btf = Btf::from_sys_fs().map_err(|source| Error::Load(Box::new(source.into())))?;
        let late = hooks::attach(&mut ebpf, &btf)?;
        let probes = Self {
            ebpf,
            sites: Vec::new(),
            files: HashMap::new(),
            late,
            told: options.flags,
        };
        Ok((probes, rings, switch))
    }

    /// How libraries that are loaded later are noticed.
    pub const fn late_libraries(&self) -> LateLibraries {
        self.late
    }

    /// Has the kernel keep account of processes, and of those that come later by name or control group.
    pub fn trace(&mut self, pids: &BTreeSet<u32>, selection: &Selection) -> Result<(), Error> {
        let flags = if selection.follow {
            TargetFlags::FOLLOW
        } else {
            TargetFlags::default()
        };
        let mut tables = self.tables();
        tables.expect_names(selection.short_names())?;
        tables.expect_groups(&selection.control_groups())?;
        tables.trace(pids, flags)
    }

    /// Has the kernel leave processes alone.
    pub fn leave(&mut self, pids: &BTreeSet<u32>) -> Result<(), Error> {
        self.tables().leave(pids)
    }

    /// Which processes the kernel traces now.
    pub fn traced(&mut self) -> Result<BTreeSet<u32>, Error> {
        self.tables().traced()
    }

    /// Names the sites that a file would get; the same ones if it has them already.
    pub fn announce(&mut self, object: &MappedObject, plan: &Arc<ProbePlan>) -> Result<Vec<SiteInfo>, Error> {
        if let Some(known) = self.files.get_mut(&object.identity) {
            // A library is mapped before the one it needs: then its plan knows more the second time.
            if known.plan.functions == plan.functions && known.plan != *plan {
                known.plan = Arc::clone(plan);
                let first = known.first;
                self.configure(first, plan)?;
            }
            return Ok(Vec::new());
        }
        let site = |function: &Function| SiteInfo {
            path: object.path.clone(),
            function: function.name.clone(),
            library: plan.library.family.name(),
        };
        let new: Vec<_> = plan.functions.iter().map(site).collect();
        let first = u32::try_from(self.sites.len()).map_err(|_overflow| Error::TooManySites)?;
        if self.sites.len() + new.len() > MAX_SITES {
            return Err(Error::TooManySites);
        }
        let file = object.file.try_clone().map_err(|source| Error::Handle {
            path: object.path.clone(),
            source,
        })?;
        self.configure(first, plan)?;
        self.sites.extend(new.iter().cloned());
        let probed = Probed {
            path: object.path.clone(),
            file,
            plan: Arc::clone(plan),
            first,
            shared: Links::new(),
            own: BTreeMap::new(),
        };
        self.files.insert(object.identity, probed);
        Ok(new)
    }

    /// Places the probes of an announced file that a process needs and that are not in place.
    pub fn attach(&mut self, identity: FileIdentity, pid: u32, reach: Reach, needs: Needs) -> Result<(), Error> {
        let (Some(file), Some(id)) = (self.files.get_mut(&identity), NonZeroU32::new(pid)) else {
            return Ok(());
        };
        let is_for_everyone = |function: &Function| reach == Reach::Everyone && is_cheap(function);
        let told = self.told;
        let needed = |plan: &ProbePlan, role| is_needed(plan, role, needs, told);
        let shared = file.missing(&file.shared, |plan, function| {
            is_for_everyone(function) && needed(plan, function.role)
        });
        file.place(&mut self.ebpf, shared, None)?;
        let none = Links::new();
        let own = file.own.get(&pid).unwrap_or(&none);
        let own = file.missing(own, |plan, function| {
            !is_for_everyone(function) && needed(plan, function.role)
        });
        file.place(&mut self.ebpf, own, Some(id))
    }

    /// Tells whether a file has sites that only probes for one process each may sit on.
    pub fn has_dear_sites(&self, identity: FileIdentity, needs: Needs) -> bool {
        let is_dear = |function: &Function| !is_cheap(function);
        let has = |file: &Probed| {
            let mut needed = file.plan.functions.iter();
            needed.any(|function| is_dear(function) && is_needed(&file.plan, function.role, needs, self.told))
        };
        self.files.get(&identity).is_some_and(has)
    }

    /// Takes away the probes of a process that has ended, or runs another program.
    pub fn detach_own(&mut self, pid: u32) {
        for file in self.files.values_mut() {
            let links = file.own.remove(&pid).unwrap_or_default();
            detach(&mut self.ebpf, links.into_values().flatten());
        }
    }

    /// Takes away all probes of a file.
    pub fn detach_file(&mut self, identity: FileIdentity) {
        if let Some(file) = self.files.remove(&identity) {
            let own = file.own.into_values().flat_map(Links::into_values);
            detach(&mut self.ebpf, file.shared.into_values().chain(own).flatten());
        }
    }

    /// Mapping these files is no news from now on.
    pub fn know(&mut self, files: &[FileKey]) -> Result<(), Error> {
        self.tables().know(files)
    }

    /// Mapping any file is news again.
    pub fn know_nothing(&mut self) -> Result<(), Error> {
        self.tables().know_nothing()
    }

    /// Forgets what the programs remember of processes that ended, each at its time.
    pub fn forget(&mut self, ended: &BTreeMap<u32, u64>) -> Result<(), Error> {
        self.tables().forget(ended)
    }

    /// The probed functions, by the index that records name.
    pub fn sites(&self) -> &[SiteInfo] {
        &self.sites
    }

    /// What each site did not capture, in the order of [`Self::sites`].
    pub fn losses(&mut self) -> Result<Vec<SiteCounters>, Error> {
        let sites = self.sites.len();
        self.tables().losses(sites)
    }

    /// What was lost and belongs to no site.
    pub fn totals(&mut self) -> Result<KernelCounters, Error> {
        self.tables().totals()
    }

    const fn tables(&mut self) -> Tables<'_> {
        Tables(&mut self.ebpf)
    }

    fn configure(&mut self, first: u32, plan: &ProbePlan) -> Result<(), Error> {
        let config = plan.layout.as_ref().map_or(SiteConfig::NONE, |layout| SiteConfig {
            rbio: layout.rbio,
            wbio: layout.wbio,
            bio_method: layout.bio_method,
            bio_num: layout.bio_num,
            ..SiteConfig::NONE
        });
        for (site, _) in (first..).zip(&plan.functions) {
            self.tables().configure(site, config)?;
        }
        Ok(())
    }
}

impl Probed {
    /// The functions that are wanted and have no probes in `links`, with their sites.
    fn missing(&self, links: &Links, wanted: impl Fn(&ProbePlan, &Function) -> bool) -> Vec<(u32, Function)> {
        let numbered = (self.first..).zip(&self.plan.functions);
        let missing = numbered.filter(|(site, function)| !links.contains_key(site) && wanted(&self.plan, function));
        missing.map(|(site, function)| (site, function.clone())).collect()
    }

    /// Places the probes of functions, for one process or for everyone; those of a function all or none.
    fn place(
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

/// Bystanders meet the probes for everyone too, so those sit where a hit costs one trap.
fn is_cheap(function: &Function) -> bool {
    function.site.tier == Tier::Emulated
}

fn detach(ebpf: &mut Ebpf, placed: impl IntoIterator<Item = (Program, UProbeLinkId)>) {
    for (program, link) in placed {
        if let Ok(probe) = program_of::<UProbe>(ebpf, program.name()) {
            // It cannot fail but for a link that is gone.
            drop(probe.detach(link));
        }
    }
}
