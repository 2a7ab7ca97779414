//! Following what is traced as it lives: which processes there are, which files they map, which probes those need.
//!
//! In: what was asked for, and then what happens to processes. Out: probes in place, sites announced before their first
//! record, one line for each process or file that is attached to, and one for each asked for that is not. Forgets what
//! has ended.

mod output;
mod accounts;
mod losses;
mod sweeps;
mod watch;
mod notices;
mod look;
mod ahead;
mod begin;
mod reached;
mod sweep;
mod poll;
mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tracer_observe::batch::ProcessEntry;

pub(crate) use self::output::FollowOutput;
use self::{accounts::Accounts, losses::Losses, notices::Notices, sweeps::Sweeps, watch::Watch};
use crate::{
    attach::{self, Lifecycle, Probes, Reach},
    message::Messages,
    resolve::Resolver,
    target::{Selection, exists, name_of},
};

/// How long after it began another program a process is looked at; its mappings are told before.
const AFTER_EXEC: Duration = Duration::from_millis(100);

/// Keeps account of the traced processes, and of the probes they need.
pub(crate) struct Follower {
    probes: Probes,
    resolver: Resolver,
    selection: Selection,
    reach: Reach,
    accounts: Accounts,
    /// Processes to look at, and when.
    due: BTreeMap<u32, Instant>,
    /// What the programs are to forget.
    sweeps: Sweeps,
    /// What the kernel counted as lost.
    losses: Losses,
    swept: Instant,
    /// Whether something happened that was not told.
    overlooked: bool,
    /// Where the kernel does not tell of processes that come and go.
    watch: Option<Watch>,
    /// Processes to look at once more before something is said of them.
    doubtful: BTreeSet<u32>,
    /// What the user is told of processes.
    notices: Notices,
    /// Whether the kernel tells of mappings.
    mappings_are_told: bool,
    output: Arc<FollowOutput>,
    messages: Messages,
}

impl Follower {
    pub(crate) fn new(probes: Probes, selection: Selection, mappings_are_told: bool, messages: Messages) -> Self {
        Self {
            reach: attach::reach(selection.follow),
            watch: (probes.lifecycle() == Lifecycle::Polled).then(Watch::new),
            probes,
            resolver: Resolver::default(),
            selection,
            accounts: Accounts::default(),
            due: BTreeMap::new(),
            sweeps: Sweeps::new(),
            losses: Losses::default(),
            swept: Instant::now(),
            overlooked: false,
            doubtful: BTreeSet::new(),
            notices: Notices::new(messages),
            mappings_are_told,
            output: Arc::default(),
            messages,
        }
    }

    /// What it hands to whoever drains.
    pub(crate) fn output(&self) -> Arc<FollowOutput> {
        Arc::clone(&self.output)
    }

    /// The probes, for their sites and losses.
    pub(crate) const fn probes(&mut self) -> &mut Probes {
        &mut self.probes
    }

    /// The processes that are traced, with their names.
    pub(crate) fn entries(&self) -> Vec<ProcessEntry> {
        let pids: BTreeSet<u32> = self.accounts.pids().collect();
        let entry = |pid| {
            Some(ProcessEntry {
                pid,
                name: name_of(pid)?,
            })
        };
        pids.into_iter().filter_map(entry).collect()
    }

    /// A child maps what its parent maps.
    fn fork(&mut self, pid: u32, parent: u32) {
        let mapped = self.accounts.of(parent);
        let needs = mapped.needs;
        for file in &mapped.files {
            if self.reach == Reach::AllProcesses && !self.probes.needs_per_process_probes(*file, needs) {
                continue;
            }
            // A child that is gone already needs no probes of its own.
            if let Err(error) = self.probes.attach(*file, pid, self.reach, needs)
                && exists(pid)
            {
                self.messages.say(&format!(
                    "process {pid} is not traced from its first request on: {error:#}"
                ));
            }
        }
        self.notices.arrived(pid, &mapped);
        self.accounts.set(pid, mapped);
        if let Some(at) = self.due.get(&parent) {
            self.due.insert(pid, *at);
        }
    }

    fn end(&mut self, pid: u32, at_ns: u64) {
        self.due.remove(&pid);
        self.doubtful.remove(&pid);
        self.accounts.remove(pid);
        self.notices.left(pid);
        self.probes.detach_own(pid);
        self.sweeps.ended(pid, at_ns);
    }

    fn look_soon(&mut self, pid: u32, after: Duration) {
        let at = Instant::now() + after;
        let due = self.due.entry(pid).or_insert(at);
        *due = at.min(*due);
    }

    /// Says why a process that came later is not traced; of those with the same name and reason, for the first.
    fn say_refused(&mut self, pid: u32, reason: &str) {
        let Some(name) = name_of(pid).filter(|_| exists(pid)) else {
            return;
        };
        self.notices.note(&name, pid, &format!(" is not traced: {reason}"));
    }
}
