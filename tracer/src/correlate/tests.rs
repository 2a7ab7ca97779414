//! Records in, happenings out, without a kernel.

use http_decode::Exchange;
use tracer_ebpf::{Cookie, DataRecord, Direction as Way, EndRecord, Kind, RecordFlags, RecordHeader, Role};
use zerocopy::IntoBytes as _;

use super::*;
use crate::source::{ProcessEntry, SiteEntry};

const PID: u32 = 7;
const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MILLISECOND: u64 = 1_000_000;

/// A correlator, the clock of its records, and what came out of it.
struct Bench {
    correlator: Correlator,
    now_ns: u64,
    out: Vec<Observed>,
}

impl Bench {
    fn new(bounds: Bounds) -> Self {
        let header = Header {
            processes: vec![ProcessEntry {
                pid: PID,
                name: "nginx".to_owned(),
            }],
            sites: vec![SiteEntry {
                library: "openssl".to_owned(),
                path: String::new(),
                function: String::new(),
            }],
            ..Header::default()
        };
        let correlator = Correlator::bounded(&header, Settings::default(), bounds);
        Self {
            correlator,
            now_ns: 0,
            out: Vec::new(),
        }
    }

    fn header(&mut self, ssl: u64, kind: Kind, direction: Way) -> RecordHeader {
        self.now_ns += MILLISECOND;
        RecordHeader {
            ts_ns: self.now_ns,
            cookie: Cookie::new(0, Role::READ),
            ssl,
            generation: ssl,
            tgid: PID,
            tid: PID,
            kind,
            direction,
            flags: RecordFlags::LAST,
            reserved: 0,
        }
    }

    fn data(&mut self, ssl: u64, direction: Way, position: u64, bytes: &[u8]) {
        let record = DataRecord {
            header: self.header(ssl, Kind::DATA, direction),
            began_ns: self.now_ns,
            position,
            call_position: position,
            call_length: bytes.len() as u64,
            captured: bytes.len().try_into().unwrap(),
            reserved: 0,
        };
        self.take(&[record.as_bytes(), bytes].concat());
    }

    fn end(&mut self, ssl: u64, read: usize, written: usize) {
        let header = self.header(ssl, Kind::END, Way::READ);
        let (read, written) = (read as u64, written as u64);
        self.take(EndRecord { header, read, written }.as_bytes());
    }

    fn take(&mut self, record: &[u8]) {
        self.correlator.take(Item::Record(record), &mut self.out);
    }

    fn exchanges(&self) -> Vec<&Exchange> {
        self.out
            .iter()
            .filter_map(|observed| match &observed.happening {
                Happening::Exchange(exchange) => Some(exchange.as_ref()),
                Happening::End(_) | Happening::Loss(_) => None,
            })
            .collect()
    }
}

#[test]
fn a_request_and_its_response_are_one_exchange_of_their_process() {
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.data(1, Way::WRITE, 0, RESPONSE);
    assert_eq!(bench.exchanges().len(), 1);
    let connection = &bench.out[0].connection;
    assert_eq!((connection.id.as_str(), connection.tls), ("7-1", "openssl"));
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
    bench.data(1, Way::READ, 0, REQUEST);
    bench.data(1, Way::WRITE, 0, RESPONSE);
    bench.end(1, REQUEST.len(), RESPONSE.len());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.data(1, Way::WRITE, 0, RESPONSE);
    let ids: Vec<_> = bench
        .out
        .iter()
        .map(|observed| observed.connection.id.as_str())
        .collect();
    assert_eq!(ids, ["7-1", "7-2"]);
}

#[test]
fn what_a_connection_lost_at_its_end_is_a_loss() {
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.end(1, REQUEST.len(), 100);
    let lost = bench
        .out
        .iter()
        .filter(|observed| matches!(&observed.happening, Happening::Loss(gap) if gap.bytes == 100));
    assert_eq!(lost.count(), 1);
    assert_eq!(bench.correlator.counters().missing_bytes, 100);
}

#[test]
fn the_end_of_a_process_ends_its_connections() {
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, REQUEST);
    bench.correlator.take(Item::ProcessEnd(PID), &mut bench.out);
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
    bench.data(1, Way::READ, 0, REQUEST);
    bench.data(1, Way::WRITE, 0, &RESPONSE[..RESPONSE.len() - 1]);
    let Bench {
        correlator,
        out,
        now_ns,
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
    let given_up: Vec<_> = bench
        .out
        .iter()
        .map(|observed| observed.connection.id.as_str())
        .collect();
    assert_eq!(given_up, ["7-1", "7-2"]);
}

#[test]
fn beyond_the_bound_of_memory_the_connection_that_asks_for_more_is_given_up() {
    let mut bench = Bench::new(Bounds {
        held_bytes: 6000,
        ..Bounds::default()
    });
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
