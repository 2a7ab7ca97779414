//! Attaches and detaches probes while the tracer runs.
//!
//! A probe on an instruction that the kernel emulates is attached for all processes, so that a process that is forked
//! later hits it from its first call on. A probe on an instruction that is single-stepped costs every process that hits
//! it two traps, so it is attached per process.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    time::Duration,
};

use aya::{Ebpf, EbpfLoader, programs::UProbe};
use symbolizer::Hook;
use tracer_ebpf::{
    AddressKey, ConnectionState, EndRecord, KernelCounters, KernelOffsets, Kind, MAX_CALLS, MAX_SITES, MAX_TARGETS,
    RecordHeader, SettingFlags, Settings, SiteCounters, SiteOperands, TargetFlags,
};
use zerocopy::FromZeros as _;

use super::{
    Cpus, Ends, Error, Kernel, KernelVersion, Lifecycle, Missing, Needs, OBJECT, Options, Placement, Reach, Rings,
    SiteInfo, Swept, Switch,
    batch::read_named,
    heap, lifecycle,
    multi::{MultiLinks, MultiPrograms},
    operands::operands_of,
    placement::PlannedSite,
    probed::{Attacher, Links, Probed, Reached, detach},
    program::{Program, is_emulated, is_needed},
    program_of,
    sockets::{self, Sockets},
    tables::Tables,
    value::MapValue,
};
use crate::target::{FileIdentity, MappedObject, Selection};

/// The loaded programs and the attached probes. Dropping it detaches everything.
#[derive(Debug)]
pub struct Probes {
    ebpf: Ebpf,
    /// The programs of uprobes, where the kernel has links of many.
    multi: Option<MultiPrograms>,
    sites: Vec<SiteInfo>,
    files: HashMap<FileIdentity, Probed>,
    lifecycle: Lifecycle,
    sockets: Sockets,
    /// Whether the kernel's structures are known, as sockets need it.
    has_offsets: bool,
    /// Whether the programs can read the path of a program at exec.
    compares_paths: bool,
    /// Whether all sites of handshakes are probed.
    handshakes: bool,
}

impl Probes {
    /// Loads the programs. They report nothing until the [`Switch`] is on.
    pub fn load(kernel: &Kernel, options: Options) -> Result<(Self, Rings, Cpus, Switch), Error> {
        let offsets: MapValue<KernelOffsets> = MapValue(kernel.offsets);
        let ciphertext = match kernel.undescribed {
            None => SettingFlags::CIPHERTEXT,
            Some(_) => SettingFlags::default(),
        };
        let all_sends = if KernelVersion::traces_all_sends() {
            SettingFlags::ALL_SENDS
        } else {
            SettingFlags::default()
        };
        let settings = MapValue(Settings {
            call_bytes: options.call_bytes,
            flags: options.flags.with(ciphertext).with(all_sends),
            own_tgid: std::process::id(),
        });
        let mut loader = EbpfLoader::new();
        // Drops the kernel's BTF, tens of megabytes: these programs have no CO-RE relocations.
        loader.btf(None);
        loader
            .override_global("KERNEL_OFFSETS", &offsets, true)
            .override_global("SETTINGS", &settings, true);
        for (map, entries) in map_sizes(options) {
            loader.map_max_entries(map, entries);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|source| Error::Load(Box::new(source)))?;
        let multi = load_uprobes(&mut ebpf)?;
        let (rings, cpus) = Rings::make(&mut ebpf, options.ring_bytes, kernel.undescribed.is_some())?;
        let switch = Switch::take(&mut ebpf)?;
        let has_offsets = kernel.undescribed.is_none();
        drop(loader);
        heap::trim();
        let lifecycle = lifecycle::attach(&mut ebpf, has_offsets)?;
        let sockets = if has_offsets {
            sockets::attach(&mut ebpf, options.flags.contains(SettingFlags::CONNECTIONS))?
        } else {
            Sockets::default()
        };
        let probes = Self {
            ebpf,
            multi,
            sites: Vec::new(),
            files: HashMap::new(),
            lifecycle,
            sockets,
            has_offsets,
            compares_paths: kernel.offsets.binprm_filename != KernelOffsets::UNKNOWN,
            // Without BTF, the record of a handshake starts the lookup of the descriptor in /proc early.
            handshakes: options.flags.contains(SettingFlags::CONNECTIONS) || kernel.undescribed.is_some(),
        };
        Ok((probes, rings, cpus, switch))
    }

