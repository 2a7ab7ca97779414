use std::collections::VecDeque;

use tracer_ebpf::{Cookie, Direction, RecordFlags, RecordHeader};
use zerocopy::IntoBytes as _;

use super::*;

/// A ring: each record has a header of eight bytes, and a busy one is reserved but not written.
#[derive(Default)]
struct Written {
    records: VecDeque<(Vec<u8>, bool)>,
    produced: u64,
    consumed: u64,
}

impl Written {
    fn write(&mut self, record: Vec<u8>, busy: bool) {
        self.produced += room(&record);
        self.records.push_back((record, busy));
    }

    fn filled(records: usize, bytes: usize) -> Self {
        let mut ring = Self::default();
        for _ in 0..records {
            ring.write(vec![0; bytes], false);
        }
        ring
    }
}

fn room(record: &[u8]) -> u64 {
    (8 + record.len()).next_multiple_of(8).try_into().unwrap()
}

impl RecordQueue for Written {
    fn produced(&self) -> u64 {
        self.produced
    }

    fn consumed(&self) -> u64 {
        self.consumed
    }

    fn capacity(&self) -> u64 {
        1 << 24
    }

    fn take(&mut self, end: u64, mut read: impl FnMut(&[u8], &[u8])) -> bool {
        let Some((record, false)) = self.records.front() else {
            return false;
        };
        if self.consumed >= end {
            return false;
        }
        let (first, rest) = record.split_at(record.len() / 3);
        read(first, rest);
        self.consumed += room(record);
        self.records.pop_front();
        true
    }
}

fn drain_of(rings: impl IntoIterator<Item = Written>) -> Drain<Written> {
    let mut drain = Drain::new();
    for ring in rings {
        drain.add(ring, BEGAN);
    }
    drain
}

const BEGAN: u64 = 1_000_000_000;
const STEP: u64 = 10_000_000;

fn read(drain: &mut Drain<Written>, round: u64, bound: usize) -> (Batch, Drained) {
    let mut batch = Batch::new(BEGAN + round * STEP);
    let drained = drain.read(&mut batch, bound);
    (batch, drained)
}

/// Returns the round that a batch is complete until, without the slack between the clocks.
fn rounds(batch: &Batch) -> u64 {
    (batch.complete_until_ns + STEP / 2 - BEGAN) / STEP
}

#[test]
fn idle_rings_do_not_slow_down_a_busy_one() {
    let busy = Written::filled(1000, 1000);
    let mut drain = drain_of(std::iter::once(busy).chain((1..256).map(|_| Written::default())));
    let (batch, drained) = read(&mut drain, 1, 1_000_000);
    assert_eq!((batch.count(), drained.leftover), (1000, false));
    assert_eq!(rounds(&batch), 1);
}

#[test]
fn all_rings_share_the_bound_and_the_next_drain_reads_the_rest() {
    let rings = [(); 3].map(|()| Written::filled(1000, 1000));
    let mut drain = drain_of(rings);
    let mut seen = 0;
    for round in 1..=3 {
        let (batch, drained) = read(&mut drain, round, 1_200_000);
        seen += batch.count();
        assert!(batch.len() <= 1_201_000, "{}", batch.len());
        assert_eq!(drained.leftover, round < 3);
        // Until the last round, some ring has records of the first.
        assert_eq!(rounds(&batch), if round < 3 { 0 } else { 3 });
    }
    assert_eq!(seen, 3000);
}

#[test]
fn busy_rings_have_equal_shares() {
    let mut drain = drain_of([(); 4].map(|()| Written::default()));
    for round in 1..=64 {
        for source in &mut drain.sources {
            for _ in 0..1000 {
                source.ring.write(vec![0; 1000], false);
            }
        }
        read(&mut drain, round, 1_000_000);
    }
    let consumed: Vec<u64> = drain.sources.iter().map(|source| source.ring.consumed / 1000).collect();
    let (least, most) = (consumed.iter().min().unwrap(), consumed.iter().max().unwrap());
    let turn = u64::try_from(2 * DRAIN_TURN_BYTES / 1000).unwrap();
    assert!(most - least <= turn, "{consumed:?}");
}

#[test]
fn records_written_during_a_drain_are_left_to_the_next() {
    let mut drain = drain_of([Written::filled(2, 100)]);
    let (batch, _) = read(&mut drain, 1, 1000);
    assert_eq!((batch.count(), rounds(&batch)), (2, 1));
    drain.sources[0].ring.write(vec![0; 100], false);
    let (batch, drained) = read(&mut drain, 2, 1000);
    assert_eq!((batch.count(), rounds(&batch)), (1, 2));
    assert_eq!(drained.fullest, (112, 1 << 24));
}

#[test]
fn the_fullest_of_empty_rings_has_their_capacity() {
    let mut drain = drain_of([Written::default(), Written::default()]);
    let (_, drained) = read(&mut drain, 1, 1000);
    // It decides how long the next pause is.
    assert_eq!(drained.fullest, (0, 1 << 24));
}

#[test]
fn a_reserved_record_holds_the_watermark() {
    let mut drain = drain_of([Written::default(), Written::default()]);
    read(&mut drain, 1, 1000);
    drain.sources[0].ring.write(vec![1; 100], true);
    drain.sources[1].ring.write(vec![2; 100], false);
    for round in 2..4 {
        let (batch, drained) = read(&mut drain, round, 1000);
        assert_eq!((rounds(&batch), drained.leftover), (1, false));
    }
    drain.sources[0].ring.records[0].1 = false;
    let (batch, _) = read(&mut drain, 4, 1000);
    assert_eq!((batch.count(), rounds(&batch)), (1, 4));
}

#[test]
fn a_data_record_is_cut_to_its_payload_wherever_it_wraps() {
    let header = RecordHeader {
        ts_ns: 9,
        cookie: Cookie(0),
        object: 0,
        generation: 0,
        tgid: 0,
        tid: 0,
        kind: Kind::DATA,
        direction: Direction::READ,
        flags: RecordFlags(0),
        reserved: 0,
    };
    let record = DataRecord {
        header,
        began_ns: 0,
        position: 0,
        call_position: 0,
        call_length: 5,
        captured: 5,
        reserved: 0,
    };
    let slot = [record.as_bytes(), b"hello", &[0xee; 251]].concat();
    let wanted = [record.as_bytes(), b"hello"].concat();
    for wrap in 0..=slot.len() {
        let mut batch = Batch::new(1);
        let (first, rest) = slot.split_at(wrap);
        push_used(&mut batch, first, rest);
        assert_eq!(batch.record(0), Some(wanted.as_slice()), "wraps at {wrap}");
    }
    // A record that claims more bytes than the slot has, or is cut short, is added as it is.
    for slot in [&slot[..90], &slot[..40]] {
        let mut batch = Batch::new(1);
        push_used(&mut batch, slot, b"");
        assert_eq!(batch.record(0), Some(slot));
    }
}
