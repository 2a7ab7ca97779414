//! Follows the traced processes through fork, exec, mmap and exit, and attaches the probes that they need.
//!
//! The follower runs in a thread of its own, because analysing a file takes longer than the rings can wait. It receives
//! process events from the draining thread and hands back announced sites, records and health ([`FollowOutput`]). Events
//! can be lost, so it compares its list with `/proc` and the kernel's table every other second.

mod output;
mod processes;
mod needed;
mod loss_tracker;
mod sweep_schedule;
mod poller;
mod process_log;
mod scan;
mod preattach;
mod initial_scan;
mod positions;
mod check;
mod sweep;
mod poll;
mod event_loop;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tracer_ebpf::Direction;
use tracer_observe::batch::ProcessEntry;

pub(crate) use self::output::FollowOutput;
use self::{
    loss_tracker::LossTracker, needed::Needed, poller::Poller, process_log::ProcessLog, processes::Processes,
    sweep_schedule::SweepSchedule,
};
use crate::{
    attach::{self, Calls, Kinds, Lifecycle, Needs, Options, Probes, Reach, SiteInfo, ThreadMemory},
    message::Messages,
    resolve::Resolver,
    target::{FileIdentity, Listeners, Selection, any_has_shadow_stack, exists, name_of},
};

/// Delay from an exec event to the scan, unless an mmap event causes an earlier one.
const AFTER_EXEC: Duration = Duration::from_millis(100);

/// The traced processes and their probes.
pub(crate) struct Follower {
    probes: Probes,
    resolver: Resolver,
    kinds: Kinds,
    /// The files whose taps or lifts of a direction were checked: confirmed by calls.
    checked: BTreeSet<(FileIdentity, Direction)>,
    next_check: Instant,
    needed: Needed,
    selection: Selection,
    reach: Reach,
    processes: Processes,
    /// When each of these processes is to be scanned.
    pending_scans: BTreeMap<u32, Instant>,
    sweeps: SweepSchedule,
    loss_tracker: LossTracker,
    last_liveness_check: Instant,
    /// Whether process events were lost since the last comparison with the kernel's table.
    has_lost_events: bool,
    listeners: Listeners,
    /// Whether a process may have begun to listen on a selected port, which is still to be found.
    has_new_listener: bool,
    /// Present if the BPF programs do not report forks and exits.
    poller: Option<Poller>,
    /// Processes whose last scan found a mismatch. Only a second mismatch is reported.
    mismatched: BTreeSet<u32>,
    log: ProcessLog,
    /// Whether the kernel reports mmap events.
    has_mmap_events: bool,
    output: Arc<FollowOutput>,
    messages: Messages,
}

impl Follower {
    pub(crate) fn new(
        mut probes: Probes,
        options: Options,
        selection: Selection,
        has_mmap_events: bool,
        messages: Messages,
    ) -> Result<Self, attach::Error> {
        let without_plain = probes.attach_plain()?;
        let refused = probes.attach_lift()?;
        probes.finish_loading(selection.is_open())?;
        for missing in [&without_plain, &refused].into_iter().flatten() {
            messages.say(&missing.to_string());
        }
        let output: Arc<FollowOutput> = Arc::default();
        output.add_sites(probes.sites().iter().map(SiteInfo::entry));
        let kinds = Kinds {
            without_lifts: refused.is_some() || !probes.watches_sockets(),
            without_call_sites: any_has_shadow_stack(),
            thread_memory: if probes.watches_sockets() {
                ThreadMemory::Found
            } else {
                ThreadMemory::Unknown
            },
            ..options.kinds
        };
        Ok(Self {
            reach: if selection.follow {
                Reach::AllProcesses
            } else {
                Reach::OneProcess
            },
            poller: (probes.lifecycle() == Lifecycle::Polled).then(Poller::new),
            probes,
            resolver: Resolver::with(options.debug_files),
            kinds,
            checked: BTreeSet::new(),
            next_check: Instant::now(),
            needed: Needed::default(),
            selection,
            processes: Processes::default(),
            pending_scans: BTreeMap::new(),
            sweeps: SweepSchedule::new(),
            loss_tracker: LossTracker::default(),
            last_liveness_check: Instant::now(),
            has_lost_events: false,
            listeners: Listeners::default(),
            has_new_listener: false,
            mismatched: BTreeSet::new(),
            log: ProcessLog::new(messages),
            has_mmap_events,
            output,
            messages,
        })
    }

