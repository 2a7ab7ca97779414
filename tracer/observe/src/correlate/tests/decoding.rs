//! Decoding bytes into exchanges, and bytes that are not decoded.

use http_decode::STRETCH;

use super::*;
use crate::limits::{ADDRESS_NS, MAX_EARLY_BYTES};

#[test]
fn a_request_and_its_response_are_one_exchange_of_their_process() {
    let mut bench = Bench::new(Bounds::default());
    bench.exchange(1, 0);
    bench.wait(ADDRESS_NS);
    assert_eq!(bench.exchanges().len(), 1);
    let connection = &bench.out[0].connection;
    assert_eq!((connection.id.as_str(), connection.tls.as_str()), ("7-1", "openssl"));
    assert_eq!(
        (connection.process.name.as_str(), connection.source),
        ("nginx", AddressSource::Unseen)
    );
    assert_eq!(
        bench.out[0].time,
        SystemTime::UNIX_EPOCH + Duration::from_nanos(MILLISECOND)
    );
}

#[test]
fn a_reused_object_address_is_another_connection() {
    let mut bench = Bench::new(Bounds::default());
    for _ in 0..2 {
        bench.exchange(1, 0);
        bench.end(1, REQUEST.len(), RESPONSE.len());
    }
    assert_eq!(bench.ids(), ["7-1", "7-2"]);
}

#[test]
fn bytes_missing_at_the_end_of_a_connection_are_a_gap() {
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.end(1, REQUEST.len(), 100);
    let lost = bench
        .out
        .iter()
        .filter(|observed| matches!(&observed.kind, ObservedKind::Gap(gap) if gap.bytes() == Some(100)));
    assert_eq!(lost.count(), 1);
    assert_eq!(bench.correlator.counters().missing_bytes, 100);
}

#[test]
fn the_end_of_a_process_ends_its_connections() {
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.change(PID, Change::ENDED, 0, "");
    let [exchange] = bench.exchanges()[..] else {
        panic!("one exchange")
    };
    assert_eq!(
        (exchange.ended, exchange.response.is_none()),
        (Some(Ended::Closed), true)
    );
}

#[test]
fn an_exchange_in_progress_is_emitted_after_the_hold_time() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.begin(1);
    let Bench {
        correlator,
        out,
        now_ns,
        pid: _,
    } = &mut bench;
    correlator.advance(*now_ns + 999 * MILLISECOND, out);
    assert!(out.is_empty());
    correlator.advance(*now_ns + 1000 * MILLISECOND, out);
    assert_eq!(out.len(), 1);
    bench.data(1, Way::WRITE, RESPONSE.len() as u64 - 1, b"k");
    assert!(matches!(bench.out[1].kind, ObservedKind::End(_)));
}

#[test]
fn at_the_bound_the_connections_idle_longest_are_evicted() {
    let mut bench = Bench::new(Bounds {
        connections: 32,
        ..Bounds::default()
    });
    for ssl in 1..=33 {
        bench.data(ssl, Way::READ, 0, REQUEST);
    }
    assert_eq!(bench.correlator.counters().given_up, 2);
    assert_eq!(bench.ids(), ["7-1", "7-2"]);
}

#[test]
fn at_the_bound_of_memory_the_connection_that_asks_for_more_is_evicted() {
    let mut bench = Bench::new(Bounds {
        held_bytes: 6000,
        ..Bounds::default()
    });
    bench.unknown(1, false);
    let head = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'x'; 3500]].concat();
    bench.data(1, Way::READ, 0, &head);
    assert_eq!(bench.correlator.counters().given_up, 0);
    bench.data(2, Way::READ, 0, &head);
    assert_eq!(bench.correlator.counters().given_up, 1);
    bench.data(1, Way::READ, head.len() as u64, b"\r\n\r\n");
    bench.data(1, Way::WRITE, 0, RESPONSE);
    assert_eq!(bench.exchanges().len(), 1, "the other one is not evicted");
}

#[test]
fn a_record_that_cannot_be_parsed_is_counted() {
    let mut bench = Bench::new(Bounds::default());
    bench.push(b"short");
    let unknown = bench.header(1, Kind(99), Way::READ);
    bench.push(unknown.as_bytes());
    let counters = bench.correlator.counters();
    assert_eq!((counters.short_records, counters.unknown_records), (1, 1));
}

#[test]
fn bytes_that_are_not_decoded_are_noted_once_for_each_reason() {
    let mut bench = Bench::new(Bounds::default());
    for ssl in 1..=2 {
        bench.unknown(ssl, false);
        bench.data(
            ssl,
            Way::READ,
            0,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x01\x06\0\0\0\0\0-",
        );
    }
    assert_eq!(bench.correlator.take_notes().len(), 1);
    assert_eq!(bench.correlator.counters().undecoded.malformed_frame, 2);
}

