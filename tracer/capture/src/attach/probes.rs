//! Placing probes, before the start and while it goes on, and taking them away again.
//!
//! In: files that processes map, with their plans. Out: probes at the plans' sites: for all processes where the kernel
//! emulates the instruction, so that a process that is forked later meets them too; else, and where that is not wanted,
//! for one process at a time. A file's probes go when nobody has mapped it for a while.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroU32,
};

use aya::{Ebpf, EbpfLoader, programs::UProbe};
use symbolizer::Hook;
use tracer_ebpf::{
    AddressKey, ConnectionState, EndRecord, KernelCounters, KernelOffsets, Kind, MAX_CALLS, MAX_SITES, MAX_TARGETS,
    RecordHeader, SettingFlags, Settings, SiteCounters, SiteOperands, TargetFlags,
};
use zerocopy::FromZeros as _;

use super::{
    Changes, Cpus, Ends, Error, Kernel, Missing, Needs, OBJECT, Options, Placement, Reach, Rings, SiteInfo, Swept,
    Switch,
    batch::read_named,
    heap, hooks,
    operands::operands_of,
    probed::{Links, Probed, detach},
    program::{Program, is_cheap, is_needed},
    program_of,
    sockets::{self, Sockets},
    tables::Tables,
    value::MapValue,
};
use crate::target::{FileIdentity, MappedObject, Selection};

/// The loaded programs and the probes in place; dropping it detaches everything.
#[derive(Debug)]
pub struct Probes {
    ebpf: Ebpf,
    sites: Vec<SiteInfo>,
    files: HashMap<FileIdentity, Probed>,
    changes: Changes,
    sockets: Sockets,
    /// Whether the kernel's structures are known; else sockets are not watched.
    is_described: bool,
    /// Whether the programs can compare the name of a program's file.
    compares_paths: bool,
    /// Whether the calls of handshakes are of use.
    handshakes: bool,
}

impl Probes {
    /// Loads the programs; nothing is reported before the [`Switch`] is on.
    pub fn load(kernel: &Kernel, options: Options) -> Result<(Self, Rings, Cpus, Switch), Error> {
        let offsets: MapValue<KernelOffsets> = MapValue(kernel.offsets);
        let ciphertext = match kernel.undescribed {
            None => SettingFlags::CIPHERTEXT,
            Some(_) => SettingFlags::default(),
        };
        let settings = MapValue(Settings {
            call_bytes: options.call_bytes,
            flags: options.flags.with(ciphertext),
            own_tgid: std::process::id(),
        });
        let mut loader = EbpfLoader::new();
        // It has read what the kernel says of its types, for relocations that these programs do not have.
        loader.btf(None);
        loader
            .override_global("KERNEL_OFFSETS", &offsets, true)
            .override_global("SETTINGS", &settings, true);
        for (table, entries) in sizes(options) {
            loader.map_max_entries(table, entries);
        }
        let mut ebpf = loader.load(OBJECT).map_err(|source| Error::Load(Box::new(source)))?;
        for name in Program::ALL.map(Program::name) {
            let program: &mut UProbe = program_of(&mut ebpf, name)?;
            program.load().map_err(Error::program(name))?;
        }
        let (rings, cpus) = Rings::make(&mut ebpf, options.ring_bytes, kernel.undescribed.is_some())?;
        let switch = Switch::take(&mut ebpf)?;
        let is_described = kernel.undescribed.is_none();
        drop(loader);
        heap::give_back();
        let changes = hooks::attach(&mut ebpf, is_described)?;
        let sockets = if is_described {
            sockets::attach(&mut ebpf, options.flags.contains(SettingFlags::CONNECTIONS))?
        } else {
            Sockets::default()
        };
        let probes = Self {
            ebpf,
            sites: Vec::new(),
            files: HashMap::new(),
            changes,
            sockets,
            is_described,
            compares_paths: kernel.offsets.binprm_filename != KernelOffsets::UNKNOWN,
            // Without BTF, they tell early of a descriptor that has to be looked at.
            handshakes: options.flags.contains(SettingFlags::CONNECTIONS) || kernel.undescribed.is_some(),
        };
        Ok((probes, rings, cpus, switch))
    }

