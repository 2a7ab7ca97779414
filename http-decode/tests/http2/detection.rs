//! Detection of HTTP/2.

use http_decode::{Reason, Side};

use super::tape::{READ, Tape, WRITE};
use super::wire::{END_STREAM, PREFACE, data, entry, frame, get, headers, hello, ok, request, settings};

#[test]
fn the_preface_shows_http2_in_either_direction() {
    for (requests, responses, side) in [(READ, WRITE, Side::Server), (WRITE, READ, Side::Client)] {
        let mut tape = Tape::new();
        tape.push(requests, hello())
            .push(responses, settings())
            .push(requests, get(1, "/"))
            .push(responses, ok(1, "x"));
        assert_eq!(tape.connection.side(), Some(side));
        assert_eq!(tape.lines(), ["1 GET / > 200 1 complete"]);
    }
}

#[test]
fn a_server_may_speak_first() {
    let mut tape = Tape::new();
    tape.push(WRITE, settings())
        .push(READ, [hello(), get(1, "/")].concat())
        .push(WRITE, ok(1, "x"));
    assert_eq!(tape.lines(), ["1 GET / > 200 1 complete"]);
}

#[test]
fn the_other_side_has_no_preface() {
    let mut tape = Tape::new();
    tape.push(READ, [hello(), get(1, "/")].concat())
        .push(WRITE, PREFACE)
        .push(WRITE, settings())
        .push(WRITE, ok(1, "x"));
    assert_eq!(tape.connection.side(), Some(Side::Server));
    assert_eq!(tape.lines(), ["1 GET / > 200 1 complete"]);
}

#[test]
fn a_preface_in_the_middle_of_frames_makes_nothing_known() {
    let mut tape = Tape::new();
    tape.push(READ, b"middle of some content")
        .push(WRITE, [settings(), ok(1, "x")].concat())
        .push(READ, [hello(), get(3, "/")].concat())
        .push(READ, get(5, "/"))
        .push(WRITE, ok(5, "y"))
        .close();
    let lines = tape.lines();
    assert!(lines.iter().all(|lines| !lines.starts_with("3 ")), "{lines:?}");
    assert!(lines.contains(&"5 GET / > 200 1 complete".to_owned()), "{lines:?}");
}

#[test]
fn every_byte_may_come_alone() {
    let mut tape = Tape::new();
    for (direction, bytes) in [
        (WRITE, settings()),
        (READ, hello()),
        (READ, get(1, "/")),
        (WRITE, ok(1, "x")),
    ] {
        for (index, byte) in bytes.iter().enumerate() {
            tape.push_part(direction, [*byte], index == 0);
        }
    }
    assert_eq!(tape.lines(), ["1 GET / > 200 1 complete"]);
    assert!(tape.reasons().is_empty());
}

#[test]
fn a_head_that_is_a_whole_call_is_enough() {
    let mut tape = Tape::new();
    tape.push(READ, get(7, "/late")).push(WRITE, ok(7, "x"));
    assert_eq!(tape.lines(), ["7 GET /late > 200 1 complete"]);
    assert_eq!(tape.connection.side(), Some(Side::Server));
}

#[test]
fn three_plausible_frames_are_enough_and_two_are_not() {
    let ping = |data: u8| frame(6, 0, 0, &[data; 8]);
    let content = |bytes: usize| data(5, 0, &vec![b'x'; bytes]);
    // Cut within the last frame: nothing ends where the captured bytes do.
    let mut tape = Tape::new();
    let two = [content(9), content(9)].concat();
    tape.push(READ, &two[..two.len() - 1]);
    assert_eq!(tape.connection.side(), None);
    tape.push_part(READ, b"x", false).push(READ, get(7, "/late"));
    tape.push(WRITE, ok(7, "x")).close();
    assert_eq!(tape.lines(), ["7 GET /late > 200 1 complete"]);
    let mut tape = Tape::new();
    tape.push(WRITE, [ping(1), content(5)].concat()).push(READ, get(1, "/"));
    tape.push(WRITE, ok(1, "x"));
    assert_eq!(tape.lines(), ["1 GET / > 200 1 complete"]);
}

#[test]
fn a_connection_joined_in_the_middle_of_a_frame_is_read_from_the_next_call_on() {
    let mut tape = Tape::new();
    tape.push(READ, vec![0xff; 300])
        .push(READ, get(9, "/x"))
        .push(WRITE, b"middle of some content")
        .push(WRITE, ok(9, "x"));
    assert_eq!(tape.lines(), ["9 GET /x > 200 1 complete"]);
}

