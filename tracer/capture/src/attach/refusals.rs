//! Taps that are given up: for a connection, or by the loader for a file.

use std::collections::BTreeSet;

use tracer_ebpf::{Cookie, HooksRecord, HooksRefused, Kind, Operand, SiteConfig, SiteOperands};
use zerocopy::FromBytes as _;

use super::{
    hits::{COPY, READ, checked, reads_from},
    operands::tests::{data, header},
    tables::Tables,
};

/// Returns the objects of the refusals among records; each must be a mismatch.
fn refused(records: &[Vec<u8>]) -> Vec<u64> {
    let hooks = records.iter().filter(|record| header(record).kind == Kind::HOOKS);
    let refusals = hooks.map(|record| HooksRecord::read_from_bytes(record).unwrap());
    let objects = refusals.map(|refusal| {
        assert_eq!(refusal.cause, HooksRefused::MISMATCH);
        refusal.header.object
    });
    objects.collect()
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_refusal_that_finds_the_ring_full_is_sent_by_a_later_hit() {
    let mut own = checked();
    // Each connection takes 400 bytes of a ring of 256 KiB.
    let sessions = || (1..=1000).map(|number| number << 12);
    for session in sessions() {
        reads_from(session, b"hello", 5);
        reads_from(session, b"agai", 5);
    }
    let early = refused(&own.records());
    assert!(early.len() < 1000, "the ring was never full");
    for session in sessions() {
        reads_from(session, b"after", 5);
    }
    let late = refused(&own.records());
    for session in sessions() {
        reads_from(session, b"after", 5);
    }
    assert_eq!(refused(&own.records()), [0; 0], "each is sent once");
    assert_eq!(early.len() + late.len(), 1000);
    let all: BTreeSet<u64> = early.into_iter().chain(late).collect();
    assert_eq!(all, sessions().map(|session| session as u64).collect());
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn calls_go_on_where_a_tap_that_is_given_up_has_stopped() {
    let mut own = checked();
    reads_from(0x1000, b"hello", 5);
    let nothing = SiteOperands {
        object: Operand::NONE,
        ..COPY
    };
    // The tap, and the call.
    let given_up = [(0, SiteConfig::NONE, nothing), (1, SiteConfig::NONE, READ)];
    Tables(&mut own.ebpf).configure_all(&given_up).unwrap();
    for session in [0x1000, 0x2000] {
        reads_from(session, b"again", 5);
        reads_from(session, b"and on", 6);
    }
    let records = own.records();
    assert!(refused(&records).is_empty());
    let moved = records.iter().filter(|record| header(record).kind == Kind::DATA);
    let moved: Vec<_> = moved.map(|record| data(record)).collect();
    let expected: [(u64, u64, &[u8]); 5] = [
        (0x1000, 0, b"hello"),
        (0x1000, 5, b"again"),
        (0x1000, 10, b"and on"),
        (0x2000, 0, b"again"),
        (0x2000, 5, b"and on"),
    ];
    assert_eq!(moved, expected);
    assert!(records.iter().all(|record| header(record).kind != Kind::PASSED));
    let sites: Vec<_> = records
        .iter()
        .map(|record| header(record).cookie)
        .map(Cookie::site)
        .collect();
    assert!(sites.ends_with(&[1, 1]), "{sites:?}");
}
