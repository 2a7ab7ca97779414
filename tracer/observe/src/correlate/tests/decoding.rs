//! From bytes to exchanges, and what is not decoded.

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
fn an_address_of_an_ssl_object_used_again_is_another_connection() {
    let mut bench = Bench::new(Bounds::default());
    for _ in 0..2 {
        bench.exchange(1, 0);
        bench.end(1, REQUEST.len(), RESPONSE.len());
    }
    assert_eq!(bench.ids(), ["7-1", "7-2"]);
}

#[test]
fn what_a_connection_lost_at_its_end_is_a_loss() {
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.end(1, REQUEST.len(), 100);
    let lost = bench
        .out
        .iter()
        .filter(|observed| matches!(&observed.happening, Happening::Loss(gap) if gap.bytes() == Some(100)));
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
fn an_exchange_that_goes_on_comes_out_when_its_time_has_come_and_not_before() {
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
    assert!(matches!(bench.out[1].happening, Happening::End(_)));
}

#[test]
fn beyond_the_bound_the_connections_that_were_silent_longest_are_given_up() {
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
fn beyond_the_bound_of_memory_the_connection_that_asks_for_more_is_given_up() {
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
    assert_eq!(bench.exchanges().len(), 1, "the other one goes on");
}

#[test]
fn a_record_that_cannot_be_read_is_counted() {
    let mut bench = Bench::new(Bounds::default());
    bench.take(b"short");
    let unknown = bench.header(1, Kind(99), Way::READ);
    bench.take(unknown.as_bytes());
    let counters = bench.correlator.counters();
    assert_eq!((counters.short_records, counters.unknown_records), (1, 1));
}

#[test]
fn what_is_not_decoded_is_said_once_for_each_reason() {
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
fn what_a_file_brought_completes_its_response() {
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
    assert_eq!(bench.exchanges().len(), 2, "the next one begins behind it");
}

#[test]
fn bytes_without_a_number_are_a_loss_without_one_and_so_is_the_sum() {
    let mut bench = Bench::of_connections();
    bench.unknown(1, false);
    bench.exchange(1, 0);
    let end = REQUEST.len() as u64;
    bench.data(1, Way::READ, end, b"GET /y HTTP/1.1\r\nX-Account: al");
    let lost = end + 30;
    bench.passed(1, Way::READ, lost, STRETCH, PassedCause::NOT_CAPTURED);
    bench.data(1, Way::READ, lost + STRETCH, b"admin\r\n\r\n");
    let losses = bench.out.iter().filter_map(|observed| match &observed.happening {
        Happening::Loss(gap) => Some((gap.position, gap.bytes(), gap.cause)),
        Happening::Exchange(_) | Happening::End(_) | Happening::Connection(_) => None,
    });
    assert_eq!(losses.collect::<Vec<_>>(), [(lost, None, GapCause::NotCaptured)]);
    bench.socket(1);
    let (read, written) = (lost + STRETCH + 9, RESPONSE.len());
    bench.end(1, read.try_into().unwrap(), written);
    assert_eq!(bench.exchanges().len(), 1, "nothing was joined");
    assert_eq!(bench.summaries()[0].1.moved, [None, Some(written as u64)]);
}

#[test]
fn early_data_that_was_taken_is_decoded_once_that_is_known() {
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
fn early_data_that_was_refused_is_no_part_of_its_connection() {
    let mut bench = Bench::of_connections();
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
    // Positions begin anew behind it: neither is it lost, nor does it hide that a byte is.
    bench.end(1, RESPONSE.len(), REQUEST.len() + 1);
    let lost = REQUEST.len() as u64;
    assert_eq!(bench.losses(), [("7-1", Direction::Write, lost, Some(1))]);
}

#[test]
fn early_data_of_which_nothing_is_known_at_the_end_was_never_said() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.early(1, 0, REQUEST, RecordFlags::EARLY);
    bench.end(1, 0, REQUEST.len());
    assert!(bench.exchanges().is_empty());
}

#[test]
fn early_data_waits_up_to_the_limit() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    let piece = [b'x'; MAX_EARLY_BYTES / 4];
    for index in 0..5 {
        bench.early(1, index * piece.len() as u64, &piece, RecordFlags::EARLY);
    }
    assert_eq!(bench.correlator.counters().early_bytes, piece.len() as u64);
}