#[test]
fn bytes_that_resemble_frames_are_not_http() {
    for bytes in [
        &[0_u8; 400][..],
        &[0xff; 400],
        // Messages with their length before them, as in PostgreSQL and Kafka.
        &b"\0\0\0\x08\x04\xd2\x16\x2f".repeat(40),
        // A gRPC message without HTTP/2 around it.
        &[&b"\0\0\0\0\x05hello"[..]; 40].concat(),
        // A TLS record.
        &b"\x17\x03\x03\x00\x10aaaaaaaaaaaaaaaa".repeat(20),
    ] {
        for (from_start, reason) in [(true, Reason::NotHttp), (false, Reason::Unrecognised)] {
            let mut tape = Tape::new();
            if from_start {
                tape.connection.mark_from_start();
            }
            for _ in 0..4 {
                tape.push(READ, bytes).push(WRITE, bytes);
            }
            tape.close();
            assert!(tape.lines().is_empty(), "{bytes:?}");
            assert_eq!(tape.reasons(), [reason], "{bytes:?}");
        }
    }
}

#[test]
fn an_http1_request_may_upgrade_to_http2() {
    let mut tape = Tape::new();
    tape.push(
        READ,
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n",
    )
    .push(
        WRITE,
        [
            &b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"[..],
            &settings(),
        ]
        .concat(),
    )
    .push(READ, [hello(), get(3, "/next")].concat())
    .push(WRITE, [ok(1, "first"), ok(3, "second")].concat());
    assert_eq!(
        tape.lines(),
        ["1 GET /up > 101 > 200 5 complete", "3 GET /next > 200 6 complete"]
    );
}

#[test]
fn which_side_asks_may_be_known_late() {
    // The response's fields are all in a table that was not seen; its request came before.
    let unknown = frame(1, 0x5, 5, &[entry(62), entry(63)]);
    let mut tape = Tape::new();
    tape.push(WRITE, [settings(), unknown.clone()].concat());
    assert_eq!(tape.connection.side(), None);
    tape.push(READ, get(7, "/x")).settle();
    assert_eq!(tape.lines(), ["5 > ? ? (2 unknown) complete"]);
    let mut tape = Tape::new();
    tape.push(WRITE, [settings(), unknown].concat()).close();
    assert_eq!(tape.reasons(), [Reason::UnknownSide]);
}

#[test]
fn events_behind_a_head_are_queued_until_the_side_is_known() {
    let unknown = frame(1, 0x4, 1, &[entry(62), entry(63)]);
    let mut tape = Tape::new();
    tape.push(WRITE, [settings(), unknown, data(1, END_STREAM, b"hello")].concat())
        .push(READ, get(3, "/"))
        .settle();
    assert_eq!(tape.lines(), ["1 > ? 5 (2 unknown) complete"]);
}

#[test]
fn the_frames_of_a_body_do_not_displace_its_head_in_the_queue() {
    let mut response = [settings(), frame(1, 0x4, 1, &[entry(62), entry(63)])].concat();
    for _ in 0..100 {
        response.extend(data(1, 0, b"hello"));
    }
    response.extend(frame(1, 0x5, 1, &[entry(62)]));
    let mut tape = Tape::new();
    tape.push(WRITE, response).push(READ, get(3, "/")).settle();
    assert_eq!(tape.lines(), ["1 > ? 500 [?=?] (2 unknown) complete"]);
    assert!(tape.reasons().is_empty());
}

#[test]
fn frames_of_unassigned_types_are_skipped() {
    // RFC 8701: some clients send unassigned types to test that they are ignored.
    let grease = frame(0x0b, 0xa5, 1, b"grease");
    let mut tape = Tape::new();
    tape.push(READ, [data(1, 0, b"x"), grease, get(3, "/x")].concat())
        .push(WRITE, ok(3, "y"));
    assert_eq!(tape.lines(), ["3 GET /x > 200 1 complete"]);
}

