//! What the programs write into, and what lets them: one ring per online CPU for what is captured, one for what happens
//! to processes, and the switch.

use aya::{
    Ebpf,
    maps::{Array, Map, MapData},
};
use tracer_ebpf::LIFECYCLE_RING_BYTES;

use super::{Arrivals, Cpus, Error, Mappings, Ring};

/// All rings.
#[derive(Debug)]
pub struct Rings {
    /// What was captured, a ring per online CPU.
    pub captured: Vec<Ring>,
    /// What happened to processes.
    pub lifecycle: Ring,
    /// What they mapped, and whom they forked where no program tells; `None` where the kernel does not tell, and has to be asked again and again.
    pub mappings: Option<Mappings>,
    /// What is made for CPUs that come online later.
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

/// Lets the probes report.
pub struct Switch(Array<MapData, u32>);

impl Switch {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("SWITCH").ok_or(Error::Missing("SWITCH"))?;
        Ok(Self(map.try_into().map_err(Error::map("SWITCH"))?))
    }

    /// Lets the probes report, or stops them; what is in the rings can still be drained.
    pub fn set(&mut self, on: bool) -> Result<(), Error> {
        self.0.set(0, u32::from(on), 0).map_err(Error::map("SWITCH"))
    }
}
