//! Records from the rings of the running kernel.

use rustix::time::{ClockId, clock_gettime};
use tracer_ebpf::{DataRecord, Kind};
use zerocopy::FromBytes as _;

use super::Batch;
use crate::{attach::Rings, limits::MAX_BATCH_BYTES, target::Life};

/// What is told while the rings are drained, apart from records.
#[derive(Debug)]
pub enum Told<'a> {
    /// Something happened to a process.
    Life(Life),
    /// A record of the ring that wakes its reader.
    Record(&'a [u8]),
}

/// Takes what is in the rings, up to a limit; what is over it waits for the next time. What happened to processes is
/// also handed to `tell`, with what they mapped, which concerns nobody else, and records that may have to be looked into.
pub fn drain(rings: &mut Rings, mut tell: impl FnMut(Told<'_>)) -> Batch {
    let mut batch = Batch::new(now_ns());
    let share = MAX_BATCH_BYTES / rings.captured.len().max(1);
    for ring in &mut rings.captured {
        let full = batch.len() + share;
        while let Some(slot) = (batch.len() < full).then(|| ring.next()).flatten() {
            batch.push(used(&slot));
        }
    }
    // Before what happened to processes: by then it is known whose mappings these are.
    let mut mapped = Vec::new();
    if let Some(mappings) = &mut rings.mappings {
        mappings.take(|life| mapped.push(life));
    }
    while let Some(record) = rings.lifecycle.next() {
        batch.push(&record);
        match Life::parse(&record) {
            Some(life) => tell(Told::Life(life)),
            None => tell(Told::Record(&record)),
        }
    }
    for life in mapped {
        tell(Told::Life(life));
    }
    batch
}

/// Reads the clock that the programs read: `CLOCK_MONOTONIC`, in nanoseconds.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// Cuts off what a data record's slot has more than its payload.
fn used(slot: &[u8]) -> &[u8] {
    match DataRecord::read_from_prefix(slot) {
        Ok((record, payload)) if record.header.kind == Kind::DATA => {
            let captured = usize::try_from(record.captured).unwrap_or(usize::MAX);
            let spare = payload.len().saturating_sub(captured);
            slot.get(..slot.len() - spare).unwrap_or(slot)
        }
        Ok(_) | Err(_) => slot,
    }
}