#[test]
fn a_gap_from_sendfile_completes_its_response() {
    let mut bench = Bench::new(Bounds::default());
    let head = RESPONSE.len() as u64 - 2;
    bench.unknown(1, false);
    bench.data(1, Way::READ, 0, REQUEST);
    bench.data(1, Way::WRITE, 0, &RESPONSE[..RESPONSE.len() - 2]);
    bench.passed(1, Way::WRITE, head, 2, PassedCause::SENDFILE);
    let passed_ns = bench.now_ns;
    let [exchange] = bench.exchanges()[..] else {
        panic!("one exchange")
    };
    let body = exchange.response.as_ref().unwrap().body_bytes;
    assert_eq!((exchange.ended, body), (Some(Ended::Complete), Some(2)));
    assert_eq!(exchange.ended_at, Some(Timestamp(passed_ns)));
    bench.exchange(1, 1);
    assert_eq!(bench.exchanges().len(), 2, "the next exchange begins after it");
}

#[test]
fn a_gap_of_unknown_length_makes_the_total_unknown() {
    let mut bench = Bench::with_summaries();
    bench.unknown(1, false);
    bench.exchange(1, 0);
    let end = REQUEST.len() as u64;
    bench.data(1, Way::READ, end, b"GET /y HTTP/1.1\r\nX-Account: al");
    let lost = end + 30;
    bench.passed(1, Way::READ, lost, STRETCH, PassedCause::NOT_CAPTURED);
    bench.data(1, Way::READ, lost + STRETCH, b"admin\r\n\r\n");
    let gaps = bench.out.iter().filter_map(|observed| match &observed.kind {
        ObservedKind::Gap(gap) => Some((gap.position, gap.bytes(), gap.cause)),
        ObservedKind::Exchange(_) | ObservedKind::End(_) | ObservedKind::Connection(_) => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [(lost, None, GapCause::NotCaptured)]);
    bench.socket(1);
    let (read, written) = (lost + STRETCH + 9, RESPONSE.len());
    bench.end(1, read.try_into().unwrap(), written);
    assert_eq!(bench.exchanges().len(), 1, "bytes around the gap were joined");
    assert_eq!(bench.summaries()[0].1.transferred, [None, Some(written as u64)]);
}

#[test]
fn early_data_is_decoded_once_it_is_accepted() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.early(1, 0, REQUEST, RecordFlags::EARLY);
    let began_ns = bench.now_ns;
    bench.data(1, Way::READ, 0, RESPONSE);
    bench.data(1, Way::WRITE, REQUEST.len() as u64, REQUEST);
    bench.data(1, Way::READ, RESPONSE.len() as u64, RESPONSE);
    let began: Vec<_> = bench.exchanges().iter().map(|exchange| exchange.began.0).collect();
    assert_eq!(began, [began_ns, began_ns + 2 * MILLISECOND]);
    assert_eq!(bench.correlator.counters().early_bytes, 0);
}

#[test]
fn rejected_early_data_is_not_decoded() {
    let mut bench = Bench::with_summaries();
    bench.unknown(1, false);
    bench.early(1, 0, b"GET /refused HTTP/1.1\r\nHost: a\r\n\r\n", RecordFlags::EARLY);
    bench.early(1, 0, REQUEST, RecordFlags::EARLY_REFUSED);
    bench.data(1, Way::READ, 0, RESPONSE);
    let [exchange] = bench.exchanges()[..] else {
        panic!("one exchange")
    };
    let path = exchange.request.as_ref().unwrap().head.path.as_ref().unwrap();
    assert_eq!(path.expose(), b"/x");
    assert_eq!(bench.correlator.counters().early_bytes, 34);
    // Positions start over after it, so it neither is a gap nor hides one.
    bench.end(1, RESPONSE.len(), REQUEST.len() + 1);
    let lost = REQUEST.len() as u64;
    assert_eq!(bench.gaps(), [("7-1", Direction::Write, lost, Some(1))]);
}

#[test]
fn early_data_undecided_at_the_end_is_not_decoded() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.early(1, 0, REQUEST, RecordFlags::EARLY);
    bench.end(1, 0, REQUEST.len());
    assert!(bench.exchanges().is_empty());
}

#[test]
fn early_data_is_held_up_to_the_limit() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    let piece = [b'x'; MAX_EARLY_BYTES / 4];
    for index in 0..5 {
        bench.early(1, index * piece.len() as u64, &piece, RecordFlags::EARLY);
    }
    assert_eq!(bench.correlator.counters().early_bytes, piece.len() as u64);
}