    /// How processes that are forked, or end, are noticed.
    pub const fn changes(&self) -> Changes {
        self.changes
    }

    /// Tells whether sockets can be watched, and ciphertext be found in what goes through them.
    pub const fn watches_sockets(&self) -> bool {
        self.is_described
    }

    /// What this kernel does not offer to learn of sockets, as far as it was wanted.
    pub fn missing(&self) -> &[Missing] {
        &self.sockets.missing
    }

    /// Returns whether the programs know a process by a name that is longer than the kernel's short names. Where they do
    /// not, they report every program whose short name is the beginning of such a name, and trace none.
    pub const fn knows_long_names(&self) -> bool {
        self.compares_paths
    }

    /// Has the kernel keep account of processes, and of those that come later by name, control group or user.
    pub fn trace(&mut self, pids: &BTreeSet<u32>, selection: &Selection) -> Result<(), Error> {
        let flags = if selection.follow {
            TargetFlags::FOLLOW
        } else {
            TargetFlags::default()
        };
        let mut tables = self.tables();
        tables.expect_names(selection)?;
        tables.expect_groups(&selection.control_groups())?;
        tables.expect_users(&selection.users)?;
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

    /// Names the sites that a file would get; none if it has them already.
    pub fn announce(&mut self, object: &MappedObject, placement: Placement) -> Result<Vec<SiteInfo>, Error> {
        if let Some(known) = self.files.get_mut(&object.identity) {
            // A library is mapped before the one it needs: then more is known of it the second time.
            if known.placement.hooks == placement.hooks && known.placement != placement {
                let first = known.first;
                known.placement = placement.clone();
                self.configure(first, &placement)?;
            }
            return Ok(Vec::new());
        }
        let site = |hook: &Hook| SiteInfo {
            path: object.path.clone(),
            function: hook.name.clone(),
            library: placement.library.name(),
        };
        let new: Vec<_> = placement.hooks.iter().map(site).collect();
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
            shared: Links::new(),
            own: BTreeMap::new(),
        };
        self.files.insert(object.identity, probed);
        Ok(new)
    }

    /// Places the probes of an announced file that a process needs and that are not in place.
    pub fn attach(&mut self, identity: FileIdentity, pid: u32, reach: Reach, needs: Needs) -> Result<(), Error> {
        self.attach_shared(identity, reach, needs)?;
        let (Some(file), Some(id)) = (self.files.get_mut(&identity), NonZeroU32::new(pid)) else {
            return Ok(());
        };
        let handshakes = self.handshakes;
        let none = Links::new();
        let own = file.own.get(&pid).unwrap_or(&none);
        let own = file.missing(own, |placement, hook| {
            !is_shared(reach, hook) && is_needed(placement, hook, needs, handshakes)
        });
        file.place(&mut self.ebpf, own, Some(id))
    }

    /// Places the probes of an announced file that are for every process, whether one maps it already or not.
    pub fn attach_shared(&mut self, identity: FileIdentity, reach: Reach, needs: Needs) -> Result<(), Error> {
        let handshakes = self.handshakes;
        if let Some(file) = self.files.get_mut(&identity) {
            let shared = file.missing(&file.shared, |placement, hook| {
                is_shared(reach, hook) && is_needed(placement, hook, needs, handshakes)
            });
            file.place(&mut self.ebpf, shared, None)?;
        }
        Ok(())
    }

    /// Makes the programs that look for ciphertext in what goes through sockets ready. Returns what this kernel does not
    /// offer of it, the first time.
    pub fn watch_ciphertext(&mut self) -> Result<Vec<Missing>, Error> {
        if !self.is_described {
            return Ok(Vec::new());
        }
        Ok(self.sockets.look_for_ciphertext(&mut self.ebpf)?.to_vec())
    }