#[test]
fn a_first_call_may_begin_with_frames_that_are_to_be_ignored() {
    for ignored in [
        frame(0xfa, 0, 0, b"abcd"),
        frame(0x0b, 0xa5, 1, b"grease"),
        [frame(0xfa, 0, 0, b""), frame(0xfb, 0xff, 0x8000_0001, &[0; 300])].concat(),
        frame(0x10, 0, 0, b"\0\0\0\x03u=1"),
        frame(0x10, 0, 3, b"\0\0\0\x03u=1"),
        frame(0xa, 0, 3, b"\0\0h2=\":443\""),
        frame(0xc, 0, 0, b"\0\x0bhttps://a.b"),
        // An unknown flag, and the reserved bit.
        frame(6, 0x80, 0, &[7; 8]),
        frame(8, 0, 0x8000_0000, &[0, 0, 1, 0]),
        // Undefined parameters.
        frame(4, 0, 0, &[0xfa, 0xce, 0, 0, 0, 1, 0, 0x10, 0, 0, 0, 1]),
    ] {
        let mut tape = Tape::new();
        tape.push(READ, [&ignored[..], &get(3, "/x")].concat())
            .push(WRITE, ok(3, "y"));
        assert_eq!(tape.lines(), ["3 GET /x > 200 1 complete"], "{ignored:?}");
        assert_eq!(tape.connection.counters().discarded_bytes, 0, "{ignored:?}");
    }
}

#[test]
fn frames_of_unassigned_types_alone_are_no_evidence() {
    // A protocol whose messages have a length of three bytes and a kind before them.
    let mut tape = Tape::new();
    for kind in 0x20..0x40 {
        let message = frame(kind, 0x20, 7, b"some message");
        tape.push(READ, &message).push(WRITE, &message);
    }
    tape.close();
    assert_eq!((tape.lines().len(), tape.reasons()), (0, vec![Reason::Unrecognised]));
}

#[test]
fn the_middle_of_a_download_is_not_called_something_else() {
    // Calls of 16 KiB that begin anywhere in frames, with a gap now and then; the client sends late.
    let content = vec![0xa5; 16_384];
    for answer in [
        frame(8, 0, 0, &[0, 1, 0, 0]),
        frame(4, 1, 0, b""),
        frame(6, 0, 0, &[1; 8]),
    ] {
        let mut tape = Tape::new();
        for call in 0..100 {
            tape.push(WRITE, &content);
            if call % 10 == 3 {
                tape.lose(WRITE, 50_000);
            }
            tape.settle();
        }
        tape.push(READ, answer).push(WRITE, &content[..100]);
        tape.push(READ, get(9, "/x")).push(WRITE, ok(9, "x")).close();
        assert_eq!(tape.lines(), ["9 GET /x > 200 1 complete"]);
        assert!(tape.reasons().is_empty(), "{:?}", tape.reasons());
    }
}

#[test]
fn content_over_the_scan_limit_ends_where_its_frame_does() {
    // The header of a long frame in a call of its own, then its payload, then one whole call that begins in its end.
    let body = data(3, 0, &vec![0xa5; 1 << 20]);
    let mut tape = Tape::new();
    tape.push(WRITE, &body[..9]);
    let rest = &body[9..];
    let (most, end) = rest.split_at(rest.len() - 100);
    for call in most.chunks(10_000) {
        tape.push(WRITE, call);
        assert!(
            tape.connection.held_bytes() < 300_000,
            "{}",
            tape.connection.held_bytes()
        );
    }
    tape.push(READ, get(5, "/x")).push(WRITE, [end, &ok(5, "y")].concat());
    assert_eq!(tape.lines(), ["5 GET /x > 200 1 complete"]);
}

#[test]
fn content_of_http1_that_looks_like_a_preface_is_content() {
    let mut tape = Tape::new();
    let length = PREFACE.len();
    tape.push(READ, format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"))
        .push(READ, PREFACE)
        .push(WRITE, "HTTP/1.1 204 No Content\r\n\r\n");
    let body = tape.exchanges()[0].request.as_ref().unwrap().body_bytes;
    assert_eq!(body, Some(length as u64));
}

#[test]
fn a_request_and_its_response_in_one_call_each_are_read_whatever_the_flags() {
    let priority = frame(
        1,
        0x25,
        3,
        &[&[0, 0, 0, 0, 15][..], &super::wire::block(&request("GET", "/p"))].concat(),
    );
    let mut tape = Tape::new();
    tape.push(READ, priority)
        .push(WRITE, headers(3, END_STREAM, &[(":status", "304")]));
    assert_eq!(tape.lines(), ["3 GET /p > 304 0 complete"]);
}