    /// Returns how the follower learns of forks and exits.
    pub const fn lifecycle(&self) -> Lifecycle {
        self.lifecycle
    }

    /// Returns whether the programs can read sockets, which the lookup of ciphertext needs too.
    pub const fn watches_sockets(&self) -> bool {
        self.has_offsets
    }

    /// Returns the socket programs that this kernel refused, of those that were attached so far.
    pub fn missing(&self) -> &[Missing] {
        &self.sockets.missing
    }

    /// Returns whether the programs recognise names that are longer than `TASK_COMM_LEN` allows. If not, they report every
    /// exec whose short name is a prefix of such a name, and trace none of them.
    pub const fn knows_long_names(&self) -> bool {
        self.compares_paths
    }

    /// Traces processes, and those that later match the selection by name, cgroup or user.
    pub fn trace(&mut self, pids: &BTreeSet<u32>, selection: &Selection) -> Result<(), Error> {
        let flags = if selection.follow {
            TargetFlags::FOLLOW
        } else {
            TargetFlags::default()
        };
        let mut tables = self.tables();
        tables.select_names(selection)?;
        tables.select_groups(&selection.control_groups())?;
        tables.select_users(&selection.users)?;
        tables.trace(pids, flags)
    }

    /// Stops tracing processes; their probes stay attached.
    pub fn untrace(&mut self, pids: &BTreeSet<u32>) -> Result<(), Error> {
        self.tables().untrace(pids)
    }

    /// Returns the processes that are traced now.
    pub fn traced(&mut self) -> Result<BTreeSet<u32>, Error> {
        self.tables().traced()
    }

    /// Registers a file and configures its sites, which have no probes yet. Returns the sites that are new: none if the
    /// file is registered already.
    pub fn register(&mut self, object: &MappedObject, placement: Placement) -> Result<Vec<SiteInfo>, Error> {
        if let Some(known) = self.files.get_mut(&object.identity) {
            // The first process may have been scanned before it mapped the crypto library, which gives the layout.
            if known.placement.has_hooks_of(&placement) && known.placement != placement {
                let first = known.first;
                known.placement = placement.clone();
                self.configure(first, &placement)?;
            }
            return Ok(Vec::new());
        }
        let info = |site: &PlannedSite| SiteInfo {
            path: object.path.clone(),
            function: site.hook.name.clone(),
            library: site.library.name(),
        };
        let new: Vec<_> = placement.sites.iter().map(info).collect();
        let first = u32::try_from(self.sites.len()).map_err(|_overflow| Error::TooManySites)?;
        if self.sites.len() + new.len() > MAX_SITES {
            return Err(Error::TooManySites);
        }
        let file = object.file.try_clone().map_err(|source| Error::Handle {
            path: object.path.clone(),
            source,
        })?;
        self.configure(first, &placement)?;
        self.sites.extend(new.iter().cloned());
        let probed = Probed {
            path: object.path.clone(),
            file,
            placement,
            first,
            usual: Reached::default(),
            fallback: Reached::default(),
        };
        self.files.insert(object.identity, probed);
        Ok(new)
    }

    /// Attaches those probes of a registered file that a process needs and that are not attached yet.
    pub fn attach(&mut self, identity: FileIdentity, pid: u32, reach: Reach, needs: Needs) -> Result<(), Error> {
        self.attach_shared(identity, reach, needs)?;
        let (Some(file), Some(id)) = (self.files.get_mut(&identity), NonZeroU32::new(pid)) else {
            return Ok(());
        };
        let handshakes = self.handshakes;
        let is_own = |site: &PlannedSite| !is_shared(reach, &site.hook) && is_needed(site, needs, handshakes);
        let mut attacher = Attacher {
            ebpf: &mut self.ebpf,
            multi: self.multi.as_ref(),
        };
        file.attach(&mut attacher, is_own, Some(id))
    }

