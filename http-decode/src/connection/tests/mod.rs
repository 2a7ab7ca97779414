//! Whole connections, from chunks to outputs.

mod active;
mod events;
mod moments;
mod skippable;

use super::*;
use crate::{Exchange, Limits};

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

/// A connection of a server. Each call gets the next position and the next time.
struct Tape {
    connection: Connection,
    positions: [u64; 2],
    now: u64,
}

impl Tape {
    fn new() -> Self {
        Self::with(Limits::DEFAULT)
    }

    fn with(limits: Limits) -> Self {
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        Self {
            connection: Connection::new(settings),
            positions: [0, 0],
            now: 0,
        }
    }

    fn push(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let at = self.tick();
        let position = self.lose(direction, bytes.len());
        self.connection.push(
            direction,
            Chunk {
                position,
                at,
                origin: 7,
                call_start: true,
                bytes,
            },
        );
        self
    }

    /// Skips bytes that were not captured, and returns their position.
    fn lose(&mut self, direction: Direction, count: usize) -> u64 {
        let position = &mut self.positions[usize::from(direction == WRITE)];
        *position += count as u64;
        *position - count as u64
    }

    fn tick(&mut self) -> Timestamp {
        self.now += 10;
        Timestamp(self.now)
    }

    fn settle(&mut self) -> &mut Self {
        let now = self.tick();
        self.connection.settle(now);
        self
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.connection.poll()).collect()
    }

    fn exchanges(&mut self) -> Vec<Exchange> {
        let exchange = |output| match output {
            Output::Exchange(exchange) => Some(*exchange),
            Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        };
        self.outputs().into_iter().filter_map(exchange).collect()
    }

    /// Returns each exchange as `path status body-bytes`, with `-` for absent parts.
    fn lines(&mut self) -> Vec<String> {
        self.exchanges().iter().map(line).collect()
    }
}

fn line(exchange: &Exchange) -> String {
    let path = exchange.request.as_ref().and_then(|request| request.head.path.as_ref());
    let path = path.map_or("-".into(), |path| String::from_utf8_lossy(path.expose()).into_owned());
    let status = exchange.response.as_ref().and_then(|response| response.head.status);
    let bytes = exchange.response.as_ref().and_then(|response| response.body_bytes);
    let text = |number: Option<u64>| number.map_or("-".into(), |number| number.to_string());
    format!("{path} {} {}", text(status.map(u64::from)), text(bytes))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn the_rest_of_a_first_request_line_is_no_request_line() {
    let mut tape = Tape::new();
    tape.lose(READ, 1);
    let at = tape.tick();
    let rest = b"EAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunk = Chunk {
        position: 1,
        at,
        origin: 7,
        call_start: false,
        bytes: rest,
    };
    tape.connection.push(READ, chunk);
    tape.lose(READ, rest.len());
    tape.push(READ, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    tape.connection.settle(at);
    tape.connection.close(at, Ended::Closed, None);
    let methods: Vec<_> = std::iter::from_fn(|| tape.connection.poll())
        .filter_map(|output| match output {
            Output::Exchange(exchange) => exchange.request?.head.method,
            Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        })
        .collect();
    assert_eq!(methods, ["GET"]);
}

#[test]
fn an_exchange_has_its_times() {
    let mut tape = Tape::new();
    tape.push(READ, get("/x")).push(WRITE, ok("hello"));
    let [exchange] = &tape.exchanges()[..] else {
        panic!("one exchange")
    };
    assert_eq!(line(exchange), "/x 200 5");
    assert_eq!(
        (exchange.began, exchange.head_at, exchange.ended_at),
        (Timestamp(10), Some(Timestamp(20)), Some(Timestamp(20)))
    );
    assert_eq!(
        (exchange.ordinal, exchange.origin, exchange.side, exchange.ended),
        (1, 7, Side::Server, Some(Ended::Complete))
    );
    assert_eq!(tape.connection.held_bytes(), 0);
}

#[test]
fn writing_requests_makes_a_client() {
    let mut tape = Tape::new();
    tape.push(WRITE, get("/x")).push(READ, ok(""));
    assert_eq!(tape.exchanges()[0].side, Side::Client);
    assert_eq!(tape.connection.side(), Some(Side::Client));
}

#[test]
fn a_response_waits_for_the_request_that_arrives_later() {
    let mut tape = Tape::new();
    tape.push(WRITE, ok("hello"));
    assert!(tape.connection.unsettled());
    assert_eq!(tape.outputs(), []);
    tape.push(READ, get("/x"));
    assert_eq!(tape.lines(), ["/x 200 5"]);
}

#[test]
fn settling_lets_a_response_through_without_its_request() {
    let mut tape = Tape::new();
    tape.push(WRITE, ok("hello")).settle();
    assert!(!tape.connection.unsettled());
    assert_eq!(tape.lines(), ["- 200 5"]);
}

#[test]
fn a_lost_request_does_not_shift_the_ones_behind_it() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1")).push(WRITE, ok("1"));
    tape.lose(READ, get("/2").len());
    tape.push(WRITE, ok("22"))
        .push(READ, get("/3"))
        .push(WRITE, ok("333"))
        .settle();
    tape.push(READ, get("/4")).push(WRITE, ok("4444"));
    assert_eq!(tape.lines(), ["/1 200 1", "- 200 2", "/3 200 3", "/4 200 4"]);
}

