//! Reads records from the kernel's rings into [`Batch`]es.

mod watermark;
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
    target::ProcessEvent,
};

pub use drain::Drained;

/// What a drain reports besides captured data.
#[derive(Debug)]
pub enum DrainEvent<'a> {
    /// A process event.
    Process(ProcessEvent),
    /// Another record of the lifecycle ring.
    Record(&'a [u8]),
}

/// The only reader of all rings.
#[derive(Debug)]
pub struct Drainer {
    /// One ring per CPU with captured data.
    captured: Drain<Ring>,
    /// The ring of process and connection events, which data cannot fill.
    lifecycle: Drain<Ring>,
    /// Perf buffers with mmap events, if the kernel offers them.
    mappings: Option<Mappings>,
    arrivals: Arrivals,
    /// The lifecycle ring, whose programs wake the reader.
    wakeup: OwnedFd,
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
    /// Takes over the rings. The probes must not be enabled yet, or the first watermark would be wrong.
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
            wakeup: lifecycle.as_fd().try_clone_to_owned()?,
        };
        for mut ring in captured {
            ring.map_data()?;
            drainer.captured.add(ring, now_ns);
        }
        lifecycle.map_data()?;
        drainer.lifecycle.add(lifecycle, now_ns);
        Ok(drainer)
    }

    /// Reads up to `bound` bytes of captured data, and all other records. Passes process events and the records of the
    /// lifecycle ring to `emit`; the records are in the batch as well, mmap events are not.
    pub fn drain(&mut self, bound: usize, mut emit: impl FnMut(DrainEvent<'_>)) -> (Batch, Drained) {
        let mut batch = Batch::new(now_ns());
        batch.boot_unix_ns = Some(boot_unix_ns());
        self.add_arrivals(&mut batch);
        let mut drained = self.captured.read(&mut batch, bound);
        // Read mmap events before the lifecycle ring and emit them after it, so that the event of a new process always
        // precedes those of its mappings.
        let mut mapped = Vec::new();
        if let Some(mappings) = &mut self.mappings {
            mappings.take(|event| mapped.push(event));
        }
        let before = batch.count();
        drained.fullest = fuller(drained.fullest, self.lifecycle.read(&mut batch, usize::MAX).fullest);
        for record in batch.records().skip(before) {
            match ProcessEvent::parse(record) {
                Some(event) => emit(DrainEvent::Process(event)),
                None => emit(DrainEvent::Record(record)),
            }
        }
        for event in mapped {
            emit(DrainEvent::Process(event));
        }
        (batch, drained)
    }

    /// Returns the bytes of captured data that are in the rings.
    pub fn left_over(&self) -> u64 {
        self.captured.left_over()
    }

    /// Adds the rings and perf buffers of CPUs that came online. While a new ring waits here, programs may already write
    /// to it, so the batch is not complete beyond the time at which the ring was created.
    fn add_arrivals(&mut self, batch: &mut Batch) {
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

/// Readable when the lifecycle ring has records that should be drained at once.
impl AsFd for Drainer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeup.as_fd()
    }
}
