//! Reads many rings as one.
//!
//! A drain reads each ring up to the position that it was filled to when the drain began. The rings take turns, so that a
//! busy one does not delay the others, and all of them share one bound; the next drain reads the rest. The watermark of
//! the batch is the minimum of the rings' watermarks ([`super::watermark`]).

use tracer_ebpf::{DataRecord, Kind};
use tracer_observe::batch::Batch;
use zerocopy::FromBytes as _;

use super::watermark::Watermark;
use crate::limits::DRAIN_TURN_BYTES;

/// A ring, as its only reader sees it. Positions count bytes since the ring was created.
pub(super) trait RecordQueue {
    /// Returns the position up to which programs have filled it.
    fn produced(&self) -> u64;

    /// Returns the position up to which it was read.
    fn consumed(&self) -> u64;

    /// Returns its size in bytes.
    fn capacity(&self) -> u64;

    /// Passes the next record that begins before `end` to `read`, in two parts if it wraps around the end of the ring.
    /// Returns false if there is none, or it is not completely written.
    fn take(&mut self, end: u64, read: impl FnMut(&[u8], &[u8])) -> bool;
}

/// A ring and its watermark.
#[derive(Debug)]
struct Source<R> {
    ring: R,
    watermark: Watermark,
}

/// Rings that are read together.
#[derive(Debug)]
pub(super) struct Drain<R> {
    sources: Vec<Source<R>>,
    /// Index of the ring that has the first turn.
    first: usize,
}

/// The state of the rings at a drain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Bytes used and capacity, when the drain began, of the ring with the largest used share.
    pub fullest: (u64, u64),
    /// Whether the bound ended the drain before all rings were read.
    pub leftover: bool,
}

impl<R: RecordQueue> Drain<R> {
    pub(super) const fn new() -> Self {
        Self {
            sources: Vec::new(),
            first: 0,
        }
    }

    /// Adds a ring to which no program had access before `now_ns`.
    pub(super) fn add(&mut self, ring: R, now_ns: u64) {
        let watermark = Watermark::new(now_ns);
        self.sources.push(Source { ring, watermark });
    }

    /// Reads up to `bound` bytes from all rings into a batch, whose `drained_ns` must be the current time.
    pub(super) fn read(&mut self, batch: &mut Batch, bound: usize) -> Drained {
        let mut ends = Vec::with_capacity(self.sources.len());
        let mut waiting = 0;
        let mut fullest = (0, 1);
        for Source { ring, watermark } in &mut self.sources {
            let produced = ring.produced();
            watermark.mark(batch.drained_ns, produced);
            let filled = (produced - ring.consumed(), ring.capacity());
            fullest = fuller(fullest, filled);
            waiting += filled.0;
            ends.push(produced);
        }
        batch.reserve(usize::try_from(waiting).unwrap_or(usize::MAX).min(bound));
        let leftover = self.take_turns(batch, &ends, bound);
        for Source { ring, watermark } in &mut self.sources {
            let until_ns = watermark.complete_until(ring.consumed());
            batch.complete_until_ns = batch.complete_until_ns.min(until_ns);
        }
        Drained { fullest, leftover }
    }

    /// Returns the bytes in the rings now.
    pub(super) fn left_over(&self) -> u64 {
        let waiting = |source: &Source<R>| source.ring.produced() - source.ring.consumed();
        self.sources.iter().map(waiting).sum()
    }

    /// Reads the rings in turns; returns whether the bound ended the drain.
    fn take_turns(&mut self, batch: &mut Batch, ends: &[u64], bound: usize) -> bool {
        let full = batch.len().saturating_add(bound);
        let count = self.sources.len();
        let mut order: Vec<usize> = (0..count).map(|turn| (self.first + turn) % count).collect();
        while !order.is_empty() {
            let mut unfinished = Vec::new();
            for index in order {
                let (Some(source), Some(end)) = (self.sources.get_mut(index), ends.get(index)) else {
                    continue;
                };
                let turn_ends = batch.len().saturating_add(DRAIN_TURN_BYTES).min(full);
                let mut found = true;
                while found && batch.len() < turn_ends {
                    found = source.ring.take(*end, |first, rest| push_used(batch, first, rest));
                }
                if found && source.ring.consumed() < *end {
                    if batch.len() >= full {
                        // Its turn was cut short or did not come, so it has the first turn of the next drain.
                        self.first = index;
                        return true;
                    }
                    unfinished.push(index);
                }
            }
            order = unfinished;
        }
        false
    }
}

impl<R: RecordQueue> Default for Drain<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the ring with the larger used share, of two given as bytes used and capacity; of two empty ones the other.
pub(super) fn fuller(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    let share = |(filled, capacity): (u64, u64)| u128::from(filled) * 1_000_000 / u128::from(capacity.max(1));
    if share(other) >= share(one) { other } else { one }
}

/// Adds a record to a batch, without the unused rest of a data record's slot: programs reserve slots of a few fixed
/// sizes.
fn push_used(batch: &mut Batch, first: &[u8], rest: &[u8]) {
    let used = used_bytes(first, rest);
    let from_first = used.min(first.len());
    let first = first.get(..from_first).unwrap_or(first);
    let rest = rest.get(..used - from_first).unwrap_or(rest);
    batch.push_parts(first, rest);
}

/// Returns how many bytes of a slot belong to its record.
fn used_bytes(first: &[u8], rest: &[u8]) -> usize {
    const HEAD: usize = size_of::<DataRecord>();
    let all = first.len() + rest.len();
    let record = match first.get(..HEAD) {
        Some(head) => DataRecord::read_from_bytes(head),
        None => Ok(zerocopy::transmute!(joined::<HEAD>(first, rest))),
    };
    match record {
        Ok(record) if all >= HEAD && record.header.kind == Kind::DATA => {
            let captured = usize::try_from(record.captured).unwrap_or(usize::MAX);
            HEAD.saturating_add(captured).min(all)
        }
        Ok(_) | Err(_) => all,
    }
}

/// Joins the first bytes of a slot that wraps, padded with zeros.
fn joined<const N: usize>(first: &[u8], rest: &[u8]) -> [u8; N] {
    let mut bytes = first.iter().chain(rest).copied();
    std::array::from_fn(|_| bytes.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
