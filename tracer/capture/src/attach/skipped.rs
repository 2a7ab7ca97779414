//! Bytes that were announced to be of no interest, at a function of this process that stands for one of a library.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracer_ebpf::{
    Cookie, EndRecord, Kind, LOOKED_UP_BYTES, Operand, PassedCause, PassedRecord, Role, SKIPPED_BYTES, SiteConfig,
    SiteOperands, Width,
};
use tracer_observe::{event::ConnKey, skip::Skip};
use zerocopy::FromBytes as _;

use super::{
    operands::tests::{FEW_SKIPS, Own, data, header},
    program::Program,
    skips::SkipTable,
};

const OBJECT: u64 = 0x1000;
const PIECE: usize = 4096;
const _: () = assert!(PIECE as u64 == 2 * LOOKED_UP_BYTES);

/// As the copy out of a library's record layer.
#[inline(never)]
extern "C" fn copy(session: u64, from: *const u8, bytes: usize) {
    black_box((session, from, bytes));
}

#[inline(never)]
extern "C" fn free(session: u64) {
    black_box(session);
}

const COPY: SiteOperands = SiteOperands {
    object: Operand::argument(0, Width::U64),
    buffer: Operand::argument(1, Width::U64),
    count: Operand::argument(2, Width::U64),
    ..SiteOperands::OBJECT
};

fn copied(bytes: usize) {
    let content = vec![b'x'; bytes];
    black_box(copy)(OBJECT, content.as_ptr(), content.len());
}

/// A connection that is tapped, the generation that it has, and the way down.
struct Skipping {
    own: Own,
    table: SkipTable,
    refused: Arc<AtomicU64>,
    generation: u64,
}

impl Skipping {
    /// Begins a connection with one byte.
    fn begin() -> Self {
        let mut own = Own::load();
        let site = own.site(SiteConfig::NONE, COPY);
        own.attach(Program::Tap, copy as *const () as usize, Cookie::new(site, Role::Read));
        let site = own.site(SiteConfig::NONE, SiteOperands::OBJECT);
        let cookie = Cookie::new(site, Role::End);
        own.attach(Program::ConnectionEnd, free as *const () as usize, cookie);
        copied(1);
        let generation = header(&own.records()[0]).generation;
        let refused = Arc::default();
        let table = SkipTable::open(&own.ebpf, Arc::clone(&refused)).unwrap();
        Self {
            own,
            table,
            refused,
            generation,
        }
    }

    fn announce(&mut self, until: u64) {
        self.announce_of(OBJECT, until);
    }

    fn announce_of(&mut self, ssl: u64, until: u64) {
        let key = ConnKey {
            tgid: std::process::id(),
            ssl,
            generation: self.generation,
        };
        let until = [until, 0];
        self.table.announce(&[Skip { key, until }]);
    }

    /// Returns the kind, the position and the length of each record.
    fn spans(&mut self) -> Vec<(Kind, u64, u64)> {
        let span = |record: &Vec<u8>| match header(record).kind {
            Kind::DATA => (Kind::DATA, data(record).1, data(record).2.len() as u64),
            Kind::PASSED => {
                let passed = PassedRecord::read_from_bytes(record).unwrap();
                assert_eq!(passed.cause, PassedCause::SKIPPED);
                (Kind::PASSED, passed.position, passed.span)
            }
            kind => (kind, EndRecord::read_from_bytes(record).unwrap().read, 0),
        };
        self.own.records().iter().map(span).collect()
    }
}

const WHOLE: u64 = PIECE as u64;

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_up_to_the_announced_position_are_skipped_and_those_behind_it_are_not() {
    let mut skipping = Skipping::begin();
    copied(PIECE);
    assert_eq!(skipping.spans(), [(Kind::DATA, 1, WHOLE)]);
    let from = 1 + WHOLE;
    skipping.announce(from + 2 * WHOLE + 5);
    copied(PIECE);
    // Less than what is looked up, within what is skipped.
    copied(3);
    assert_eq!(skipping.spans(), []);
    copied(2 * PIECE);
    let until = from + 2 * WHOLE + 5;
    let rest = WHOLE - 2;
    let expected = [(Kind::PASSED, from, until - from), (Kind::DATA, until, rest)];
    assert_eq!(skipping.spans(), expected);
    copied(5);
    assert_eq!(skipping.spans(), [(Kind::DATA, until + rest, 5)]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn small_calls_look_up_what_is_announced_once_they_have_moved_as_much_as_a_large_one() {
    const SMALL: u64 = LOOKED_UP_BYTES / 2 - 1;
    let mut skipping = Skipping::begin();
    skipping.announce(u64::MAX);
    let small = || copied(usize::try_from(SMALL).unwrap());
    (0..5).for_each(|_| small());
    let expected = [(Kind::DATA, 1, SMALL), (Kind::DATA, 1 + SMALL, SMALL)];
    assert_eq!(skipping.spans(), expected);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn skipped_bytes_are_reported_where_they_end_and_as_they_become_many() {
    const LARGE: u64 = SKIPPED_BYTES / 32;
    let mut skipping = Skipping::begin();
    let end = 1 + SKIPPED_BYTES + WHOLE;
    skipping.announce(end);
    for _ in 0..32 {
        copied(usize::try_from(LARGE).unwrap());
    }
    assert_eq!(skipping.spans(), [(Kind::PASSED, 1, SKIPPED_BYTES)]);
    copied(PIECE / 2);
    assert_eq!(skipping.spans(), []);
    copied(PIECE / 2);
    assert_eq!(skipping.spans(), [(Kind::PASSED, 1 + SKIPPED_BYTES, WHOLE)]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn an_announcement_that_finds_the_table_full_is_counted_and_its_bytes_are_captured() {
    let mut skipping = Skipping::begin();
    for other in 1..=u64::from(FEW_SKIPS) {
        skipping.announce_of(OBJECT + other, u64::MAX);
    }
    assert_eq!(skipping.refused.load(Ordering::Relaxed), 0);
    skipping.announce(u64::MAX);
    assert_eq!(skipping.refused.load(Ordering::Relaxed), 1);
    copied(PIECE);
    assert_eq!(skipping.spans(), [(Kind::DATA, 1, WHOLE)]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn an_announcement_holds_for_its_connection_alone() {
    let mut skipping = Skipping::begin();
    skipping.generation += 1;
    skipping.announce(u64::MAX);
    copied(PIECE);
    assert_eq!(skipping.spans(), [(Kind::DATA, 1, WHOLE)]);
    skipping.generation -= 1;
    skipping.announce(u64::MAX);
    copied(PIECE);
    assert_eq!(skipping.spans(), []);
    black_box(free)(OBJECT);
    let reached = 1 + 2 * WHOLE;
    let expected = [(Kind::PASSED, 1 + WHOLE, WHOLE), (Kind::END, reached, 0)];
    assert_eq!(skipping.spans(), expected);
    copied(PIECE);
    let records = skipping.own.records();
    let moved: Vec<_> = records
        .iter()
        .filter(|record| header(record).kind == Kind::DATA)
        .collect();
    assert_eq!((moved.len(), data(moved[0]).1, data(moved[0]).2.len()), (1, 0, PIECE));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_that_were_skipped_are_not_taken_for_lost_before_a_record_tells_them() {
    let mut skipping = Skipping::begin();
    skipping.announce(u64::MAX);
    copied(PIECE);
    let connections = skipping.own.connections();
    let [state] = connections[..] else {
        panic!("one connection")
    };
    assert_eq!(
        (state.flow.positions, state.flow.reported_positions()),
        ([1 + WHOLE, 0], [1, 0])
    );
}