    /// Attaches the probes of a registered file that are for all processes. No process has to map the file yet.
    pub fn attach_shared(&mut self, identity: FileIdentity, reach: Reach, needs: Needs) -> Result<(), Error> {
        let handshakes = self.handshakes;
        if let Some(file) = self.files.get_mut(&identity) {
            let is_for_all = |site: &PlannedSite| is_shared(reach, &site.hook) && is_needed(site, needs, handshakes);
            let mut attacher = Attacher {
                ebpf: &mut self.ebpf,
                multi: self.multi.as_ref(),
            };
            file.attach(&mut attacher, is_for_all, None)?;
        }
        Ok(())
    }

    /// Attaches the programs that look up ciphertext in what sockets send. Returns those that this kernel refused; nothing
    /// if they are attached already.
    pub fn attach_ciphertext_lookup(&mut self) -> Result<Vec<Missing>, Error> {
        if !self.has_offsets {
            return Ok(Vec::new());
        }
        Ok(self.sockets.attach_ciphertext_lookup(&mut self.ebpf)?.to_vec())
    }

    /// Attaches the program that lifts need. Returns whether the kernel has taken it; a kernel whose structures are not known
    /// does not.
    pub fn attach_lift(&mut self) -> Result<bool, Error> {
        Ok(self.has_offsets && sockets::attach_lift(&mut self.ebpf)?)
    }

    /// Sets whether the programs may rely on probes at the calls of a process. Must be set after these are attached, and
    /// cleared before they are detached.
    pub fn set_calls_probed(&mut self, pid: u32, probed: bool) -> Result<(), Error> {
        self.tables().set_calls_probed(pid, probed)
    }

    /// Enables or disables the lookup of ciphertext for a process.
    pub fn set_ciphertext_lookup(&mut self, pid: u32, enabled: bool) -> Result<(), Error> {
        self.tables().set_ciphertext_lookup(pid, enabled)
    }

    /// Returns whether a site of the file that is needed would be single-stepped, and so must be probed per process.
    pub fn needs_per_process_probes(&self, identity: FileIdentity, needs: Needs) -> bool {
        let has = |file: &Probed| {
            let mut sites = file.placement.sites.iter();
            sites.any(|site| !is_emulated(&site.hook) && is_needed(site, needs, self.handshakes))
        };
        self.files.get(&identity).is_some_and(has)
    }

    /// Detaches the probes that are for one process alone, which exited or called exec.
    pub fn detach_own(&mut self, pid: u32) {
        for file in self.files.values_mut() {
            for reached in [&mut file.usual, &mut file.fallback] {
                let links = reached.own.remove(&pid).unwrap_or_default();
                detach(&mut self.ebpf, links);
            }
        }
    }

    /// Detaches all probes of a file, and forgets it.
    pub fn detach_file(&mut self, identity: FileIdentity) {
        if let Some(mut file) = self.files.remove(&identity) {
            self.detach_all(file.usual.take().chain(file.fallback.take()));
        }
    }

    /// Detaches the probes at calls of a file that are beside its taps and lifts.
    pub fn detach_fallback(&mut self, identity: FileIdentity) {
        if let Some(file) = self.files.get_mut(&identity) {
            let links: Vec<_> = file.fallback.take().collect();
            self.detach_all(links);
        }
    }

    /// Returns whether probes at calls are attached beside taps and lifts.
    pub fn has_fallback(&self) -> bool {
        self.files.values().any(|file| file.fallback.is_any())
    }

    /// Returns the files whose probes at calls may go: those of which so many calls have confirmed the taps and lifts, which
    /// is true, and those whose calls have been probed for so long, which is false.
    pub fn checked(&self, counters: &[SiteCounters], calls: u64, longest: Duration) -> Vec<(FileIdentity, bool)> {
        let check = |(identity, file): (&FileIdentity, &Probed)| {
            let is_old = file.fallback.since?.elapsed() >= longest;
            let is_confirmed = file.confirmed(counters)? >= calls;
            (is_old || is_confirmed).then_some((*identity, is_confirmed))
        };
        self.files.iter().filter_map(check).collect()
    }

    /// Returns whether the calls of a registered file can be probed wherever a tap or a lift may not serve a connection.
    pub fn has_calls(&self, identity: FileIdentity) -> bool {
        self.files.get(&identity).is_none_or(Probed::has_calls)
    }

    fn detach_all(&mut self, links: impl IntoIterator<Item = Links>) {
        let mut multi = MultiLinks::default();
        for mut links in links {
            multi.append(&mut links.multi);
            detach(&mut self.ebpf, links);
        }
    }

