//! Attaches and detaches probes while the tracer runs.
//!
//! A probe on an instruction that the kernel emulates is attached for all processes, so that a process that is forked
//! later hits it from its first call on. A probe on an instruction that is single-stepped costs every process that hits
//! it two traps, so it is attached per process.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use aya::{Ebpf, EbpfLoader};
use tracer_ebpf::{
    AddressKey, ConnectionState, EndRecord, KernelCounters, KernelOffsets, Kind, MAX_SITES, PLAIN_SITE, RecordHeader,
    SettingFlags, Settings, SiteConfig, SiteCounters, TargetFlags,
};
use zerocopy::FromZeros as _;

use super::{
    Calls, Cpus, Ends, Error, Kernel, KernelVersion, Lifecycle, Missing, Needs, OBJECT, Options, Placement, Reach,
    Rings, SiteInfo, SkipTable, Swept, Switch,
    batch::read_named,
    lifecycle,
    load::{begin_loading, finish_loading, map_sizes},
    memory,
    multi::{MultiLinks, MultiPrograms},
    placement::PlannedSite,
    probed::{Attacher, Part, Probed},
    program::{Program, is_needed, is_shared},
    reached::{Links, Reached, detach},
    sockets::{self, Sockets},
    tables::Tables,
    value::MapValue,
};
use crate::target::{FileIdentity, MappedObject, Selection};

/// The loaded programs and the attached probes. Dropping it detaches everything.
#[derive(Debug)]
pub struct Probes {
    pub(super) ebpf: Ebpf,
    /// The programs of uprobes, where the kernel has links of many.
    multi: Option<Arc<MultiPrograms>>,
    sites: Vec<SiteInfo>,
    pub(super) files: HashMap<FileIdentity, Probed>,
    lifecycle: Lifecycle,
    sockets: Sockets,
    /// Whether the kernel's structures are known, as sockets need it.
    has_offsets: bool,
    /// Whether the programs can read the path of a program at exec.
    compares_paths: bool,
    /// Whether all sites of handshakes are probed.
    handshakes: bool,
    /// Detaches probes at calls that have links of their own, some 0.1 s each.
    pub(super) detaching: Option<JoinHandle<()>>,
    /// Announcements that the table of skipped bytes had no room for.
    skips_refused: Arc<AtomicU64>,
}

