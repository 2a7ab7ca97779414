//! Hostile peers: memory stays within its limit, and time is linear in the bytes.

use http_decode::{Limits, MAX_CONNECTION_BYTES};

use super::tape::{GET, READ, Tape, WRITE, ok};

#[test]
fn a_head_that_arrives_byte_by_byte_is_read_in_linear_time() {
    let head = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(65_000));
    let mut tape = Tape::new(Limits::DEFAULT);
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        for byte in head.as_bytes().chunks(1) {
            tape.push(READ, byte);
        }
    }
    // Scanning from the start for each byte would scan eight billion bytes.
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(tape.counters().heads_too_large, 0);
}

#[test]
fn hostile_streams_stay_within_the_memory_limit() {
    let endless: [(&str, &[u8], &[u8]); 12] = [
        ("line ends", b"", b"\r\n"),
        ("one header line", b"GET / HTTP/1.1\r\nA: ", b"xxxxxxxxxxxxxxxx"),
        ("header lines", b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        ("folded lines", b"GET / HTTP/1.1\r\nA: b\r\n", b" c\r\n"),
        ("a request line", b"GET /", b"xxxxxxxxxxxxxxxx"),
        ("requests", b"", b"GET / HTTP/1.1\r\nA: b\r\n\r\n"),
        ("short requests", b"", b"G / HTTP/1.0\n\n"),
        (
            "chunks",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
        (
            "chunk extensions",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"xxxxxxxx",
        ),
        (
            "trailers",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"A: b\r\n",
        ),
        (
            "1xx responses",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n",
        ),
        ("zeros", b"\0", b"\0\0\0\0\0\0\0\0"),
    ];
    for (what, first, then) in endless {
        for answered in [false, true] {
            let mut tape = Tape::new(Limits::DEFAULT);
            assert_eq!(tape.limits.max_connection_bytes(), MAX_CONNECTION_BYTES);
            if answered {
                tape.push(READ, GET).push(WRITE, ok(""));
            }
            let direction = if what == "1xx responses" { WRITE } else { READ };
            tape.push(direction, first);
            let block = then.repeat(16_384 / then.len());
            for round in 0..100 {
                tape.push(direction, &block);
                if round % 16 == 0 {
                    tape.settle();
                }
                tape.outputs.clear();
            }
        }
    }
}

#[test]
fn gaps_everywhere_stay_within_the_memory_limit() {
    let mut tape = Tape::new(Limits::DEFAULT);
    for index in 0..20_000_u64 {
        tape.push_at(READ, index * 50 + 1, GET.as_bytes());
        tape.push_at(WRITE, index * 500 + 1, &[b'x'; 400]);
        tape.outputs.clear();
    }
}
