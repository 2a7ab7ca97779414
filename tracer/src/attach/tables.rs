//! What the loader and the programs know of each other: which processes are traced, what was looked at, what was lost.

use std::collections::{BTreeMap, BTreeSet};

use aya::{
    Ebpf,
    maps::{Array, HashMap as BpfHashMap, MapData},
};
use tracer_ebpf::{
    AddressKey, CallState, CiphertextKey, ConnectionState, KernelCounters, SiteConfig, SiteCounters, TargetFlags,
    TargetState, ThreadState,
};

use super::{Error, value::MapValue};

/// The tables of the loaded programs.
#[derive(Debug)]
pub(super) struct Tables<'a>(pub(super) &'a mut Ebpf);

impl Tables<'_> {
    /// Adds processes to those that are traced; what is known of one that is there already stays.
    pub(super) fn trace(&mut self, pids: &BTreeSet<u32>, flags: TargetFlags) -> Result<(), Error> {
        let state = MapValue(TargetState::new(flags));
        let mut targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        for pid in pids {
            if targets.get(pid, 0).is_err() {
                targets.insert(*pid, state, 0).map_err(Error::map("TARGETS"))?;
            }
        }
        Ok(())
    }

    /// Has the ciphertext of a traced process looked for. What the programs count of it meanwhile may go uncounted.
    pub(super) fn look_for_ciphertext(&mut self, pid: u32) -> Result<(), Error> {
        let mut targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        // One that has ended is no longer in the table.
        if let Ok(MapValue(mut state)) = targets.get(&pid, 0)
            && !state.flags.contains(TargetFlags::CIPHERTEXT)
        {
            state.flags = state.flags.with(TargetFlags::CIPHERTEXT);
            let present = aya_obj::generated::BPF_EXIST.into();
            drop(targets.insert(pid, MapValue(state), present));
        }
        Ok(())
    }

    /// Adds to how a process is traced, if it is. What the programs count meanwhile may be counted too low.
    pub(super) fn add_flags(&mut self, pid: u32, flags: TargetFlags) -> Result<(), Error> {
        let mut targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        let Ok(MapValue(mut state)) = targets.get(&pid, 0) else {
            return Ok(());
        };
        if state.flags.contains(flags) {
            return Ok(());
        }
        state.flags = TargetFlags(state.flags.0 | flags.0);
        targets.insert(pid, MapValue(state), 0).map_err(Error::map("TARGETS"))
    }

    /// Takes processes out of those that are traced.
    pub(super) fn leave(&mut self, pids: &BTreeSet<u32>) -> Result<(), Error> {
        let mut targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        for pid in pids {
            // One that has ended is no longer in the table.
            drop(targets.remove(pid));
        }
        Ok(())
    }

    /// Which processes are traced now.
    pub(super) fn traced(&mut self) -> Result<BTreeSet<u32>, Error> {
        let targets = self.hash::<u32, MapValue<TargetState>>("TARGETS")?;
        Ok(targets.keys().filter_map(Result::ok).collect())
    }

    /// Has programs of these short names traced from their `exec` on.
    pub(super) fn expect_names(&mut self, names: impl Iterator<Item = [u8; 16]>) -> Result<(), Error> {
        let mut table = self.hash::<[u8; 16], u32>("NAMES")?;
        for name in names {
            table.insert(name, 1, 0).map_err(Error::map("NAMES"))?;
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

    /// Says where things are in the library of a site.
    pub(super) fn configure(&mut self, site: u32, config: SiteConfig) -> Result<(), Error> {
        let map = self.0.map_mut("SITES").ok_or(Error::Missing("SITES"))?;
        let mut sites: Array<_, MapValue<SiteConfig>> = map.try_into().map_err(Error::map("SITES"))?;
        sites.set(site, MapValue(config), 0).map_err(Error::map("SITES"))
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

    /// Forgets what the programs remember of processes that ended, each at its time: its number may mean another by now.
    /// What bears no time is forgotten all the same: of a process that lives it is there again with the next call.
    pub(super) fn forget(&mut self, ended: &BTreeMap<u32, u64>) -> Result<(), Error> {
        let is_over = |tgid: u32, began_ns: u64| ended.get(&tgid).is_some_and(|at_ns| began_ns < *at_ns);
        self.forget_in(
            "CONNECTIONS",
            |key: MapValue<AddressKey>, state: MapValue<ConnectionState>| is_over(key.0.tgid, state.0.generation),
        )?;
        self.forget_in("CALLS", |key: MapValue<AddressKey>, call: MapValue<CallState>| {
            is_over(key.0.tgid, call.0.began_ns)
        })?;
        self.forget_in("CIPHERTEXTS", |key: MapValue<CiphertextKey>, _: u64| {
            is_over(key.0.tgid, 0)
        })?;
        self.forget_in("THREADS", |_: u32, thread: MapValue<ThreadState>| {
            is_over(thread.0.tgid, 0)
        })
    }

    fn forget_in<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
        is_over: impl Fn(K, V) -> bool,
    ) -> Result<(), Error> {
        let mut table = self.hash::<K, V>(name)?;
        let entries = table.iter().filter_map(Result::ok);
        let over: Vec<_> = entries.filter(|(key, value)| is_over(*key, *value)).collect();
        for (key, _) in over {
            // The program may have been quicker.
            drop(table.remove(&key));
        }
        Ok(())
    }

    fn hash<K: aya::Pod, V: aya::Pod>(&mut self, name: &'static str) -> Result<BpfHashMap<&mut MapData, K, V>, Error> {
        self.0
            .map_mut(name)
            .ok_or(Error::Missing(name))?
            .try_into()
            .map_err(Error::map(name))
    }
}
