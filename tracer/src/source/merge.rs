//! Records of many rings in the order they were made.
//!
//! In: batches. Out: records, sorted by time, each once it can have no predecessor any more. A
//! record may be in its ring before an earlier one is in another: a thread moves to another CPU, a program is
//! interrupted between its two last instructions. So records wait a little; what comes later still goes out late, and
//! the decoders see its position.

use std::collections::BTreeMap;

use super::Batch;
use crate::event;

/// How long a record waits for its predecessors, in nanoseconds.
const SETTLE_NS: u64 = 30_000_000;

/// Bytes that may wait; beyond it all go out at once.
const MAX_WAITING_BYTES: usize = 128 * 1024 * 1024;

/// Puts records in order.
#[derive(Debug, Default)]
pub struct Merger {
    batches: BTreeMap<u64, Waiting>,
    entries: Vec<Entry>,
    next_batch: u64,
    watermark_ns: u64,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    left: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ts_ns: u64,
    batch: u64,
    /// Which record of the batch.
    index: usize,
}

impl Merger {
    /// Adds a batch.
    pub fn add(&mut self, batch: Batch) {
        let number = self.next_batch;
        self.next_batch += 1;
        self.watermark_ns = self.watermark_ns.max(batch.drained_ns.saturating_sub(SETTLE_NS));
        let records = batch.records().enumerate();
        self.entries.extend(records.map(|(index, record)| Entry {
            ts_ns: event::timestamp(record),
            batch: number,
            index,
        }));
        // Stable: what one ring gave in order stays in order.
        self.entries.sort_by_key(|entry| entry.ts_ns);
        let left = batch.ends.len();
        self.batches.insert(number, Waiting { batch, left });
    }

    /// The moment up to which everything has come out.
    pub const fn watermark_ns(&self) -> u64 {
        self.watermark_ns
    }

    /// Gives out what has waited long enough.
    pub fn release(&mut self, take: impl FnMut(&[u8])) {
        let waiting: usize = self.batches.values().map(|waiting| waiting.batch.len()).sum();
        let until = if waiting > MAX_WAITING_BYTES {
            u64::MAX
        } else {
            self.watermark_ns
        };
        self.release_until(until, take);
    }

    /// Gives out everything, at the end.
    pub fn release_all(&mut self, take: impl FnMut(&[u8])) {
        self.release_until(u64::MAX, take);
    }

    fn release_until(&mut self, until_ns: u64, mut take: impl FnMut(&[u8])) {
        let count = self.entries.partition_point(|entry| entry.ts_ns <= until_ns);
        for entry in self.entries.drain(..count) {
            let Some(waiting) = self.batches.get_mut(&entry.batch) else {
                continue;
            };
            take(waiting.batch.record(entry.index).unwrap_or_default());
            waiting.left -= 1;
        }
        self.batches.retain(|_, waiting| waiting.left > 0);
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{Cookie, Direction, EndRecord, Kind, RecordFlags, RecordHeader};
    use zerocopy::IntoBytes as _;

    use super::*;

    fn record(ts_ns: u64) -> Vec<u8> {
        let header = RecordHeader {
            ts_ns,
            cookie: Cookie(0),
            ssl: 0,
            generation: 0,
            tgid: 0,
            tid: 0,
            kind: Kind::END,
            direction: Direction::READ,
            flags: RecordFlags(0),
            reserved: 0,
        };
        EndRecord {
            header,
            read: 0,
            written: 0,
        }
        .as_bytes()
        .to_vec()
    }

    fn batch(drained_ns: u64, records: &[u64]) -> Batch {
        let mut batch = Batch::new(drained_ns);
        for ts_ns in records {
            batch.push(&record(*ts_ns));
        }
        batch
    }

    fn times(merger: &mut Merger) -> Vec<u64> {
        let mut times = Vec::new();
        merger.release(|record| times.push(event::timestamp(record)));
        times
    }

    #[test]
    fn a_record_waits_for_one_made_before_it_on_another_cpu() {
        let mut merger = Merger::default();
        merger.add(batch(100, &[50, 90]));
        assert!(times(&mut merger).is_empty());
        merger.add(batch(110, &[80, 105]));
        merger.add(batch(95 + SETTLE_NS, &[]));
        assert_eq!(times(&mut merger), [50, 80, 90]);
        merger.add(batch(105 + SETTLE_NS, &[]));
        assert_eq!(times(&mut merger), [105]);
    }

    #[test]
    fn at_the_end_everything_comes_out() {
        let mut merger = Merger::default();
        merger.add(batch(100, &[90, 50]));
        let mut seen = Vec::new();
        merger.release_all(|record| seen.push(event::timestamp(record)));
        assert_eq!(seen, [50, 90]);
    }

    #[test]
    fn batches_are_forgotten_once_they_are_out() {
        let mut merger = Merger::default();
        for round in 1..100 {
            merger.add(batch(round * SETTLE_NS, &[round * SETTLE_NS - 1]));
            times(&mut merger);
        }
        assert!(merger.batches.len() <= 2 && merger.entries.len() <= 2);
    }

    #[test]
    fn more_than_the_limit_does_not_wait() {
        let mut merger = Merger::default();
        let mut large = batch(100, &[90]);
        large.push(&vec![0; MAX_WAITING_BYTES]);
        merger.add(large);
        assert_eq!(times(&mut merger), [0, 90]);
    }
}
