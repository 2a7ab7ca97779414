//! Typed access to the maps of the programs: traced processes, the selection, the configuration of sites, and counters.

use std::collections::BTreeSet;

use aya::{
    Ebpf,
    maps::{Array, HashMap as BpfHashMap, MapData, MapError},
};
use tracer_ebpf::{
    CHANGES_BY_LOADER, FILE_NAME_BYTES, KernelCounters, NameKind, ProcessState, SiteConfig, SiteCounters, SiteOperands,
    TargetFlags, TargetState,
};

use super::{Calls, Error, batch::read_named, value::MapValue};
use crate::target::{Selection, User};

/// The maps of the loaded programs.
#[derive(Debug)]
pub(super) struct Tables<'a>(pub(super) &'a mut Ebpf);

impl Tables<'_> {
    /// Adds processes to TARGETS. An existing entry stays as it is.
    pub(super) fn trace(&mut self, pids: &BTreeSet<u32>, flags: TargetFlags) -> Result<(), Error> {
        let mut targets = self.hash("TARGETS")?;
        pids.iter()
            .try_for_each(|pid| trace_one(&mut targets, *pid, flags))
            .map_err(Error::map("TARGETS"))?;
        self.note_change()
    }

    /// Enables or disables the lookup of ciphertext for a traced process.
    pub(super) fn set_ciphertext_lookup(&mut self, pid: u32, enabled: bool) -> Result<(), Error> {
        let mut targets = self.hash("TARGETS")?;
        set_flag(&mut targets, pid, TargetFlags::CIPHERTEXT, enabled).map_err(Error::map("TARGETS"))?;
        self.note_change()
    }

    /// Sets which calls of a traced process are probed beside its taps and lifts.
    pub(super) fn set_calls_probed(&mut self, pid: u32, probed: Calls) -> Result<(), Error> {
        let mut targets = self.hash("TARGETS")?;
        change_flags(&mut targets, pid, Calls::BOTH.flags(), probed.flags()).map_err(Error::map("TARGETS"))?;
        self.note_change()
    }

    /// Removes processes from TARGETS and PROCESSES.
    pub(super) fn untrace(&mut self, pids: &BTreeSet<u32>) -> Result<(), Error> {
        let mut targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        // A process that exited is no longer in the map.
        for pid in pids {
            drop(targets.remove(pid));
        }
        let mut processes = self.hash::<u32, MapValue<ProcessState>>("PROCESSES")?;
        for pid in pids {
            drop(processes.remove(pid));
        }
        self.note_change()
    }

    /// Lets the programs look up processes anew that they remember: TARGETS has changed.
    fn note_change(&mut self) -> Result<(), Error> {
        const NAME: &str = "TARGET_CHANGES";
        let map = self.0.map_mut(NAME).ok_or(Error::Missing(NAME))?;
        let mut changes: Array<_, u64> = map.try_into().map_err(Error::map(NAME))?;
        let before = changes.get(&CHANGES_BY_LOADER, 0).map_err(Error::map(NAME))?;
        changes
            .set(CHANGES_BY_LOADER, before.wrapping_add(1), 0)
            .map_err(Error::map(NAME))
    }

    /// Returns the processes in TARGETS.
    pub(super) fn traced(&mut self) -> Result<BTreeSet<u32>, Error> {
        let mut traced = BTreeSet::new();
        read_named(self.0, "TARGETS", |tgid: u32, _: TargetState| {
            traced.insert(tgid);
        })?;
        Ok(traced)
    }

    /// Selects processes by name, from exec on.
    pub(super) fn select_names(&mut self, selection: &Selection) -> Result<(), Error> {
        let mut long = self.hash::<[u8; FILE_NAME_BYTES], u32>("LONG_NAMES")?;
        for name in selection.long_names() {
            long.insert(name, 1, 0).map_err(Error::map("LONG_NAMES"))?;
        }
        let mut short = self.hash::<[u8; 16], MapValue<NameKind>>("NAMES")?;
        for (name, kind) in selection.short_names() {
            short.insert(name, MapValue(kind), 0).map_err(Error::map("NAMES"))?;
        }
        Ok(())
    }

    /// Selects processes by cgroup, from exec on.
    pub(super) fn select_groups(&mut self, groups: &BTreeSet<u64>) -> Result<(), Error> {
        let mut table = self.hash::<u64, u32>("CGROUPS")?;
        for group in groups {
            table.insert(*group, 1, 0).map_err(Error::map("CGROUPS"))?;
        }
        Ok(())
    }

    /// Selects processes by user, from exec or from the first hit of a probe on.
    pub(super) fn select_users(&mut self, users: &[User]) -> Result<(), Error> {
        let mut table = self.hash::<u32, u32>("UIDS")?;
        for user in users {
            table.insert(user.uid, 1, 0).map_err(Error::map("UIDS"))?;
        }
        Ok(())
    }

    /// Selects the processes that listen on ports, from then on.
    pub(super) fn select_ports(&mut self, ports: &[u16]) -> Result<(), Error> {
        let mut table = self.hash::<u32, u32>("PORTS")?;
        for port in ports {
            table.insert(u32::from(*port), 1, 0).map_err(Error::map("PORTS"))?;
        }
        Ok(())
    }

    /// Writes the configuration of a site.
    pub(super) fn configure(&mut self, site: u32, config: SiteConfig) -> Result<(), Error> {
        let map = self.0.map_mut("SITES").ok_or(Error::Missing("SITES"))?;
        let mut sites: Array<_, MapValue<SiteConfig>> = map.try_into().map_err(Error::map("SITES"))?;
        sites.set(site, MapValue(config), 0).map_err(Error::map("SITES"))
    }

    /// Writes the configurations and operands of sites. Operands come first: a tap that is given up captures nothing any more
    /// before calls rely on that.
    pub(super) fn configure_all(&mut self, sites: &[(u32, SiteConfig, SiteOperands)]) -> Result<(), Error> {
        for (site, _, operands) in sites {
            self.set_operands(*site, *operands)?;
        }
        for (site, config, _) in sites {
            self.configure(*site, *config)?;
        }
        Ok(())
    }

    /// Writes the operands of a site.
    pub(super) fn set_operands(&mut self, site: u32, operands: SiteOperands) -> Result<(), Error> {
        let map = self.0.map_mut("OPERANDS").ok_or(Error::Missing("OPERANDS"))?;
        let mut sites: Array<_, MapValue<SiteOperands>> = map.try_into().map_err(Error::map("OPERANDS"))?;
        sites.set(site, MapValue(operands), 0).map_err(Error::map("OPERANDS"))
    }

    /// Returns the counters of the first `sites` sites.
    pub(super) fn losses(&mut self, sites: usize) -> Result<Vec<SiteCounters>, Error> {
        let map = self.0.map("COUNTERS").ok_or(Error::Missing("COUNTERS"))?;
        let counters: Array<_, MapValue<SiteCounters>> = map.try_into().map_err(Error::map("COUNTERS"))?;
        let read = |site| {
            let value = counters.get(&site, 0).map(|value| value.0);
            value.map_err(Error::map("COUNTERS"))
        };
        (0..).take(sites).map(read).collect()
    }

    /// Returns the counters of losses that belong to no site.
    pub(super) fn totals(&mut self) -> Result<KernelCounters, Error> {
        let map = self.0.map("TOTALS").ok_or(Error::Missing("TOTALS"))?;
        let totals: Array<_, MapValue<KernelCounters>> = map.try_into().map_err(Error::map("TOTALS"))?;
        totals.get(&0, 0).map(|value| value.0).map_err(Error::map("TOTALS"))
    }

    pub(super) fn hash<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
    ) -> Result<BpfHashMap<&mut MapData, K, V>, Error> {
        self.0
            .map_mut(name)
            .ok_or(Error::Missing(name))?
            .try_into()
            .map_err(Error::map(name))
    }
}

