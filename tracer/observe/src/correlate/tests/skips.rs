//! What is announced to be of no interest, and bytes that are skipped.

use super::*;
use http_decode::Side;

use crate::{event::Address, limits::MIN_SKIP_BYTES};

const BODY: u64 = 10 * MIN_SKIP_BYTES;

/// A head of a response with a body of so many bytes, and the first of them.
fn response(bytes: u64) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\nx").into_bytes()
}

/// A connection on which such a response has begun. Returns the position behind its first byte.
fn begun(bytes: u64) -> (Bench, u64) {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.data(1, Way::READ, 0, REQUEST);
    let response = response(bytes);
    bench.data(1, Way::WRITE, 0, &response);
    (bench, response.len() as u64)
}

#[test]
fn a_large_body_is_announced_once_and_a_small_one_is_not() {
    let (mut bench, position) = begun(BODY);
    let key = ConnKey {
        tgid: PID,
        ssl: 1,
        generation: 1,
    };
    let until = [0, position - 1 + BODY];
    assert_eq!(bench.correlator.skips(), [Skip { key, until }]);
    bench.correlator.clear_skips();
    bench.data(1, Way::WRITE, position, b"more");
    assert_eq!(bench.correlator.skips(), []);
    assert_eq!(begun(MIN_SKIP_BYTES).0.correlator.skips(), []);
    assert_eq!(begun(MIN_SKIP_BYTES + 1).0.correlator.skips().len(), 1);
}

#[test]
fn skipped_bytes_are_content_and_no_loss() {
    let (mut bench, position) = begun(BODY);
    bench.passed(1, Way::WRITE, position, BODY - 11, PassedCause::SKIPPED);
    assert!(bench.exchanges().is_empty());
    bench.passed(1, Way::WRITE, position + BODY - 11, 10, PassedCause::SKIPPED);
    let ended_ns = bench.now_ns;
    let [exchange] = bench.exchanges()[..] else {
        panic!("one exchange")
    };
    let body = exchange.response.as_ref().unwrap().body_bytes;
    assert_eq!((exchange.ended, body), (Some(Ended::Complete), Some(BODY)));
    assert_eq!(exchange.ended_at, Some(Timestamp(ended_ns)));
    bench.data(1, Way::READ, REQUEST.len() as u64, REQUEST);
    bench.data(1, Way::WRITE, position - 1 + BODY, RESPONSE);
    assert_eq!(bench.exchanges().len(), 2);
    assert_eq!(bench.out.len(), 2, "no gap is emitted");
    assert_eq!(bench.correlator.counters().missing_bytes, 0);
}

#[test]
fn both_directions_of_a_tunnel_are_announced_as_they_go_on() {
    let mut bench = Bench::new(Bounds::default());
    let request = b"CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n";
    bench.data(1, Way::READ, 0, request);
    bench.data(1, Way::WRITE, 0, b"HTTP/1.1 200 OK\r\n\r\n");
    bench.data(1, Way::READ, request.len() as u64, b"anything");
    let until: Vec<_> = bench.correlator.skips().iter().map(|skip| skip.until).collect();
    assert_eq!(until, [[0, u64::MAX], [u64::MAX; 2]]);
}

/// Returns a correlator with an interest in connections of a server to this remote port.
fn interested_in(remote_port: u16) -> Bench {
    let mut bench = Bench::new(Bounds::default());
    let interest = Interest::new(move |connection, side| {
        let remote = connection.remote.as_ref().and_then(Address::inet);
        side == Side::Server && remote.is_some_and(|remote| remote.port() == remote_port)
    });
    bench.correlator.interest = Some(interest);
    bench
}

#[test]
fn a_connection_of_no_interest_is_given_up_and_announced_in_both_directions() {
    let mut bench = interested_in(1000);
    bench.known(1, Source::BIO, 999, OWN_NETNS);
    bench.data(1, Way::READ, 0, &REQUEST[..10]);
    assert_eq!(bench.correlator.skips(), [], "no head was seen");
    bench.data(1, Way::READ, 10, &REQUEST[10..]);
    let until = bench.correlator.skips().last().map(|skip| skip.until);
    assert_eq!(until, Some([u64::MAX; 2]));
    bench.data(1, Way::WRITE, 0, RESPONSE);
    bench.exchange(1, 1);
    assert!(bench.exchanges().is_empty());
    assert_eq!(bench.correlator.active_requests(), []);
    bench.end(1, 2 * REQUEST.len(), 2 * RESPONSE.len());
    assert!(bench.out.is_empty());
}

#[test]
fn connections_that_are_of_interest_or_may_be_are_decoded() {
    let mut bench = interested_in(1000);
    bench.known(1, Source::BIO, 1000, OWN_NETNS);
    bench.unknown(2, false);
    for connection in [1, 2] {
        bench.exchange(connection, 0);
        bench.exchange(connection, 1);
    }
    assert_eq!(bench.exchanges().len(), 4);
    assert_eq!(bench.correlator.skips(), []);
}
