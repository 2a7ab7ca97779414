//! Reading many rings as one.
//!
//! A drain reads each ring up to where it was filled when the drain began, in turns, so that no ring waits for another,
//! and all of them together up to a bound; what is left over is the next drain's. What was read is complete until a time
//! that follows from the rings themselves ([`super::progress`]).

use tracer_ebpf::{DataRecord, Kind};
use tracer_observe::batch::Batch;
use zerocopy::FromBytes as _;

use super::progress::Progress;
use crate::limits::DRAIN_TURN_BYTES;

/// One ring, as its only reader has it. Positions count bytes since the ring was made.
pub(super) trait RecordQueue {
    /// How far programs have filled it.
    fn produced(&self) -> u64;

    /// How far it was read.
    fn consumed(&self) -> u64;

    /// How many bytes it holds.
    fn capacity(&self) -> u64;

    /// Reads the next record that begins before `end`, in two parts if it wraps; returns whether there was one that is
    /// wholly written.
    fn take(&mut self, end: u64, read: impl FnMut(&[u8], &[u8])) -> bool;
}

/// A ring, and until when it was read completely.
#[derive(Debug)]
struct Source<R> {
    ring: R,
    progress: Progress,
}

/// Rings that are read together.
#[derive(Debug)]
pub(super) struct Drain<R> {
    sources: Vec<Source<R>>,
    /// Whose turn is first.
    first: usize,
}

/// What a drain came to, apart from its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Bytes in the ring that was fullest, in proportion, when the drain began, and how many it holds.
    pub fullest: (u64, u64),
    /// Whether something was left over for the next drain, because of the bound.
    pub leftover: bool,
}

impl<R: RecordQueue> Drain<R> {
    /// Begins with no ring.
    pub(super) const fn new() -> Self {
        Self {
            sources: Vec::new(),
            first: 0,
        }
    }

    /// Adds a ring, to which no program had access before `now_ns`.
    pub(super) fn add(&mut self, ring: R, now_ns: u64) {
        let progress = Progress::new(now_ns);
        self.sources.push(Source { ring, progress });
    }

    /// Adds what is in the rings to a batch, which began with its time, up to so many bytes in all.
    pub(super) fn read(&mut self, batch: &mut Batch, bound: usize) -> Drained {
        let mut ends = Vec::with_capacity(self.sources.len());
        let mut waiting = 0;
        let mut fullest = (0, 1);
        for Source { ring, progress } in &mut self.sources {
            let produced = ring.produced();
            progress.begin(batch.drained_ns, produced);
            let filled = (produced - ring.consumed(), ring.capacity());
            fullest = fuller(fullest, filled);
            waiting += filled.0;
            ends.push(produced);
        }
        batch.reserve(usize::try_from(waiting).unwrap_or(usize::MAX).min(bound));
        let leftover = self.take_turns(batch, &ends, bound);
        for Source { ring, progress } in &mut self.sources {
            let until_ns = progress.complete_until(ring.consumed());
            batch.complete_until_ns = batch.complete_until_ns.min(until_ns);
        }
        Drained { fullest, leftover }
    }

    /// How many bytes are in the rings now.
    pub(super) fn left_over(&self) -> u64 {
        let waiting = |source: &Source<R>| source.ring.produced() - source.ring.consumed();
        self.sources.iter().map(waiting).sum()
    }

    /// Reads the rings in turns; returns whether the bound ended it.
    fn take_turns(&mut self, batch: &mut Batch, ends: &[u64], bound: usize) -> bool {
        let full = batch.len().saturating_add(bound);
        let count = self.sources.len();
        let mut order: Vec<usize> = (0..count).map(|turn| (self.first + turn) % count).collect();
        while !order.is_empty() {
            let mut going_on = Vec::new();
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
                        // It begins the next drain, for its turn was cut short, or did not come.
                        self.first = index;
                        return true;
                    }
                    going_on.push(index);
                }
            }
            order = going_on;
        }
        false
    }
}

impl<R: RecordQueue> Default for Drain<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// The fuller of two rings, by the bytes in it and those it can hold.
pub(super) fn fuller(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    let share = |(filled, capacity): (u64, u64)| u128::from(filled) * 1_000_000 / u128::from(capacity.max(1));
    if share(other) > share(one) { other } else { one }
}

/// Adds a record, without what a data record's slot has more than its payload.
fn push_used(batch: &mut Batch, first: &[u8], rest: &[u8]) {
    let used = used_bytes(first, rest);
    let from_first = used.min(first.len());
    let first = first.get(..from_first).unwrap_or(first);
    let rest = rest.get(..used - from_first).unwrap_or(rest);
    batch.push_parts(first, rest);
}

/// How many bytes of a slot are its record's.
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

/// The first bytes of a slot that wraps, padded with zeros.
fn joined<const N: usize>(first: &[u8], rest: &[u8]) -> [u8; N] {
    let mut bytes = first.iter().chain(rest).copied();
    std::array::from_fn(|_| bytes.next().unwrap_or(0))
}

#[cfg(test)]
mod tests;
