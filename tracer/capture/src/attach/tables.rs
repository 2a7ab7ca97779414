//! What the loader and the programs know of each other: which processes are traced, what was looked at, what was lost.

use std::collections::BTreeSet;

use aya::{
    Ebpf,
    maps::{Array, HashMap as BpfHashMap, MapData, MapError},
};
use tracer_ebpf::{
    FILE_NAME_BYTES, KernelCounters, NameKind, ProcessState, SiteConfig, SiteCounters, SiteOperands, TargetFlags,
    TargetState,
};

use super::{Error, batch::read_named, value::MapValue};
use crate::target::{Selection, User};

/// The tables of the loaded programs.
#[derive(Debug)]
pub(super) struct Tables<'a>(pub(super) &'a mut Ebpf);

impl Tables<'_> {
    /// Adds processes to those that are traced; what is known of one that is there already stays.
    pub(super) fn trace(&mut self, pids: &BTreeSet<u32>, flags: TargetFlags) -> Result<(), Error> {
        let mut targets = self.hash("TARGETS")?;
        pids.iter()
            .try_for_each(|pid| trace_one(&mut targets, *pid, flags))
            .map_err(Error::map("TARGETS"))
    }

    /// Says whether the ciphertext of a traced process is looked for.
    pub(super) fn look_for_ciphertext(&mut self, pid: u32, wanted: bool) -> Result<(), Error> {
        let mut targets = self.hash("TARGETS")?;
        set_flag(&mut targets, pid, TargetFlags::CIPHERTEXT, wanted).map_err(Error::map("TARGETS"))
    }

    /// Says whether hooks at the calls of a traced process are in place beside its taps and lifts.
    pub(super) fn mark_calls(&mut self, pid: u32, are_watched: bool) -> Result<(), Error> {
        let mut targets = self.hash("TARGETS")?;
        set_flag(&mut targets, pid, TargetFlags::CALLS, are_watched).map_err(Error::map("TARGETS"))
    }

    /// Takes processes out of those that are traced.
    pub(super) fn leave(&mut self, pids: &BTreeSet<u32>) -> Result<(), Error> {
        let mut targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        // One that has ended is no longer in the table.
        for pid in pids {
            drop(targets.remove(pid));
        }
        let mut processes = self.hash::<u32, MapValue<ProcessState>>("PROCESSES")?;
        for pid in pids {
            drop(processes.remove(pid));
        }
        Ok(())
    }

    /// Which processes are traced now.
    pub(super) fn traced(&mut self) -> Result<BTreeSet<u32>, Error> {
        let mut traced = BTreeSet::new();
        read_named(self.0, "TARGETS", |tgid: u32, _: TargetState| {
            traced.insert(tgid);
        })?;
        Ok(traced)
    }

    /// Has programs of these names traced from their `exec` on.
    pub(super) fn expect_names(&mut self, selection: &Selection) -> Result<(), Error> {
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

    /// Has programs in these control groups traced from their `exec` on.
    pub(super) fn expect_groups(&mut self, groups: &BTreeSet<u64>) -> Result<(), Error> {
        let mut table = self.hash::<u64, u32>("CGROUPS")?;
        for group in groups {
            table.insert(*group, 1, 0).map_err(Error::map("CGROUPS"))?;
        }
        Ok(())
    }

    /// Has processes of these users traced from their `exec` or from their first hit of a probe on.
    pub(super) fn expect_users(&mut self, users: &[User]) -> Result<(), Error> {
        let mut table = self.hash::<u32, u32>("UIDS")?;
        for user in users {
            table.insert(user.uid, 1, 0).map_err(Error::map("UIDS"))?;
        }
        Ok(())
    }

    /// Says where things are in the library of a site.
    pub(super) fn configure(&mut self, site: u32, config: SiteConfig) -> Result<(), Error> {
        let map = self.0.map_mut("SITES").ok_or(Error::Missing("SITES"))?;
        let mut sites: Array<_, MapValue<SiteConfig>> = map.try_into().map_err(Error::map("SITES"))?;
        sites.set(site, MapValue(config), 0).map_err(Error::map("SITES"))
    }

    /// Writes where the operands of a site are.
    pub(super) fn place_operands(&mut self, site: u32, operands: SiteOperands) -> Result<(), Error> {
        let map = self.0.map_mut("OPERANDS").ok_or(Error::Missing("OPERANDS"))?;
        let mut sites: Array<_, MapValue<SiteOperands>> = map.try_into().map_err(Error::map("OPERANDS"))?;
        sites.set(site, MapValue(operands), 0).map_err(Error::map("OPERANDS"))
    }

    /// What a number of sites did not capture, from the first on.
    pub(super) fn losses(&mut self, sites: usize) -> Result<Vec<SiteCounters>, Error> {
        let map = self.0.map("COUNTERS").ok_or(Error::Missing("COUNTERS"))?;
        let counters: Array<_, MapValue<SiteCounters>> = map.try_into().map_err(Error::map("COUNTERS"))?;
        let read = |site| {
            let value = counters.get(&site, 0).map(|value| value.0);
            value.map_err(Error::map("COUNTERS"))
        };
        (0..).take(sites).map(read).collect()
    }

    /// What was lost and belongs to no site.
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

/// The table of traced processes.
type Targets<'a> = BpfHashMap<&'a mut MapData, u32, MapValue<TargetState>>;

/// The programs may have been quicker: then their entry stays.
fn trace_one(targets: &mut Targets<'_>, pid: u32, flags: TargetFlags) -> Result<(), MapError> {
    let absent = aya_obj::generated::BPF_NOEXIST.into();
    match targets.insert(pid, MapValue(TargetState::new(flags)), absent) {
        Err(error) if !is(&error, libc::EEXIST) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn set_flag(targets: &mut Targets<'_>, pid: u32, flag: TargetFlags, is_set: bool) -> Result<(), MapError> {
    let Ok(MapValue(TargetState { flags, .. })) = targets.get(&pid, 0) else {
        return Ok(());
    };
    let changed = if is_set { flags.with(flag) } else { flags.without(flag) };
    if changed == flags {
        return Ok(());
    }
    replace(targets, pid, TargetState::new(changed))
}

/// A process may have ended since its entry was read: then that does not come back, for nothing would remove it again.
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

    /// An empty table of processes.
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