#[test]
fn a_lost_response_does_not_shift_the_ones_behind_it() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"));
    tape.lose(WRITE, ok("1").len());
    // That no request is lost behind /2 shows only when /3 has come.
    tape.push(READ, get("/2")).push(WRITE, ok("22")).settle();
    tape.push(READ, get("/3")).push(WRITE, ok("333"));
    assert_eq!(tape.lines(), ["/1 - -", "/2 - -", "- 200 2", "/3 200 3"]);
}

#[test]
fn a_lost_response_leaves_pairs_alone_when_the_next_request_shows_that_none_is_missing() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"));
    tape.lose(WRITE, ok("1").len());
    tape.push(READ, get("/2"))
        .push(WRITE, ok("22"))
        .push(READ, get("/3"))
        .settle();
    assert_eq!(tape.lines(), ["/1 - -", "/2 200 2"]);
}

#[test]
fn a_response_and_the_next_request_lost_together_make_no_wrong_pair() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"));
    tape.lose(WRITE, ok("1").len());
    tape.lose(READ, get("/2").len());
    tape.push(WRITE, ok("22")).settle();
    tape.push(READ, get("/3")).push(WRITE, ok("333")).settle();
    assert_eq!(tape.lines(), ["/1 - -", "- 200 2", "/3 200 3"]);
}

#[test]
fn a_connection_joined_in_a_response_is_paired_from_the_next_request_on() {
    let mut tape = Tape::new();
    tape.push(WRITE, "the end of a body")
        .push(READ, get("/1"))
        .push(WRITE, ok("1"));
    assert_eq!(tape.lines(), ["/1 200 1"]);
}

#[test]
fn a_client_that_pipelines_gets_halves_after_a_lost_request() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1") + &get("/2"))
        .push(WRITE, ok("1"))
        .push(WRITE, ok("22"));
    tape.lose(READ, get("/3").len());
    tape.push(READ, get("/4"))
        .push(WRITE, ok("333"))
        .push(WRITE, ok("4444"))
        .settle();
    assert_eq!(tape.lines(), ["/1 200 1", "/2 200 2", "/4 - -", "- 200 3", "- 200 4"]);
}

#[test]
fn a_held_exchange_is_emitted_once_and_then_its_end() {
    let mut tape = Tape::new();
    tape.push(READ, get("/x"))
        .push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(tape.connection.next_tick(), Some(Timestamp(1_000_000_020)));
    tape.connection.tick(Timestamp(1_000_000_019));
    assert_eq!(tape.outputs(), []);
    tape.connection.tick(Timestamp(1_000_000_020));
    assert_eq!(tape.exchanges()[0].ended, None);
    assert_eq!(tape.connection.next_tick(), None);
    tape.push(WRITE, "llo");
    let [Output::End(end)] = &tape.outputs()[..] else {
        panic!("one end")
    };
    assert_eq!(
        (end.ordinal, end.body_bytes, end.ended, end.ended_at),
        (1, Some(5), Ended::Complete, Timestamp(30))
    );
}