/// The map of traced processes.
type Targets<'a> = BpfHashMap<&'a mut MapData, u32, MapValue<TargetState>>;

/// Adds a process, unless a program has added it already.
fn trace_one(targets: &mut Targets<'_>, pid: u32, flags: TargetFlags) -> Result<(), MapError> {
    let absent = aya_obj::generated::BPF_NOEXIST.into();
    match targets.insert(pid, MapValue(TargetState::new(flags)), absent) {
        Err(error) if !is(&error, libc::EEXIST) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn set_flag(targets: &mut Targets<'_>, pid: u32, flag: TargetFlags, is_set: bool) -> Result<(), MapError> {
    let added = if is_set { flag } else { TargetFlags::default() };
    change_flags(targets, pid, flag, added)
}

/// Removes flags of a process, and adds others, at once.
fn change_flags(targets: &mut Targets<'_>, pid: u32, removed: TargetFlags, added: TargetFlags) -> Result<(), MapError> {
    let Ok(MapValue(TargetState { flags, .. })) = targets.get(&pid, 0) else {
        return Ok(());
    };
    let changed = flags.without(removed).with(added);
    if changed == flags {
        return Ok(());
    }
    replace(targets, pid, TargetState::new(changed))
}

/// Replaces the entry of a process. An entry that the process's exit has removed is not created again: nothing would
/// remove it.
fn replace(targets: &mut Targets<'_>, pid: u32, state: TargetState) -> Result<(), MapError> {
    let present = aya_obj::generated::BPF_EXIST.into();
    match targets.insert(pid, MapValue(state), present) {
        Err(error) if !is(&error, libc::ENOENT) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is(error: &MapError, code: i32) -> bool {
    matches!(error, MapError::SyscallError(failed) if failed.io_error.raw_os_error() == Some(code))
}

#[cfg(test)]
mod tests {
    use aya::maps::Map;

    use super::*;

    /// Returns an empty map of targets.
    fn table() -> Map {
        let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_HASH as u32;
        let definition = aya_obj::Map::new_from_params(kind, 4, 8, 16, 0);
        Map::HashMap(MapData::create(definition, "targets", None).unwrap())
    }

    #[test]
    #[ignore = "needs the privilege to make BPF maps: scripts/test runs it"]
    fn a_process_that_ends_while_flags_are_added_does_not_come_back() {
        let mut map = table();
        let mut targets: Targets<'_> = (&mut map).try_into().unwrap();
        trace_one(&mut targets, 1, TargetFlags::FOLLOW).unwrap();
        let MapValue(state) = targets.get(&1, 0).unwrap();
        targets.remove(&1).unwrap();
        replace(&mut targets, 1, state).unwrap();
        set_flag(&mut targets, 1, TargetFlags::CIPHERTEXT, true).unwrap();
        assert_eq!(targets.keys().count(), 0);
    }

    #[test]
    #[ignore = "needs the privilege to make BPF maps: scripts/test runs it"]
    fn what_is_known_of_a_process_stays_when_it_is_traced_again() {
        let mut map = table();
        let mut targets: Targets<'_> = (&mut map).try_into().unwrap();
        trace_one(&mut targets, 1, TargetFlags::FOLLOW).unwrap();
        set_flag(&mut targets, 1, TargetFlags::CIPHERTEXT, true).unwrap();
        trace_one(&mut targets, 1, TargetFlags::default()).unwrap();
        let both = TargetFlags::FOLLOW.with(TargetFlags::CIPHERTEXT);
        assert_eq!(targets.get(&1, 0).unwrap().0.flags, both);
        set_flag(&mut targets, 1, TargetFlags::CIPHERTEXT, false).unwrap();
        assert_eq!(targets.get(&1, 0).unwrap().0.flags, TargetFlags::FOLLOW);
    }
}