    /// Removes the map entries of processes and threads that exited. Returns how full the maps are.
    pub fn sweep(&mut self, ends: Ends<'_>) -> Result<Swept, Error> {
        self.tables().sweep(ends)
    }

    /// Returns the sites, by the index that records refer to.
    pub fn sites(&self) -> &[SiteInfo] {
        &self.sites
    }

    /// Returns the counters of losses of each site, in the order of [`Self::sites`].
    pub fn losses(&mut self) -> Result<Vec<SiteCounters>, Error> {
        let sites = self.sites.len();
        self.tables().losses(sites)
    }

    /// Returns the positions of each connection that has moved bytes, as records without a time.
    pub fn reached(&self) -> Result<Vec<EndRecord>, Error> {
        let mut reached = Vec::new();
        read_named(&self.ebpf, "CONNECTIONS", |key: AddressKey, state: ConnectionState| {
            let [read, written] = state.flow.positions;
            if state.flow.generation != 0 && read | written != 0 {
                let header = RecordHeader {
                    cookie: state.flow.cookie,
                    object: key.address,
                    generation: state.flow.generation,
                    tgid: key.tgid,
                    tid: key.tgid,
                    kind: Kind::REACHED,
                    ..RecordHeader::new_zeroed()
                };
                reached.push(EndRecord { header, read, written });
            }
        })?;
        Ok(reached)
    }

    /// Returns the counters of losses that belong to no site.
    pub fn totals(&mut self) -> Result<KernelCounters, Error> {
        self.tables().totals()
    }

    const fn tables(&mut self) -> Tables<'_> {
        Tables(&mut self.ebpf)
    }

    fn configure(&mut self, first: u32, placement: &Placement) -> Result<(), Error> {
        for (index, site) in (first..).zip(&placement.sites) {
            self.tables().configure(index, placement.config_from(first, site))?;
            let operands = SiteOperands {
                code_distance: placement.code_distance(site),
                ..operands_of(&site.hook)
            };
            self.tables().set_operands(index, operands)?;
        }
        Ok(())
    }
}

/// Loads the programs of uprobes for links of many, or by themselves where the kernel has no such links.
fn load_uprobes(ebpf: &mut Ebpf) -> Result<Option<MultiPrograms>, Error> {
    if let Ok(multi) = MultiPrograms::load(ebpf) {
        return Ok(Some(multi));
    }
    for name in Program::ALL.map(Program::name) {
        let program: &mut UProbe = program_of(ebpf, name)?;
        program.load().map_err(Error::program(name))?;
    }
    Ok(None)
}

impl Drop for Probes {
    fn drop(&mut self) {
        let mut multi = MultiLinks::default();
        for file in self.files.values_mut() {
            for mut links in file.usual.take().chain(file.fallback.take()) {
                multi.append(&mut links.multi);
            }
        }
    }
}

fn is_shared(reach: Reach, hook: &Hook) -> bool {
    reach == Reach::AllProcesses && is_emulated(hook)
}

/// Minimum size of the map of calls, if as many connections are tracked.
const FEW_CALLS: u32 = 4096;

/// Returns the size of each map that depends on the options. At any time, at most half of the connections are expected to
/// be in a call or to have pending ciphertext.
fn map_sizes(options: Options) -> [(&'static str, u32); 8] {
    let most = u32::try_from(MAX_CALLS).unwrap_or(u32::MAX);
    let usual = (options.connections / 2).clamp(options.connections.min(FEW_CALLS), most);
    let every = u32::try_from(MAX_TARGETS).unwrap_or(u32::MAX);
    let targets = if options.flags.contains(SettingFlags::ALL) {
        every
    } else {
        every * 3 / 8
    };
    let opened = if options.flags.contains(SettingFlags::CONNECTIONS) {
        options.connections
    } else {
        1
    };
    [
        ("CALLS", options.calls.unwrap_or(usual)),
        ("THREADS", usual / 2),
        ("CONNECTIONS", options.connections),
        ("CIPHERTEXTS", usual / 2),
        ("SOCKETS", options.connections),
        ("OPENED", opened),
        ("TARGETS", targets),
        ("PROCESSES", targets),
    ]
}