#[test]
fn closing_completes_a_body_that_ends_with_the_connection() {
    let mut tape = Tape::new();
    tape.push(READ, get("/x")).push(WRITE, "HTTP/1.0 200 OK\r\n\r\nhello");
    tape.connection.close(Timestamp(99), Ended::Closed, None);
    assert_eq!(tape.exchanges()[0].ended, Some(Ended::Complete));
}

#[test]
fn final_positions_reveal_bytes_lost_at_the_end_which_may_be_the_response() {
    let mut tape = Tape::new();
    tape.push(READ, get("/x"));
    let read = tape.positions[0];
    tape.connection.close(Timestamp(99), Ended::Closed, Some([read, 40]));
    let gap = Gap {
        direction: WRITE,
        position: 0,
        span: 40,
        cause: GapCause::Lost,
        at: None,
    };
    let outputs = tape.outputs();
    assert_eq!(outputs[0], Output::Gap(gap));
    assert!(matches!(&outputs[1], Output::Exchange(exchange) if exchange.ended == Some(Ended::Lost)));
}

#[test]
fn finishing_ends_nothing() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1") + &get("/2"))
        .push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    tape.connection.finish(Timestamp(99));
    let exchanges = tape.exchanges();
    assert_eq!(exchanges.iter().map(line).collect::<Vec<_>>(), ["/1 200 2", "/2 - -"]);
    assert!(exchanges.iter().all(|exchange| exchange.ended.is_none()));
}

#[test]
fn nothing_is_decoded_in_a_tunnel() {
    let mut tape = Tape::new();
    tape.push(READ, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n")
        .push(READ, "\x16\x03\x01 early");
    tape.push(WRITE, "HTTP/1.1 200 OK\r\n\r\n")
        .push(WRITE, ok("no"))
        .push(READ, get("/no"));
    assert!(!tape.connection.unsettled());
    assert_eq!(tape.lines(), ["- 200 0"]);
    assert_eq!(tape.connection.held_bytes(), 0);
}

#[test]
fn a_rejected_tunnel_goes_on_as_http() {
    let mut tape = Tape::new();
    tape.push(READ, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n")
        .push(READ, get("/x"));
    tape.push(WRITE, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        .push(WRITE, ok("yes"));
    assert_eq!(tape.lines(), ["- 407 0", "/x 200 3"]);
}

#[test]
fn a_status_line_behind_the_head_of_a_lone_response_shows_that_it_answered_head() {
    let mut tape = Tape::new();
    tape.push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        .settle();
    tape.push(READ, get("/y")).push(WRITE, ok("y")).settle();
    assert_eq!(tape.lines(), ["- 200 0", "/y 200 1"]);
}

#[test]
fn nothing_is_held_after_a_close_behind_a_preface_and_garbage() {
    let mut tape = Tape::new();
    tape.connection.push(
        READ,
        Chunk {
            position: 5,
            at: Timestamp(1),
            origin: 0,
            call_start: true,
            bytes: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore",
        },
    );
    tape.connection.close(Timestamp(2), Ended::Closed, None);
    assert!(matches!(tape.outputs()[..], [Output::Gap(_)]));
    assert_eq!(tape.connection.held_bytes(), 0);
}

#[test]
fn a_preface_in_the_middle_of_http1_is_not_believed() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"))
        .push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    tape.push(READ, "no\r\n\r\n")
        .push(READ, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .push(WRITE, "llo");
    assert_eq!(tape.lines(), ["/1 200 5"]);
}

#[test]
fn queued_outputs_are_counted_until_they_are_polled() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"));
    assert_eq!(tape.connection.queued_bytes(), 0);
    tape.push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(tape.connection.queued_bytes() > 0);
    assert!(tape.connection.poll().is_some());
    assert_eq!(tape.connection.queued_bytes(), 0);
}