    /// Has lifts read what processes write where their sockets send. Returns what this kernel does not offer of it, the first
    /// time; it offers nothing where its structures are not known.
    pub fn watch_sends(&mut self) -> Result<Vec<Missing>, Error> {
        if !self.is_described {
            return Ok(Vec::new());
        }
        Ok(self.sockets.watch_sends(&mut self.ebpf)?.to_vec())
    }

    /// Says whether hooks at the calls of a process are in place beside its taps and lifts.
    pub fn mark_calls(&mut self, pid: u32, are_watched: bool) -> Result<(), Error> {
        self.tables().mark_calls(pid, are_watched)
    }

    /// Says whether the programs look for the sockets of a process by its ciphertext.
    pub fn look_for_ciphertext(&mut self, pid: u32, wanted: bool) -> Result<(), Error> {
        self.tables().look_for_ciphertext(pid, wanted)
    }

    /// Tells whether a file has sites that only probes for one process each may sit on.
    pub fn has_dear_sites(&self, identity: FileIdentity, needs: Needs) -> bool {
        let is_dear = |hook: &Hook| !is_cheap(hook);
        let has = |file: &Probed| {
            let mut needed = file.placement.hooks.iter();
            needed.any(|hook| is_dear(hook) && is_needed(&file.placement, hook, needs, self.handshakes))
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

    /// Removes what the programs remember of processes and threads that ended, and says how full their tables are.
    pub fn sweep(&mut self, ends: Ends<'_>) -> Result<Swept, Error> {
        self.tables().sweep(ends)
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

    /// How far each connection has come, as records without a time.
    pub fn reached(&self) -> Result<Vec<EndRecord>, Error> {
        let mut reached = Vec::new();
        read_named(&self.ebpf, "CONNECTIONS", |key: AddressKey, state: ConnectionState| {
            let [read, written] = state.flow.positions;
            if state.flow.generation != 0 && read | written != 0 {
                let header = RecordHeader {
                    cookie: state.flow.cookie,
                    ssl: key.address,
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

    /// What was lost and belongs to no site.
    pub fn totals(&mut self) -> Result<KernelCounters, Error> {
        self.tables().totals()
    }

    const fn tables(&mut self) -> Tables<'_> {
        Tables(&mut self.ebpf)
    }

    fn configure(&mut self, first: u32, placement: &Placement) -> Result<(), Error> {
        let config = placement.config_from(first);
        for (site, hook) in (first..).zip(&placement.hooks) {
            self.tables().configure(site, config)?;
            let operands = SiteOperands {
                behind_lift: placement.behind_lift(hook),
                ..operands_of(hook)
            };
            self.tables().place_operands(site, operands)?;
        }
        Ok(())
    }
}

fn is_shared(reach: Reach, hook: &Hook) -> bool {
    reach == Reach::Everyone && is_cheap(hook)
}

/// Calls in flight at once that there is room for if there is room for as many connections.
const FEW_CALLS: u32 = 4096;

/// The room of each table that grows with what is traced: not every connection is in a call, or has ciphertext that is
/// looked for, at one time.
fn sizes(options: Options) -> [(&'static str, u32); 8] {
    let most = u32::try_from(MAX_CALLS).unwrap_or(u32::MAX);
    let usual = (options.connections / 2).clamp(options.connections.min(FEW_CALLS), most);
    let every = u32::try_from(MAX_TARGETS).unwrap_or(u32::MAX);
    let targets = if options.flags.contains(SettingFlags::ALL) {
        every
    } else {
        every / 2
    };
    let opened = if options.flags.contains(SettingFlags::CONNECTIONS) {
        options.connections
    } else {
        1
    };
    [
        ("CALLS", options.calls.unwrap_or(usual)),
        ("THREADS", usual),
        ("CONNECTIONS", options.connections),
        ("CIPHERTEXTS", usual),
        ("SOCKETS", options.connections),
        ("OPENED", opened),
        ("TARGETS", targets),
        ("PROCESSES", targets),
    ]
}
