//! The rings that the programs write to, and the switch that enables the probes.

use aya::{
    Ebpf,
    maps::{Array, Map, MapData},
};
use tracer_ebpf::LIFECYCLE_RING_BYTES;

use super::{Arrivals, Cpus, Error, Mappings, Ring};

/// All rings.
#[derive(Debug)]
pub struct Rings {
    /// One ring per online CPU with captured data.
    pub captured: Vec<Ring>,
    /// The ring of process and connection events, which data cannot fill.
    pub lifecycle: Ring,
    /// mmap events, and fork events where no program reports them. `None` where the kernel refuses perf events: then the
    /// follower rescans the processes.
    pub mappings: Option<Mappings>,
    /// Rings of CPUs that come online later.
    pub arrivals: Arrivals,
}

impl Rings {
    pub(super) fn make(ebpf: &mut Ebpf, bytes: u32, forks: bool) -> Result<(Self, Cpus), Error> {
        let slots = ebpf.take_map("RINGS").ok_or(Error::Missing("RINGS"))?;
        let slots = slots.try_into().map_err(Error::map("RINGS"))?;
        let mappings = Mappings::watch(forks).ok();
        let (mut cpus, arrivals) = Cpus::new(slots, bytes, mappings.is_some());
        let captured = cpus.first_rings()?;
        let Some(Map::RingBuf(lifecycle)) = ebpf.take_map("LIFECYCLE") else {
            return Err(Error::Missing("LIFECYCLE"));
        };
        let bytes = u32::try_from(LIFECYCLE_RING_BYTES).unwrap_or(u32::MAX);
        let lifecycle = Ring::over(lifecycle, bytes).map_err(Error::ring("LIFECYCLE"))?;
        let rings = Self {
            captured,
            lifecycle,
            mappings,
            arrivals,
        };
        Ok((rings, cpus))
    }
}

/// Enables and disables all probes.
pub struct Switch(Array<MapData, u32>);

impl Switch {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("SWITCH").ok_or(Error::Missing("SWITCH"))?;
        Ok(Self(map.try_into().map_err(Error::map("SWITCH"))?))
    }

    /// Enables or disables the probes. What is in the rings can still be drained.
    pub fn set(&mut self, on: bool) -> Result<(), Error> {
        self.0.set(0, u32::from(on), 0).map_err(Error::map("SWITCH"))
    }
}
