//! A ring for each CPU, and one more when a CPU comes online.
//!
//! A machine may announce many more possible CPUs than it has, so only those that are online get rings. A program on a
//! CPU without a ring of its own writes into that of slot 0, which always has one: nothing is lost, but the CPUs share.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
};

use aya::{
    maps::{ArrayOfMaps, MapData},
    util::online_cpus,
};
use tracer_ebpf::MAX_CPUS;

use super::{Error, Ring, mappings::Watched};
use crate::limits::{MAX_RINGS_BYTES, MIN_DEFAULT_RING_BYTES};

/// Where no time is held.
const NO_HOLD: u64 = u64::MAX;

/// The maker's end.
#[derive(Debug)]
pub struct Cpus {
    slots: ArrayOfMaps<MapData, MapData>,
    /// Bytes of a ring, as long as all together stay in bounds.
    ring_bytes: u32,
    all_bytes: u64,
    with_ring: BTreeSet<u32>,
    /// The CPUs that were online the last time.
    online: BTreeSet<u32>,
    /// Whether mappings are watched.
    watches: bool,
    made: Sender<Arrival>,
    hold_ns: Arc<AtomicU64>,
}

/// The end of the rings' reader.
#[derive(Debug)]
pub struct Arrivals {
    made: Receiver<Arrival>,
    hold_ns: Arc<AtomicU64>,
}

/// What was made for a CPU.
#[derive(Debug)]
pub struct Arrival {
    /// Its ring, unless it had one.
    pub ring: Option<Ring>,
    /// Its account of mappings, where they are watched.
    pub watched: Option<Watched>,
    /// No program had access to the ring before.
    pub since_ns: u64,
}

impl Cpus {
    pub(super) fn new(slots: ArrayOfMaps<MapData, MapData>, ring_bytes: u32, watches: bool) -> (Self, Arrivals) {
        let (sender, receiver) = channel();
        let hold_ns = Arc::new(AtomicU64::new(NO_HOLD));
        let cpus = Self {
            slots,
            ring_bytes,
            all_bytes: 0,
            with_ring: BTreeSet::new(),
            online: BTreeSet::new(),
            watches,
            made: sender,
            hold_ns: Arc::clone(&hold_ns),
        };
        let made = receiver;
        (cpus, Arrivals { made, hold_ns })
    }

    /// Makes the rings of the CPUs that are online, before any program writes.
    pub(super) fn first_rings(&mut self) -> Result<Vec<Ring>, Error> {
        self.online = online()?;
        let mut rings = Vec::new();
        for cpu in self.online.clone() {
            if !self.lacks_ring(cpu) {
                continue;
            }
            let ring = self.make_ring()?;
            self.place(cpu, &ring)?;
            rings.push(ring);
        }
        if let (false, Some(first)) = (self.with_ring.contains(&0), rings.first()) {
            self.slots.set(0, first.map(), 0).map_err(Error::map("RINGS"))?;
        }
        Ok(rings)
    }

    /// Gives the CPUs that came online since the last time what they lack. `now_ns` reads the records' clock.
    pub fn check(&mut self, now_ns: impl Fn() -> u64) -> Result<(), Error> {
        let online = online()?;
        let came: Vec<u32> = online.difference(&self.online).copied().collect();
        for cpu in came {
            self.add(cpu, &now_ns)?;
            self.online.insert(cpu);
        }
        // One that goes and comes again has its ring still, and no account of mappings.
        self.online = online;
        Ok(())
    }

    fn add(&mut self, cpu: u32, now_ns: impl Fn() -> u64) -> Result<(), Error> {
        let mut ring = self.lacks_ring(cpu).then(|| self.make_ring()).transpose()?;
        if let Some(ring) = &mut ring {
            ring.map_data().map_err(Error::ring("RINGS"))?;
        }
        // From here on the reader claims nothing of later times, until it has the ring.
        let since_ns = now_ns();
        self.hold_ns.store(since_ns, Ordering::SeqCst);
        if let Some(ring) = &ring {
            self.place(cpu, ring)?;
        }
        let arrival = Arrival {
            ring,
            watched: self.watches.then(|| Watched::begin(cpu).ok()).flatten(),
            since_ns,
        };
        // A reader that is gone needs no rings.
        drop(self.made.send(arrival));
        Ok(())
    }

    fn lacks_ring(&self, cpu: u32) -> bool {
        let has_slot = usize::try_from(cpu).is_ok_and(|cpu| cpu < MAX_CPUS);
        has_slot && !self.with_ring.contains(&cpu)
    }

    fn make_ring(&mut self) -> Result<Ring, Error> {
        let within = self.all_bytes + u64::from(self.ring_bytes) <= MAX_RINGS_BYTES.into();
        let bytes = if within {
            self.ring_bytes
        } else {
            self.ring_bytes.min(MIN_DEFAULT_RING_BYTES)
        };
        let ring = Ring::make(bytes).map_err(Error::map("RINGS"))?;
        self.all_bytes += u64::from(bytes);
        Ok(ring)
    }

    fn place(&mut self, cpu: u32, ring: &Ring) -> Result<(), Error> {
        self.slots.set(cpu, ring.map(), 0).map_err(Error::map("RINGS"))?;
        self.with_ring.insert(cpu);
        Ok(())
    }
}

impl Arrivals {
    /// Takes what was made meanwhile, with the time from which on what comes later may have been written to: the reader
    /// must have read its clock before.
    pub fn take(&self) -> (Vec<Arrival>, u64) {
        // First the time and then what was made: what a later time stands for has then been sent, and is taken.
        let hold_ns = self.hold_ns.load(Ordering::SeqCst);
        let arrivals: Vec<Arrival> = self.made.try_iter().collect();
        let arrived = arrivals.iter().any(|arrival| arrival.since_ns == hold_ns);
        if arrived {
            // A time that was stored meanwhile stays.
            let _same = self
                .hold_ns
                .compare_exchange(hold_ns, NO_HOLD, Ordering::SeqCst, Ordering::SeqCst);
        }
        (arrivals, if arrived { NO_HOLD } else { hold_ns })
    }
}

fn online() -> Result<BTreeSet<u32>, Error> {
    let cpus = online_cpus().map_err(|(path, source)| Error::Cpus { path, source })?;
    Ok(cpus.into_iter().collect())
}