    pub(crate) fn output(&self) -> Arc<FollowOutput> {
        Arc::clone(&self.output)
    }

    pub(crate) const fn probes(&mut self) -> &mut Probes {
        &mut self.probes
    }

    /// Returns the traced processes and their names.
    pub(crate) fn entries(&self) -> Vec<ProcessEntry> {
        let pids: BTreeSet<u32> = self.processes.pids().collect();
        let entry = |pid| {
            Some(ProcessEntry {
                pid,
                name: name_of(pid)?,
            })
        };
        pids.into_iter().filter_map(entry).collect()
    }

    /// Returns how many processes were traced, all together.
    pub(crate) const fn traced(&self) -> u64 {
        self.processes.total()
    }

    /// Adds a forked child, which maps the same files as its parent.
    fn fork(&mut self, pid: u32, parent: u32) {
        let info = self.processes.get(parent);
        let needs = info.needs;
        for file in &info.files {
            if self.reach == Reach::AllProcesses && !self.probes.needs_per_process_probes(*file, needs) {
                continue;
            }
            if let Err(error) = self.probes.attach(*file, pid, self.reach, needs)
                && exists(pid)
            {
                self.messages.say(&format!(
                    "process {pid} is not traced from its first request on: {error:#}"
                ));
            }
        }
        // The parent's may have changed since the kernel copied them.
        if let Err(error) = self.set_flags(pid, &info.files, needs) {
            self.messages
                .say(&format!("process {pid} is not traced as its parent is: {error:#}"));
        }
        // A sweep of the kernel's table may have found it before the event came.
        if !self.processes.get(pid).is_told(&info.traced) {
            self.log.add_attached(pid, &info);
        }
        self.processes.set(pid, info);
        // The child inherits a pending scan of its parent.
        if let Some(at) = self.pending_scans.get(&parent) {
            self.pending_scans.insert(pid, *at);
        }
    }

    /// Has the programs know what a process that maps these files needs, and that its calls are probed.
    fn set_flags(&mut self, pid: u32, files: &[FileIdentity], needs: Needs) -> Result<(), attach::Error> {
        self.probes.set_ciphertext_lookup(pid, needs.ciphertext)?;
        self.set_calls_probed(pid, files, needs)
    }

    fn set_calls_probed(&mut self, pid: u32, files: &[FileIdentity], needs: Needs) -> Result<(), attach::Error> {
        let is_missing = |direction| !files.iter().all(|file| self.probes.has_calls(*file, direction));
        let missing = Calls::DIRECTIONS.into_iter().filter(|direction| is_missing(*direction));
        let probed = missing.fold(needs.calls, |calls, direction| calls.without(Calls::of(direction)));
        self.probes.set_calls_probed(pid, probed)
    }

    fn exit(&mut self, pid: u32, at_ns: u64) {
        self.pending_scans.remove(&pid);
        self.mismatched.remove(&pid);
        let info = self.processes.get(pid);
        self.note_refused(&info.files, info.refused);
        self.processes.remove(pid);
        self.log.remove_attached(pid);
        self.probes.detach_own(pid);
        self.sweeps.add_ended(pid, at_ns);
    }

    /// Schedules a scan, unless an earlier one is pending.
    fn schedule_scan(&mut self, pid: u32, after: Duration) {
        let at = Instant::now() + after;
        let due = self.pending_scans.entry(pid).or_insert(at);
        *due = at.min(*due);
    }

    /// Reports why a process is not traced, if it still exists.
    fn report_refused(&mut self, pid: u32, reason: &str) {
        let Some(name) = name_of(pid).filter(|_| exists(pid)) else {
            return;
        };
        let except = if self.probes.captures_plain() {
            "; HTTP without TLS is"
        } else {
            ""
        };
        self.log
            .report(&name, pid, &format!(" is not traced: {reason}{except}"));
    }
}
