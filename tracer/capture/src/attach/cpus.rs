//! Creates a ring for each online CPU, and for CPUs that come online later.
//!
//! A host may have many more possible CPUs than online ones, so possible CPUs get no rings. A program on a CPU without a
//! ring writes to the ring in slot 0, which always exists: nothing is lost, but CPUs share a ring until theirs is added.

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

/// No ring is about to be added.
const NO_HOLD: u64 = u64::MAX;

/// The side that creates rings.
#[derive(Debug)]
pub struct Cpus {
    slots: ArrayOfMaps<MapData, MapData>,
    /// Size of a ring in bytes, as long as all rings together stay below [`MAX_RINGS_BYTES`].
    ring_bytes: u32,
    all_bytes: u64,
    with_ring: BTreeSet<u32>,
    /// The CPUs that were online at the last check.
    online: BTreeSet<u32>,
    /// Whether CPUs need a perf buffer of mmap events.
    watches: bool,
    made: Sender<Arrival>,
    /// The watermark of the reader's next batch is not above this time, or [`NO_HOLD`].
    hold_ns: Arc<AtomicU64>,
}

/// The side that reads rings.
#[derive(Debug)]
pub struct Arrivals {
    made: Receiver<Arrival>,
    hold_ns: Arc<AtomicU64>,
}

/// What was created for a CPU that came online.
#[derive(Debug)]
pub struct Arrival {
    /// Its ring, unless it had one before it went offline.
    pub ring: Option<Ring>,
    /// Its perf buffer of mmap events, where they are watched.
    pub watched: Option<Watched>,
    /// When programs gained access to the ring.
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

    /// Creates the rings of the online CPUs. No program may be attached yet.
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

    /// Creates rings and perf buffers for CPUs that came online since the last check. `now_ns` reads the clock of the
    /// records.
    pub fn check(&mut self, now_ns: impl Fn() -> u64) -> Result<(), Error> {
        let online = online()?;
        let came: Vec<u32> = online.difference(&self.online).copied().collect();
        for cpu in came {
            self.add(cpu, &now_ns)?;
            self.online.insert(cpu);
        }
        // A CPU that went offline keeps its ring, and loses its perf buffer.
        self.online = online;
        Ok(())
    }

    fn add(&mut self, cpu: u32, now_ns: impl Fn() -> u64) -> Result<(), Error> {
        let mut ring = self.lacks_ring(cpu).then(|| self.make_ring()).transpose()?;
        if let Some(ring) = &mut ring {
            ring.map_data().map_err(Error::ring("RINGS"))?;
        }
        // From here on, programs may write to a ring that the reader does not have: batches must not claim to be complete
        // beyond this time until it has the ring.
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
        // Fails only if the reader is gone.
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
    /// Returns what was created since the last call, and since when programs may have written to a ring that is not among
    /// it ([`u64::MAX`] if there is none). The reader must read its clock before it calls this.
    pub fn take(&self) -> (Vec<Arrival>, u64) {
        // Loads the time before it takes the arrivals: a time that is stored after the load is later than the reader's
        // clock, so that the reader claims nothing beyond it.
        let hold_ns = self.hold_ns.load(Ordering::SeqCst);
        let arrivals: Vec<Arrival> = self.made.try_iter().collect();
        let arrived = arrivals.iter().any(|arrival| arrival.since_ns == hold_ns);
        for arrival in &arrivals {
            // Keeps the time of a ring that was not sent yet. Every arrival counts and not only the one whose time was
            // loaded: a later one may have been sent since, and it is taken only once.
            let _same = self
                .hold_ns
                .compare_exchange(arrival.since_ns, NO_HOLD, Ordering::SeqCst, Ordering::SeqCst);
        }
        (arrivals, if arrived { NO_HOLD } else { hold_ns })
    }
}

fn online() -> Result<BTreeSet<u32>, Error> {
    let cpus = online_cpus().map_err(|(path, source)| Error::Cpus { path, source })?;
    Ok(cpus.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn no_time_is_held_once_its_ring_was_taken() {
        const RINGS: u64 = 20_000;
        let (made, receiver) = channel();
        let hold_ns = Arc::new(AtomicU64::new(NO_HOLD));
        let arrivals = Arrivals {
            made: receiver,
            hold_ns: Arc::clone(&hold_ns),
        };
        let maker = thread::spawn(move || {
            for since_ns in 1..=RINGS {
                let deadline = Instant::now() + Duration::from_mins(1);
                while hold_ns.load(Ordering::SeqCst) != NO_HOLD {
                    assert!(Instant::now() < deadline, "{since_ns} is held back");
                    thread::yield_now();
                }
                hold_ns.store(since_ns, Ordering::SeqCst);
                let arrival = Arrival {
                    ring: None,
                    watched: None,
                    since_ns,
                };
                made.send(arrival).unwrap();
            }
        });
        while !maker.is_finished() {
            let (arrived, _hold_ns) = arrivals.take();
            // On a busy machine each turn of the other thread would else cost the rest of this one's.
            if arrived.is_empty() {
                thread::yield_now();
            }
        }
        maker.join().unwrap();
        arrivals.take();
        assert_eq!(arrivals.take().1, NO_HOLD);
    }
}