impl Probes {
    /// Loads the programs, and begins to load those of uprobes. They report nothing until the [`Switch`] is on.
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
        let multi = begin_loading(&ebpf);
        let (rings, cpus) = Rings::make(&mut ebpf, options.ring_bytes, kernel.undescribed.is_some())?;
        let switch = Switch::take(&mut ebpf)?;
        let has_offsets = kernel.undescribed.is_none();
        drop(loader);
        memory::trim_heap();
        let lifecycle = lifecycle::attach(&mut ebpf, has_offsets)?;
        let mut sockets = if has_offsets {
            sockets::attach(&mut ebpf, options.flags.contains(SettingFlags::CONNECTIONS))?
        } else {
            Sockets::default()
        };
        sockets.plain = options.flags.contains(SettingFlags::PLAIN);
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
            detaching: None,
            skips_refused: Arc::default(),
        };
        Ok((probes, rings, cpus, switch))
    }

    /// Waits until the usual programs are loaded. With `ahead`, the others are loaded in the background, so that a process with
    /// another library that starts later does not wait for them.
    pub fn finish_loading(&mut self, ahead: bool) -> Result<(), Error> {
        self.multi = finish_loading(&mut self.ebpf, self.multi.take())?;
        if let Some(multi) = self.multi.as_ref().filter(|_| ahead) {
            multi.load_ahead(&Program::ALL);
        }
        Ok(())
    }

    /// Returns whether probes are attached, and removed, many at a time.
    pub(crate) const fn has_links(&self) -> bool {
        self.multi.is_some()
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
        tables.select_ports(&selection.ports)?;
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
                known.placement = placement;
                Tables(&mut self.ebpf).configure_all(&known.configured())?;
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
        let probed = Probed::new(object.path.clone(), file, placement, first);
        self.tables().configure_all(&probed.configured())?;
        self.sites.extend(new.iter().cloned());
        self.files.insert(object.identity, probed);
        Ok(new)
    }

    /// Returns whether a file is registered.
    pub fn is_registered(&self, identity: FileIdentity) -> bool {
        self.files.contains_key(&identity)
    }

    /// Attaches those probes of a registered file that a process needs and that are not attached yet: all of them, or none if
    /// one fails.
    pub fn attach(&mut self, identity: FileIdentity, pid: u32, reach: Reach, needs: Needs) -> Result<(), Error> {
        self.attach_parts(identity, NonZeroU32::new(pid), reach, needs)
    }

    /// Attaches the probes of a registered file that are for all processes. No process has to map the file yet.
    pub fn attach_shared(&mut self, identity: FileIdentity, reach: Reach, needs: Needs) -> Result<(), Error> {
        self.attach_parts(identity, None, reach, needs)
    }

    fn attach_parts(
        &mut self,
        identity: FileIdentity,
        pid: Option<NonZeroU32>,
        reach: Reach,
        needs: Needs,
    ) -> Result<(), Error> {
        // A call that hits two probes of a site would be noted twice.
        self.finish_detaching();
        let handshakes = self.handshakes;
        let Some(file) = self.files.get_mut(&identity) else {
            return Ok(());
        };
        let is_shared = |site: &PlannedSite| is_shared(reach, &site.hook);
        let is_needed = |site: &PlannedSite| is_needed(site, needs, handshakes);
        let shared: &dyn Fn(&PlannedSite) -> bool = &|site| is_shared(site) && is_needed(site);
        let own: &dyn Fn(&PlannedSite) -> bool = &|site| !is_shared(site) && is_needed(site);
        let own = pid.map(|pid| Part {
            pid: Some(pid),
            wanted: own,
        });
        let shared = Part {
            pid: None,
            wanted: shared,
        };
        let parts: Vec<_> = [shared].into_iter().chain(own).collect();
        let mut attacher = Attacher {
            ebpf: &mut self.ebpf,
            multi: self.multi.as_deref(),
        };
        let before = file.shared_calls();
        file.attach(&mut attacher, &parts)?;
        if file.shared_calls() != before {
            Tables(&mut self.ebpf).configure_all(&file.configured())?;
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

    /// Attaches the program that lifts need, if the programs can read sockets. Returns it if this kernel refused it.
    pub fn attach_lift(&mut self) -> Result<Option<Missing>, Error> {
        if !self.has_offsets || self.sockets.plain {
            return Ok(None);
        }
        self.sockets.attach_lift(&mut self.ebpf)
    }

    /// Attaches the programs that capture HTTP without TLS, and lifts with them, if that is wanted and the programs can read
    /// sockets. Must be called before [`Self::attach_lift`], and before any file is registered. Returns what this kernel
    /// refused or lacks.
    pub fn attach_plain(&mut self) -> Result<Option<Missing>, Error> {
        if !self.sockets.plain {
            return Ok(None);
        }
        let missing = if self.has_offsets && KernelVersion::traces_all_sends() {
            self.sockets.attach_plain(&mut self.ebpf)?
        } else {
            Some(sockets::lacks_plain())
        };
        self.sockets.plain = missing.is_none();
        if self.sockets.plain {
            self.sockets.attach_unix_closing(&mut self.ebpf)?;
            self.tables().configure(PLAIN_SITE, SiteConfig::NONE)?;
            self.sites.push(SiteInfo::plain());
        }
        Ok(missing)
    }

    /// Returns whether HTTP without TLS is captured.
    pub const fn captures_plain(&self) -> bool {
        self.sockets.plain
    }

    /// Sets on the probes of which calls of a process the programs may rely. Must be set after these are attached, and
    /// cleared before they are detached.
    pub fn set_calls_probed(&mut self, pid: u32, probed: Calls) -> Result<(), Error> {
        self.tables().set_calls_probed(pid, probed)
    }

    /// Enables or disables the lookup of ciphertext for a process.
    pub fn set_ciphertext_lookup(&mut self, pid: u32, enabled: bool) -> Result<(), Error> {
        self.tables().set_ciphertext_lookup(pid, enabled)
    }

    /// Returns whether a registered file has return probes, which only processes get that were scanned.
    pub fn has_returns(&self) -> bool {
        self.files.values().any(|file| file.placement.has_returns())
    }

    /// Returns whether a site of the file that is needed must be probed per process.
    pub fn needs_per_process_probes(&self, identity: FileIdentity, needs: Needs) -> bool {
        let has = |file: &Probed| {
            let mut sites = file.placement.sites.iter();
            sites.any(|site| !is_shared(Reach::AllProcesses, &site.hook) && is_needed(site, needs, self.handshakes))
        };
        self.files.get(&identity).is_some_and(has)
    }

    /// Detaches the probes that are for one process alone, which exited or called exec.
    pub fn detach_own(&mut self, pid: u32) {
        for file in self.files.values_mut() {
            for reached in file.all() {
                let links = reached.own.remove(&pid).unwrap_or_default();
                detach(&mut self.ebpf, links);
            }
        }
    }

    /// Detaches all probes of a file, and forgets it.
    pub fn detach_file(&mut self, identity: FileIdentity) {
        if let Some(mut file) = self.files.remove(&identity) {
            self.detach_all(file.all().into_iter().flat_map(Reached::take));
        }
    }

    /// Waits until the probes are gone that are being detached.
    pub(super) fn finish_detaching(&mut self) {
        if let Some(thread) = self.detaching.take() {
            // It only drops links, which cannot panic.
            drop(thread.join());
        }
    }

    /// Returns whether any probe of a file is attached.
    #[cfg(test)]
    pub(super) fn is_probed(&mut self, identity: FileIdentity) -> bool {
        self.files.get_mut(&identity).is_some_and(Probed::is_any)
    }

    pub(super) fn detach_all(&mut self, links: impl IntoIterator<Item = Links>) {
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
            let [read, written] = state.flow.reported_positions();
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

    /// Opens the table of bytes that need not be captured.
    pub fn skips(&self) -> Result<SkipTable, Error> {
        SkipTable::open(&self.ebpf, Arc::clone(&self.skips_refused))
    }

    /// Returns how many announcements that table had no room for.
    pub fn skips_refused(&self) -> u64 {
        self.skips_refused.load(Ordering::Relaxed)
    }

    /// Returns the counters of losses that belong to no site.
    pub fn totals(&mut self) -> Result<KernelCounters, Error> {
        self.tables().totals()
    }

    const fn tables(&mut self) -> Tables<'_> {
        Tables(&mut self.ebpf)
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.finish_detaching();
        let mut multi = MultiLinks::default();
        for file in self.files.values_mut() {
            for mut links in file.all().into_iter().flat_map(Reached::take) {
                multi.append(&mut links.multi);
            }
        }
    }
}
