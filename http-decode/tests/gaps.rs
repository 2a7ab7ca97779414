//! Gaps that the caller reports, or does not: those of known length are skipped, and nothing is joined across those of
//! unknown length.
#![cfg(test)]

use http_decode::{Chunk, Connection, Direction, Ended, Exchange, Gap, GapCause, Output, STRETCH, Settings, Timestamp};

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

/// A connection of a server, fed with calls, one every ten nanoseconds.
struct Tape {
    connection: Connection,
    positions: [u64; 2],
    now: u64,
    outputs: Vec<Output>,
}

impl Tape {
    fn new() -> Self {
        Self {
            connection: Connection::new(Settings::default()),
            positions: [0; 2],
            now: 0,
            outputs: Vec::new(),
        }
    }

    fn push(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let position = self.advance(direction, bytes.len() as u64);
        let chunk = Chunk {
            position,
            at: Timestamp(self.now),
            origin: 0,
            call_start: true,
            bytes,
        };
        self.connection.push(direction, chunk);
        self.drain()
    }

    /// Reports a gap with its time.
    fn report_gap(&mut self, direction: Direction, span: u64, cause: GapCause) -> &mut Self {
        let position = self.advance(direction, span);
        self.connection.gap(Gap {
            direction,
            position,
            span,
            cause,
            at: Some(Timestamp(self.now)),
        });
        self.drain()
    }

    /// Makes a gap of unknown length, and reports it or not.
    fn lose(&mut self, direction: Direction, reported: bool) -> &mut Self {
        if reported {
            self.report_gap(direction, STRETCH, GapCause::NotCaptured)
        } else {
            self.advance(direction, STRETCH);
            self
        }
    }

    /// Advances the position of a direction, and returns the previous one.
    fn advance(&mut self, direction: Direction, span: u64) -> u64 {
        self.now += 10;
        let position = &mut self.positions[usize::from(direction == WRITE)];
        *position += span;
        *position - span
    }

    fn drain(&mut self) -> &mut Self {
        if self.connection.unsettled() {
            self.connection.settle(Timestamp(self.now));
        }
        self.outputs.extend(std::iter::from_fn(|| self.connection.poll()));
        self
    }

    fn close(&mut self) -> &mut Self {
        self.connection
            .close(Timestamp(self.now), Ended::Closed, Some(self.positions));
        self.drain()
    }

    fn exchanges(&self) -> Vec<&Exchange> {
        let exchanges = self.outputs.iter().filter_map(|output| match output {
            Output::Exchange(exchange) => Some(exchange.as_ref()),
            Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        });
        exchanges.collect()
    }

    /// Returns a line for each exchange: path, fields, status, body bytes and end.
    fn lines(&self) -> Vec<String> {
        self.exchanges().into_iter().map(line).collect()
    }
}

fn line(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let path = request.head.path.as_ref().unwrap().expose();
        format!("{}{}", path.escape_ascii(), fields(&request.head.fields))
    });
    let response = exchange.response.as_ref().map_or("-".to_owned(), |response| {
        let bytes = response.body_bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
        format!("{} {bytes}", response.head.status.unwrap())
    });
    let ended = exchange
        .ended
        .map_or("goes on".to_owned(), |ended| format!("{ended:?}"));
    format!("{request} > {response} {ended}")
}

