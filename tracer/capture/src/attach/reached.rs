//! Probes that are attached, by the processes that they are for.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    time::Instant,
};

use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeLink, UProbeLinkId},
    },
};

use super::{multi::MultiLinks, program::Program, program_of};

/// Attached probes, by the processes that they are for.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// For all processes.
    pub(super) shared: Links,
    /// For single processes.
    pub(super) own: BTreeMap<u32, Links>,
    /// When the first of them was attached; `None` once they were detached.
    pub(super) since: Option<Instant>,
}

impl Reached {
    /// Adds links for one process, or for all if `pid` is absent.
    pub(super) fn add(&mut self, mut links: Links, pid: Option<NonZeroU32>) {
        if links.sites.is_empty() {
            return;
        }
        let all = match pid {
            Some(pid) => self.own.entry(pid.get()).or_default(),
            None => &mut self.shared,
        };
        all.sites.append(&mut links.sites);
        all.single.append(&mut links.single);
        all.multi.append(&mut links.multi);
        let _since = self.since.get_or_insert_with(Instant::now);
    }

    /// Returns whether a site has its probes for one process, or for all if `pid` is absent.
    pub(super) fn has_site(&self, site: u32, pid: Option<NonZeroU32>) -> bool {
        let links = match pid {
            Some(pid) => self.own.get(&pid.get()),
            None => Some(&self.shared),
        };
        links.is_some_and(|links| links.sites.contains(&site))
    }

    /// Returns whether any probe is attached.
    pub(super) fn is_any(&self) -> bool {
        self.own
            .values()
            .chain([&self.shared])
            .any(|links| !links.sites.is_empty())
    }

    /// Takes all links.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Links> {
        self.since = None;
        let own = std::mem::take(&mut self.own).into_values();
        own.chain([std::mem::take(&mut self.shared)])
    }
}

/// The probes that are attached to sites of a file.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Indexes of the sites that have all their probes.
    pub(super) sites: BTreeSet<u32>,
    /// Links of one probe each.
    pub(super) single: Vec<(Program, UProbeLinkId)>,
    /// Links of all probes that one program got at one time.
    pub(super) multi: MultiLinks,
}

/// Takes links of one probe each from the programs. Dropping them detaches the probes.
pub(super) fn take_single(ebpf: &mut Ebpf, links: &mut Links) -> Vec<UProbeLink> {
    let single = std::mem::take(&mut links.single).into_iter();
    let take = |(program, link): (Program, UProbeLinkId)| {
        let probe: &mut UProbe = program_of(ebpf, program.name()).ok()?;
        probe.take_link(link).ok()
    };
    single.filter_map(take).collect()
}

/// Detaches probes.
pub(super) fn detach(ebpf: &mut Ebpf, links: Links) {
    let Links {
        sites: _,
        single,
        multi,
    } = links;
    detach_singly(ebpf, single);
    drop(multi);
}

pub(super) fn detach_singly(ebpf: &mut Ebpf, links: Vec<(Program, UProbeLinkId)>) {
    for (program, link) in links {
        if let Ok(probe) = program_of::<UProbe>(ebpf, program.name()) {
            // Fails only if the program does not have the link.
            drop(probe.detach(link));
        }
    }
}
