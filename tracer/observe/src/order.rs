//! Records of many rings in the order they were made.
//!
//! In: batches. Out: records, sorted by time, each once its batch, or a later one, is complete until then: no record that
//! was made before it can come any more. Where one ring holds the others up for too long, records go on all the same;
//! what comes after later ones is then counted.

use std::collections::BTreeMap;

use crate::{batch::Batch, event, limits::MAX_UNORDERED_BYTES};

/// Puts records in order.
#[derive(Debug, Default)]
pub struct Merger {
    batches: BTreeMap<u64, Waiting>,
    entries: Vec<Entry>,
    next_batch: u64,
    watermark_ns: u64,
    waiting_bytes: usize,
    /// The time up to which records had to go on without waiting.
    forced_ns: u64,
    late: u64,
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
        // Stable: what one ring gave in order stays in order.
        self.entries.sort_by_key(|entry| entry.ts_ns);
        self.waiting_bytes += batch.len();
        let left = batch.count();
        if left > 0 {
            self.batches.insert(number, Waiting { batch, left });
        }
    }

    /// The moment up to which everything has come out.
    pub const fn watermark_ns(&self) -> u64 {
        self.watermark_ns
    }

    /// Counts the records that came after later ones had to go on.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Gives out what no earlier record can come before, and of the rest what is too much.
    pub fn release(&mut self, mut take: impl FnMut(&[u8])) {
        let until_ns = self.watermark_ns;
        let settled = self.entries.partition_point(|entry| entry.ts_ns <= until_ns);
        self.release_first(settled, &mut take);
        while self.waiting_bytes > MAX_UNORDERED_BYTES && !self.entries.is_empty() {
            let half = self.entries.len().div_ceil(2);
            let last = self.entries.get(half - 1).map_or(0, |entry| entry.ts_ns);
            self.forced_ns = self.forced_ns.max(last);
            self.release_first(half, &mut take);
        }
    }

    /// Gives out everything, at the end.
    pub fn release_all(&mut self, mut take: impl FnMut(&[u8])) {
        self.release_first(self.entries.len(), &mut take);
    }

    fn release_first(&mut self, count: usize, take: &mut impl FnMut(&[u8])) {
        for entry in self.entries.drain(..count) {
            let Some(waiting) = self.batches.get_mut(&entry.batch) else {
                continue;
            };
            take(waiting.batch.record(entry.index).unwrap_or_default());
            waiting.left -= 1;
            if waiting.left == 0 {
                self.waiting_bytes -= waiting.batch.len();
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
    fn a_record_waits_until_none_from_before_it_can_come() {
        let mut merger = Merger::default();
        merger.add(batch(40, &[50, 90]));
        assert!(times(&mut merger).is_empty());
        merger.add(batch(85, &[80, 105]));
        assert_eq!(times(&mut merger), [50, 80]);
        // A ring that stands still gives an older time.
        merger.add(batch(60, &[]));
        assert!(times(&mut merger).is_empty());
        merger.add(batch(105, &[]));
        assert_eq!(times(&mut merger), [90, 105]);
        assert_eq!(merger.late(), 0);
    }

    #[test]
    fn at_the_end_everything_comes_out() {
        let mut merger = Merger::default();
        merger.add(batch(10, &[90, 50]));
        let mut seen = Vec::new();
        merger.release_all(|record| seen.push(event::timestamp(record)));
        assert_eq!(seen, [50, 90]);
    }

    #[test]
    fn batches_are_forgotten_once_they_are_out() {
        let mut merger = Merger::default();
        for round in 1..100 {
            merger.add(batch(round * 10, &[round * 10 - 1]));
            times(&mut merger);
        }
        assert!(merger.batches.is_empty() && merger.entries.is_empty() && merger.waiting_bytes == 0);
    }

    #[test]
    fn beyond_the_bound_the_oldest_go_on_in_order_and_what_comes_too_late_is_counted() {
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
        assert!(merger.waiting_bytes <= MAX_UNORDERED_BYTES);
        merger.add(batch(60, &[25, 35]));
        assert_eq!(times(&mut merger), [25, 35, 40, 50]);
        assert_eq!(merger.late(), 1);
    }
}