fn fields(fields: &http_decode::Fields) -> String {
    let each = fields.iter().map(|field| {
        let value = field
            .value
            .map_or("?".to_owned(), |value| value.expose().escape_ascii().to_string());
        format!(" {}={value}", field.name.unwrap_or("?"))
    });
    each.collect()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Runs a test once with reported gaps and once without.
fn both_ways(mut test: impl FnMut(bool, Tape)) {
    for reported in [true, false] {
        test(reported, Tape::new());
    }
}

#[test]
fn a_value_is_not_joined_over_a_lost_call() {
    both_ways(|reported, mut tape| {
        tape.push(READ, get("/1")).push(WRITE, ok(""));
        tape.push(READ, "GET /2 HTTP/1.1\r\nX-Account: al").lose(READ, reported);
        tape.push(READ, "admin\r\n\r\n").push(WRITE, ok(""));
        tape.push(READ, get("/3")).push(WRITE, ok(""));
        assert_eq!(
            tape.lines(),
            ["/1 > 200 0 Complete", "- > 200 0 Complete", "/3 > 200 0 Complete"]
        );
    });
}

#[test]
fn the_first_call_of_a_connection_may_be_the_one_that_is_lost() {
    both_ways(|reported, mut tape| {
        tape.lose(READ, reported)
            .push(READ, "admin\r\n\r\n")
            .push(WRITE, ok(""));
        tape.push(READ, get("/2")).push(WRITE, ok(""));
        assert_eq!(tape.lines(), ["- > 200 0 Complete", "/2 > 200 0 Complete"]);
    });
}

#[test]
fn a_body_of_known_length_is_not_continued_behind_a_lost_call() {
    both_ways(|reported, mut tape| {
        tape.push(READ, get("/1"));
        tape.push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            .lose(WRITE, reported);
        tape.push(READ, get("/2")).push(WRITE, ok("xy"));
        // If the time of the gap is unknown, the response to the second request may have been in it.
        let expected: &[&str] = if reported {
            &["/1 > 200 ? Lost", "/2 > 200 2 Complete"]
        } else {
            &["/1 > 200 ? Lost", "/2 > - Lost", "- > 200 2 Complete"]
        };
        assert_eq!(tape.lines(), expected);
    });
}

#[test]
fn a_size_of_a_chunk_is_not_joined_over_a_lost_call() {
    both_ways(|reported, mut tape| {
        tape.push(READ, get("/1"));
        tape.push(WRITE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1")
            .lose(WRITE, reported);
        tape.push(WRITE, "0\r\n\r\n")
            .push(READ, get("/2"))
            .push(WRITE, ok("xy"));
        assert_eq!(tape.lines(), ["/1 > 200 ? Lost", "/2 > 200 2 Complete"]);
    });
}

#[test]
fn a_body_up_to_the_end_of_the_connection_goes_on_behind_a_lost_call() {
    both_ways(|reported, mut tape| {
        tape.push(READ, get("/1"));
        tape.push(WRITE, "HTTP/1.1 200 OK\r\n\r\nabc").lose(WRITE, reported);
        tape.push(WRITE, ok("HTTP/1.1 404 no more than content")).close();
        assert_eq!(tape.lines(), ["/1 > 200 ? Complete"]);
    });
}

#[test]
fn a_request_body_is_not_continued_behind_a_lost_call() {
    both_ways(|reported, mut tape| {
        tape.push(READ, "POST /1 HTTP/1.1\r\nContent-Length: 60\r\n\r\nabc")
            .lose(READ, reported);
        tape.push(WRITE, ok("1")).push(READ, get("/2")).push(WRITE, ok("2"));
        let reported = tape.lines();
        assert_eq!(
            (reported[0].ends_with("> 200 1 Complete"), reported[1].as_str()),
            (true, "/2 > 200 1 Complete")
        );
        assert!(tape.exchanges().iter().all(|exchange| {
            exchange
                .request
                .as_ref()
                .is_none_or(|request| request.body_bytes != Some(60))
        }));
    });
}

#[test]
fn bytes_of_sendfile_are_content_and_end_the_response_at_their_time() {
    let mut tape = Tape::new();
    for round in 0..1000 {
        tape.push(READ, get(&format!("/{round}")));
        tape.push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n")
            .report_gap(WRITE, 300, GapCause::Sendfile)
            .report_gap(WRITE, 400, GapCause::Sendfile);
        let exchange = *tape.exchanges().last().unwrap();
        assert_eq!(line(exchange), format!("/{round} > 200 700 Complete"));
        assert_eq!(exchange.ended_at, Some(Timestamp(tape.now)));
    }
    assert_eq!(tape.exchanges().len(), 1000);
    assert_eq!(tape.connection.counters().missing_bytes, 700_000);
}

#[test]
fn a_gap_of_unknown_length_is_counted_and_reported_without_one() {
    both_ways(|reported, mut tape| {
        tape.push(READ, get("/1")).lose(READ, reported).push(READ, get("/2"));
        let gaps: Vec<_> = tape
            .outputs
            .iter()
            .filter_map(|output| match output {
                Output::Gap(gap) => Some((gap.position, gap.bytes())),
                Output::Exchange(_) | Output::End(_) | Output::Undecoded(..) => None,
            })
            .collect();
        assert_eq!(gaps, [(get("/1").len() as u64, None)]);
        let counters = tape.connection.counters();
        assert_eq!((counters.unknown_gaps, counters.missing_bytes), (1, 0));
    });
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A frame of a stream.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let header = [0, 0, payload.len().try_into().unwrap(), kind, flags, 0, 0, 0, stream];
    [&header[..], payload].concat()
}

/// A header block with a path, and a field that is not inserted into the table.
fn block(path: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    [
        &[0x82, 0x86, 0x04, length(path)],
        path,
        &[0x00, 1, b'a', length(value)],
        value,
    ]
    .concat()
}

#[test]
fn a_header_block_is_not_joined_over_a_lost_call() {
    both_ways(|reported, mut tape| {
        tape.push(READ, PREFACE).push(WRITE, SETTINGS);
        let whole = block(b"/1", b"alice");
        let (first, rest) = whole.split_at(whole.len() - 3);
        // HEADERS without its end; a CONTINUATION is lost, and another one arrives.
        tape.push(READ, frame(1, 0x1, 1, first)).lose(READ, reported);
        tape.push(READ, frame(9, 0x4, 1, rest));
        tape.push(
            READ,
            [frame(1, 0x5, 3, &block(b"/3", b"bob")), SETTINGS.to_vec()].concat(),
        );
        tape.push(WRITE, frame(1, 0x5, 1, &[0x88]))
            .push(WRITE, frame(1, 0x5, 3, &[0x88]))
            .close();
        for exchange in tape.exchanges() {
            let reported = exchange.request.as_ref().map(|request| fields(&request.head.fields));
            assert!(
                reported
                    .as_deref()
                    .is_none_or(|reported| ["", " ?=?", " a=bob"].contains(&reported)),
                "{reported:?}"
            );
        }
    });
}

#[test]
fn frames_behind_a_lost_call_are_found_and_the_table_is_forgotten() {
    both_ways(|reported, mut tape| {
        tape.push(READ, PREFACE).push(WRITE, SETTINGS);
        // Inserts `a: secret` into the table, and refers to the newest entry later: the lost frames may have inserted another.
        let inserting = [&[0x82, 0x86, 0x04, 2, b'/', b'1', 0x40, 1, b'a', 6][..], b"secret"].concat();
        let naming = [0x82, 0x86, 0x04, 2, b'/', b'5', 0xbe];
        tape.push(READ, frame(1, 0x5, 1, &inserting)).lose(READ, reported);
        tape.push(READ, [frame(1, 0x5, 5, &naming), SETTINGS.to_vec()].concat());
        tape.push(WRITE, frame(1, 0x5, 1, &[0x88]))
            .push(WRITE, frame(1, 0x5, 5, &[0x88]))
            .close();
        let exchanges = tape.exchanges();
        let last = exchanges.last().unwrap().request.as_ref().unwrap();
        assert!(last.head.fields.iter().all(|field| field.value.is_none()));
    });
}

#[test]
fn content_of_a_frame_in_which_a_call_was_lost_has_no_length() {
    both_ways(|reported, mut tape| {
        tape.push(READ, [PREFACE.to_vec(), frame(1, 0x5, 1, &block(b"/1", b"x"))].concat());
        let data = frame(0, 0x1, 1, &[b'x'; 100]);
        tape.push(
            WRITE,
            [SETTINGS.to_vec(), frame(1, 0x4, 1, &[0x88]), data[..50].to_vec()].concat(),
        )
        .lose(WRITE, reported);
        tape.push(WRITE, [SETTINGS, SETTINGS, SETTINGS].concat()).close();
        assert_eq!(tape.lines(), ["/1 a=x > 200 ? Lost"]);
    });
}
