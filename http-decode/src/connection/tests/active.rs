//! Tests of active requests.

use super::*;

/// Returns the methods of the active requests, with `-` for one that is not in common use.
fn active(tape: &Tape) -> Vec<&'static str> {
    let requests = tape.connection.active_requests();
    requests.map(|request| request.method.unwrap_or("-")).collect()
}

#[test]
fn a_request_is_active_from_its_head_to_the_end_of_its_response() {
    let mut tape = Tape::new();
    let (first, rest) = ("POST / HTTP/1.1\r\nHost: a\r\n", "Content-Length: 2\r\n\r\n1");
    tape.push(READ, first);
    assert!(active(&tape).is_empty());
    tape.push(READ, rest);
    assert_eq!(active(&tape), ["POST"]);
    assert_eq!(tape.connection.active_requests().next().unwrap().side, Side::Server);
    tape.push(READ, "2")
        .push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1");
    assert_eq!(active(&tape), ["POST"]);
    // It is emitted, and goes on.
    tape.connection.tick(Timestamp(u64::MAX));
    assert_eq!(tape.lines(), ["/ 200 1"]);
    assert_eq!(active(&tape), ["POST"]);
    tape.push(WRITE, "2");
    assert!(active(&tape).is_empty());
}

#[test]
fn each_request_of_a_pipeline_is_active_until_its_own_response_ends() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1") + "PROPFIND /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    tape.push(READ, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(active(&tape), ["GET", "PROPFIND", "-"]);
    tape.push(WRITE, ok(""));
    assert_eq!(active(&tape), ["PROPFIND", "-"]);
    let now = tape.tick();
    tape.connection.close(now, Ended::Closed, None);
    assert!(active(&tape).is_empty());
}

#[test]
fn a_response_whose_request_was_not_seen_is_no_active_request() {
    let mut tape = Tape::new();
    tape.push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1")
        .settle();
    assert!(active(&tape).is_empty());
    tape.connection.tick(Timestamp(u64::MAX));
    assert_eq!(tape.lines(), ["- 200 1"]);
    assert!(active(&tape).is_empty());
}
