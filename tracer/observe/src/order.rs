//! Sorts the records of all rings by the time they were made.
//!
//! Each CPU has its own ring, so a drain returns records out of order. A record is released once the watermark of some batch
//! is past it: no earlier record can arrive any more. If one ring holds the watermark back until too many bytes are held,
//! the oldest records are released without it, and records that arrive too late are counted.

use std::collections::BTreeMap;

use crate::{batch::Batch, event, limits::MAX_UNORDERED_BYTES};

/// Merges the records of batches in order of time.
#[derive(Debug, Default)]
pub struct Merger {
    batches: BTreeMap<u64, Held>,
    entries: Vec<Entry>,
    next_batch: u64,
    watermark_ns: u64,
    held_bytes: usize,
    /// The time of the latest record that was released past the watermark.
    forced_ns: u64,
    late: u64,
}

#[derive(Debug)]
struct Held {
    batch: Batch,
    /// Records of the batch that were not released yet.
    left: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ts_ns: u64,
    batch: u64,
    /// Index of the record in its batch.
    index: usize,
}

impl Merger {
    /// Adds a batch.
    pub fn add(&mut self, batch: Batch) {
        let number = self.next_batch;
        self.next_batch += 1;
        let (watermark_ns, forced_ns) = (self.watermark_ns, self.forced_ns);
        let records = batch.records().enumerate();
        let known = self.entries.len();
        self.entries.extend(records.map(|(index, record)| Entry {
            ts_ns: event::timestamp(record),
            batch: number,
            index,
        }));
        let new = self.entries.iter().skip(known);
        let late = new.filter(|entry| entry.ts_ns > watermark_ns && entry.ts_ns < forced_ns);
        self.late += u64::try_from(late.count()).unwrap_or(u64::MAX);
        self.watermark_ns = watermark_ns.max(batch.complete_until_ns);
        // The sort is stable, so records of one ring with the same time keep their order.
        self.entries.sort_by_key(|entry| entry.ts_ns);
        self.held_bytes += batch.len();
        let left = batch.count();
        if left > 0 {
            self.batches.insert(number, Held { batch, left });
        }
    }

    /// Returns the time up to which every record can be released.
    pub const fn watermark_ns(&self) -> u64 {
        self.watermark_ns
    }

    /// Returns the number of records that arrived after later ones had been released.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Passes the records up to the watermark to `handle`, and older half after older half of the rest while more than
    /// [`MAX_UNORDERED_BYTES`] are held.
    pub fn release(&mut self, mut handle: impl FnMut(&[u8])) {
        let until_ns = self.watermark_ns;
        let settled = self.entries.partition_point(|entry| entry.ts_ns <= until_ns);
        self.release_first(settled, &mut handle);
        while self.held_bytes > MAX_UNORDERED_BYTES && !self.entries.is_empty() {
            let half = self.entries.len().div_ceil(2);
            let last = self.entries.get(half - 1).map_or(0, |entry| entry.ts_ns);
            self.forced_ns = self.forced_ns.max(last);
            self.release_first(half, &mut handle);
        }
    }

    /// Passes all records to `handle`, at the end of the run.
    pub fn release_all(&mut self, mut handle: impl FnMut(&[u8])) {
        self.release_first(self.entries.len(), &mut handle);
    }

    fn release_first(&mut self, count: usize, handle: &mut impl FnMut(&[u8])) {
        for entry in self.entries.drain(..count) {
            let Some(held) = self.batches.get_mut(&entry.batch) else {
                continue;
            };
            handle(held.batch.record(entry.index).unwrap_or_default());
            held.left -= 1;
            if held.left == 0 {
                self.held_bytes -= held.batch.len();
                self.batches.remove(&entry.batch);
            }
        }
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
            object: 0,
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

    fn batch(complete_until_ns: u64, records: &[u64]) -> Batch {
        let mut batch = Batch::new(complete_until_ns);
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
    fn a_record_is_held_until_no_earlier_one_can_arrive() {
        let mut merger = Merger::default();
        merger.add(batch(40, &[50, 90]));
        assert!(times(&mut merger).is_empty());
        merger.add(batch(85, &[80, 105]));
        assert_eq!(times(&mut merger), [50, 80]);
        // The watermark of a batch can be older than that of the batch before it.
        merger.add(batch(60, &[]));
        assert!(times(&mut merger).is_empty());
        merger.add(batch(105, &[]));
        assert_eq!(times(&mut merger), [90, 105]);
        assert_eq!(merger.late(), 0);
    }

    #[test]
    fn release_all_releases_every_record_in_order() {
        let mut merger = Merger::default();
        merger.add(batch(10, &[90, 50]));
        let mut seen = Vec::new();
        merger.release_all(|record| seen.push(event::timestamp(record)));
        assert_eq!(seen, [50, 90]);
    }

    #[test]
    fn a_batch_is_dropped_once_its_records_are_released() {
        let mut merger = Merger::default();
        for round in 1..100 {
            merger.add(batch(round * 10, &[round * 10 - 1]));
            times(&mut merger);
        }
        assert!(merger.batches.is_empty() && merger.entries.is_empty() && merger.held_bytes == 0);
    }

    #[test]
    fn at_the_bound_the_oldest_records_are_released_in_order_and_late_ones_counted() {
        let mut merger = Merger::default();
        let share = MAX_UNORDERED_BYTES / 3;
        for ts_ns in [30, 20, 40, 50] {
            let mut large = record(ts_ns);
            large.resize(share, 0);
            let mut batch = Batch::new(10);
            batch.push(&large);
            merger.add(batch);
        }
        assert_eq!(times(&mut merger), [20, 30]);
        assert!(merger.held_bytes <= MAX_UNORDERED_BYTES);
        merger.add(batch(60, &[25, 35]));
        assert_eq!(times(&mut merger), [25, 35, 40, 50]);
        assert_eq!(merger.late(), 1);
    }
}
