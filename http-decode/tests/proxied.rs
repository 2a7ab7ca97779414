//! PROXY protocol headers: skipped whatever the chunks, and their addresses reported.
#![cfg(test)]

use http_decode::{Chunk, Connection, Direction, Output, Proxied, Settings, Side, Timestamp};

/// Pushes the calls, cut into chunks of `step` bytes, and returns the connection, and path and status of each exchange.
fn decode(read: &[&[u8]], written: &[u8], step: usize, from_start: bool) -> (Connection, Vec<String>) {
    let mut connection = Connection::new(Settings::default());
    if from_start {
        connection.mark_from_start();
    }
    let mut position = 0;
    let mut at = 0;
    for (direction, calls) in [(Direction::Read, read), (Direction::Write, &[written][..])] {
        for call in calls {
            at += 1;
            for (index, bytes) in call.chunks(step.min(call.len())).enumerate() {
                let chunk = Chunk {
                    position,
                    at: Timestamp(at),
                    origin: 0,
                    call_start: index == 0,
                    bytes,
                };
                connection.push(direction, chunk);
                position += bytes.len() as u64;
            }
        }
        position = 0;
    }
    connection.settle(Timestamp(at));
    let lines = std::iter::from_fn(|| connection.poll()).filter_map(|output| match output {
        Output::Exchange(exchange) => {
            let path = exchange.request.and_then(|request| request.head.path);
            let path = path.map(|path| String::from_utf8_lossy(path.expose()).into_owned());
            let status = exchange.response.and_then(|response| response.head.status);
            Some(format!("{} {}", path.unwrap_or_default(), status.unwrap_or_default()))
        }
        Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
    });
    let lines = lines.collect();
    (connection, lines)
}

const HEADERS: [&[u8]; 2] = [
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02\x04\x00\x01x",
];
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn named() -> Proxied {
    Proxied {
        source: "1.2.3.4:1".parse().unwrap(),
        destination: "5.6.7.8:2".parse().unwrap(),
    }
}

#[test]
fn a_request_may_follow_in_the_same_call_or_in_the_next() {
    for header in HEADERS {
        for (line, path) in [("GET /x", "/x"), ("RPC_IN_DATA /y", "/y")] {
            let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
            for step in [1, 7, usize::MAX] {
                let joined = [header, &request].concat();
                for calls in [&[&joined[..]][..], &[header, &request]] {
                    let (connection, lines) = decode(calls, OK, step, true);
                    assert_eq!(lines, [format!("{path} 200")], "{step}");
                    assert_eq!(
                        (connection.proxied(), connection.side()),
                        (Some(named()), Some(Side::Server))
                    );
                }
            }
        }
    }
}

#[test]
fn an_unparsable_request_behind_a_header_is_shown() {
    let bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for header in HEADERS {
        for step in [1, usize::MAX] {
            let calls = [header, b"GET /a http/1.1\r\nHost: secret\r\n\r\n"].concat();
            let (connection, lines) = decode(&[&calls], bad, step, true);
            assert_eq!(
                (lines, connection.proxied()),
                (vec!["/a 400".to_owned()], Some(named()))
            );
        }
    }
}

#[test]
fn http2_may_follow_a_header() {
    // The preface, empty SETTINGS, and GET / from the static table; the response is 200 from the static table.
    let read = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x87";
    let written = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88";
    for header in HEADERS {
        for step in [1, usize::MAX] {
            let calls = [header, read].concat();
            let (connection, lines) = decode(&[&calls], written, step, true);
            assert_eq!((lines, connection.proxied()), (vec!["/ 200".to_owned()], Some(named())));
        }
    }
}

#[test]
fn a_header_counts_only_at_the_beginning_of_a_connection() {
    let get = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let again = [HEADERS[0], b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let (connection, lines) = decode(&[get, &again], OK, usize::MAX, true);
    assert_eq!((lines, connection.proxied()), (vec!["/1 200".to_owned()], None));
}
