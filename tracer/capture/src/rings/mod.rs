//! Records from the rings of the running kernel.
//!
//! In: [`Rings`], and CPUs that come online. Out: [`Batch`]es, each with the time until which it is complete, and what
//! happened to processes.

mod progress;
mod drain;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use tracer_observe::batch::Batch;

use self::drain::{Drain, RecordQueue, fuller};
use crate::{
    attach::{Arrival, Arrivals, Mappings, Ring, Rings},
    clock::{boot_unix_ns, now_ns},
    target::Life,
};

pub use drain::Drained;

/// What is told while the rings are drained, apart from records.
#[derive(Debug)]
pub enum DrainEvent<'a> {
    /// Something happened to a process.
    Life(Life),
    /// A record of the ring that wakes its reader.
    Record(&'a [u8]),
}

/// The one reader of all rings.
#[derive(Debug)]
pub struct Drainer {
    captured: Drain<Ring>,
    lifecycle: Drain<Ring>,
    mappings: Option<Mappings>,
    arrivals: Arrivals,
    /// The ring whose reader is woken.
    woken: OwnedFd,
}

impl RecordQueue for Ring {
    fn produced(&self) -> u64 {
        self.produced()
    }

    fn consumed(&self) -> u64 {
        self.consumed()
    }

    fn capacity(&self) -> u64 {
        self.capacity()
    }

    fn take(&mut self, end: u64, read: impl FnMut(&[u8], &[u8])) -> bool {
        self.take(end, read)
    }
}

impl Drainer {
    /// Takes over the rings; the probes must not report yet.
    pub fn new(rings: Rings) -> io::Result<Self> {
        let Rings {
            captured,
            mut lifecycle,
            mappings,
            arrivals,
        } = rings;
        let now_ns = now_ns();
        let mut drainer = Self {
            captured: Drain::new(),
            lifecycle: Drain::new(),
            mappings,
            arrivals,
            woken: lifecycle.as_fd().try_clone_to_owned()?,
        };
        for mut ring in captured {
            ring.map_data()?;
            drainer.captured.add(ring, now_ns);
        }
        lifecycle.map_data()?;
        drainer.lifecycle.add(lifecycle, now_ns);
        Ok(drainer)
    }

    /// Takes what is in the rings, up to so many bytes of what was captured. What happened to processes is also handed
    /// to `tell`, with what they mapped, which concerns nobody else, and records that may have to be looked into.
    pub fn drain(&mut self, bound: usize, mut tell: impl FnMut(DrainEvent<'_>)) -> (Batch, Drained) {
        let mut batch = Batch::new(now_ns());
        batch.boot_unix_ns = Some(boot_unix_ns());
        self.adopt(&mut batch);
        let mut drained = self.captured.read(&mut batch, bound);
        // Before what happened to processes: by then it is known whose mappings these are.
        let mut mapped = Vec::new();
        if let Some(mappings) = &mut self.mappings {
            mappings.take(|life| mapped.push(life));
        }
        let before = batch.count();
        drained.fullest = fuller(drained.fullest, self.lifecycle.read(&mut batch, usize::MAX).fullest);
        for record in batch.records().skip(before) {
            match Life::parse(record) {
                Some(life) => tell(DrainEvent::Life(life)),
                None => tell(DrainEvent::Record(record)),
            }
        }
        for life in mapped {
            tell(DrainEvent::Life(life));
        }
        (batch, drained)
    }

    /// How many bytes of what was captured are not read.
    pub fn left_over(&self) -> u64 {
        self.captured.left_over()
    }

    /// Adds what was made for CPUs that came online. While one waits to be added, programs may write into its ring.
    fn adopt(&mut self, batch: &mut Batch) {
        let (arrivals, hold_ns) = self.arrivals.take();
        for arrival in arrivals {
            let Arrival {
                ring,
                watched,
                since_ns,
            } = arrival;
            if let Some(ring) = ring {
                self.captured.add(ring, since_ns);
            }
            if let (Some(mappings), Some(watched)) = (&mut self.mappings, watched) {
                mappings.add(watched);
            }
        }
        batch.complete_until_ns = batch.complete_until_ns.min(hold_ns);
    }
}

/// Readable as soon as there is something that has to be looked into at once.
impl AsFd for Drainer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}
