//! Probes that report: their rings, what they lost, and how they forget.

use aya::{
    Ebpf,
    maps::{Array, HashMap as BpfHashMap, MapData, RingBuf},
};
use tracer_ebpf::{AddressKey, CallState, ConnectionState, SiteCounters};

use super::{Error, SiteInfo, value::MapValue};

/// Probes in place and reporting; dropping it detaches them.
pub struct Attached {
    pub(super) ebpf: Ebpf,
    pub(super) rings: Vec<RingBuf<MapData>>,
    pub(super) sites: Vec<SiteInfo>,
}

impl Attached {
    /// The probed functions, by the index that records name.
    pub fn sites(&self) -> &[SiteInfo] {
        &self.sites
    }

    /// The rings, one per possible CPU.
    pub fn rings(&mut self) -> &mut [RingBuf<MapData>] {
        &mut self.rings
    }

    /// What each site did not capture, in the order of [`Self::sites`].
    pub fn losses(&self) -> Result<Vec<SiteCounters>, Error> {
        let map = self.ebpf.map("COUNTERS").ok_or(Error::Missing("COUNTERS"))?;
        let counters: Array<_, MapValue<SiteCounters>> = map.try_into().map_err(Error::map("COUNTERS"))?;
        let read = |site| {
            counters
                .get(&site, 0)
                .map(|value| value.0)
                .map_err(Error::map("COUNTERS"))
        };
        (0..).take(self.sites.len()).map(read).collect()
    }

    /// Stops reporting; what is in the rings can still be drained.
    pub fn disable(&mut self, pids: impl IntoIterator<Item = u32>) -> Result<(), Error> {
        let mut targets = self.table::<u32, u32>("TARGETS")?;
        for pid in pids {
            // A process that was forgotten before is no longer in the table.
            drop(targets.remove(&pid));
        }
        Ok(())
    }

    /// Forgets what the programs remember of a process that has ended.
    pub fn forget(&mut self, pid: u32) -> Result<(), Error> {
        self.disable([pid])?;
        self.forget_in::<ConnectionState>("CONNECTIONS", pid)?;
        self.forget_in::<CallState>("CALLS", pid)
    }

    fn forget_in<V: 'static>(&mut self, name: &'static str, pid: u32) -> Result<(), Error>
    where
        MapValue<V>: aya::Pod,
    {
        let mut table = self.table::<MapValue<AddressKey>, MapValue<V>>(name)?;
        let keys: Vec<_> = table
            .keys()
            .filter_map(Result::ok)
            .filter(|key| key.0.tgid == pid)
            .collect();
        for key in keys {
            table.remove(&key).map_err(Error::map(name))?;
        }
        Ok(())
    }

    pub(super) fn table<K: aya::Pod, V: aya::Pod>(
        &mut self,
        name: &'static str,
    ) -> Result<BpfHashMap<&mut MapData, K, V>, Error> {
        self.ebpf
            .map_mut(name)
            .ok_or(Error::Missing(name))?
            .try_into()
            .map_err(Error::map(name))
    }
}
