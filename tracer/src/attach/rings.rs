//! What the programs write into, and what lets them: one ring per CPU for what is captured, one for what happens to
//! processes, and the switch.

use std::os::fd::{AsFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{Array, ArrayOfMaps, Map, MapData, MapError, RingBuf},
};
use tracer_ebpf::MAX_CPUS;

use super::{Error, Mappings};

/// All rings.
pub struct Rings {
    /// What was captured, a ring per possible CPU.
    pub captured: Vec<RingBuf<MapData>>,
    /// What happened to processes.
    pub lifecycle: RingBuf<MapData>,
    /// What they mapped, and whom they forked where no program tells; `None` where the kernel does not tell, and has to be asked again and again.
    pub mappings: Option<Mappings>,
}

impl Rings {
    pub(super) fn make(ebpf: &mut Ebpf, bytes: u32, forks: bool) -> Result<Self, Error> {
        let cpus = aya::util::nr_cpus().map_err(|(path, source)| Error::Cpus { path, source })?;
        if cpus > MAX_CPUS {
            return Err(Error::TooManyCpus(cpus));
        }
        let map = ebpf.map_mut("RINGS").ok_or(Error::Missing("RINGS"))?;
        let mut outer: ArrayOfMaps<_, RingBuf<MapData>> = map.try_into().map_err(Error::map("RINGS"))?;
        let captured = (0..cpus)
            .map(|_| make_ring(bytes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::map("RINGS"))?;
        for (cpu, ring) in (0..).zip(&captured) {
            outer.set(cpu, ring, 0).map_err(Error::map("RINGS"))?;
        }
        let lifecycle = ebpf.take_map("LIFECYCLE").ok_or(Error::Missing("LIFECYCLE"))?;
        Ok(Self {
            captured,
            lifecycle: lifecycle.try_into().map_err(Error::map("LIFECYCLE"))?,
            mappings: Mappings::watch(forks).ok(),
        })
    }
}

/// Readable as soon as there is something that has to be looked into at once.
impl AsFd for Rings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lifecycle.as_fd()
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

fn make_ring(bytes: u32) -> Result<RingBuf<MapData>, MapError> {
    let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    let definition = aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0);
    RingBuf::try_from(Map::RingBuf(MapData::create(definition, "ring", None)?))
}
