//! Every limit at its bound and one beyond, and its counter.

use http_decode::{Chunk, Connection, Ended, Gap, GapCause, Limits, Output, Reason, Settings, Timestamp};

use super::tape::{GET, READ, Tape, WRITE, ok};

#[test]
fn a_start_line_may_have_max_head_bytes_and_no_more() {
    let limits = Limits {
        max_head_bytes: 100,
        ..Limits::DEFAULT
    };
    for (length, fits) in [(102, true), (103, false)] {
        for step in [1, 7, 1000] {
            let head = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(length - 18));
            let mut tape = Tape::new(limits);
            tape.push(READ, GET).push(WRITE, ok(""));
            for part in head.as_bytes().chunks(step) {
                tape.push(READ, part);
            }
            tape.push(WRITE, ok("")).settle();
            assert_eq!(
                tape.undecoded(),
                if fits { vec![] } else { vec![Reason::MalformedHead] }
            );
            assert_eq!(tape.exchanges().len(), 2);
            assert_eq!(tape.exchanges()[1].request.is_some(), fits);
        }
    }
}

#[test]
fn a_head_is_cut_at_max_fields() {
    let limits = Limits {
        max_fields: 10,
        ..Limits::DEFAULT
    };
    for (count, fits) in [(10, true), (11, false)] {
        let mut tape = Tape::new(limits);
        tape.push(READ, format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count)))
            .push(WRITE, ok(""));
        assert_eq!(tape.undecoded(), []);
        let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
        assert_eq!((head.fields.len(), head.unknown), (10, u32::from(!fits)));
        assert_eq!(tape.counters().heads_cut, u64::from(!fits));
    }
}

#[test]
fn a_head_is_cut_at_max_head_bytes_at_the_end_of_a_field() {
    let limits = Limits {
        max_head_bytes: 100,
        ..Limits::DEFAULT
    };
    // The request line and four fields, one of them folded, fill the room but for ten bytes.
    let head = format!(
        "GET /xy HTTP/1.1\r\n{}c: secret\r\n d\r\n",
        "a: bcdefghijklmno\r\n".repeat(3)
    );
    assert_eq!(head.len(), 90);
    for (rest, fields, unknown) in [
        ("e: f\r\n\r\n", 5, 0),
        ("e: fghij\r\n\r\n", 5, 0),
        ("e: fghijk\r\n\r\n", 4, 1),
        ("e: secret\r\n f: g\r\nh: i\r\n\r\n", 4, 2),
        (" e: secret\r\n\r\n", 3, 1),
        ("e: fgh\r\nContent-Length: 4\r\n\r\n", 5, 1),
    ] {
        for step in [1, 7, 1000] {
            let mut tape = Tape::new(limits);
            tape.push(READ, GET).push(WRITE, ok(""));
            for part in [&head, rest].concat().as_bytes().chunks(step) {
                tape.push(READ, part);
            }
            let framed = !rest.contains("Content-Length");
            tape.push(WRITE, ok("")).push(READ, GET).push(WRITE, ok("")).settle();
            assert_eq!(tape.exchanges().len(), 3, "{rest:?} by {step}");
            let request = tape.exchanges()[1].request.as_ref().unwrap();
            let head = &request.head;
            assert_eq!(
                (head.fields.len(), head.unknown),
                (fields, unknown),
                "{rest:?} by {step}"
            );
            assert_eq!(request.body_bytes, framed.then_some(0), "{rest:?} by {step}");
            assert_eq!(tape.counters().heads_cut, u64::from(head.unknown > 0));
        }
    }
}

#[test]
fn a_trailer_section_may_have_max_fields_and_no_more() {
    let limits = Limits {
        max_fields: 10,
        ..Limits::DEFAULT
    };
    for (count, fits) in [(10, true), (11, false)] {
        let mut tape = Tape::new(limits);
        let trailers = "A: b\r\n".repeat(count);
        tape.push(READ, GET);
        tape.push(
            WRITE,
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}\r\n"),
        );
        let ended = if fits { Ended::Complete } else { Ended::Lost };
        assert_eq!(tape.exchanges()[0].ended, Some(ended));
        assert_eq!(tape.counters().heads_too_large, u64::from(!fits));
    }
}

#[test]
fn max_blank_bytes_may_come_before_a_start_line_and_no_more() {
    for (count, fits) in [(64, true), (66, false)] {
        let mut tape = Tape::new(Limits::DEFAULT);
        tape.push(READ, GET).push(WRITE, ok(""));
        tape.push(READ, "\r\n".repeat(count / 2) + GET).push(WRITE, ok(""));
        assert_eq!(tape.counters().malformed_heads, u64::from(!fits));
        assert_eq!(tape.exchanges().len(), if fits { 2 } else { 1 });
    }
}

#[test]
fn a_chunk_line_may_have_max_chunk_line_bytes_and_no_more() {
    let limits = Limits {
        max_chunk_line_bytes: 50,
        ..Limits::DEFAULT
    };
    for (length, fits) in [(50, true), (51, false)] {
        for step in [1, 1000] {
            let mut tape = Tape::new(limits);
            tape.push(READ, GET)
                .push(WRITE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let line = format!("0;{}\r\n\r\n", "x".repeat(length - 3));
            for part in line.as_bytes().chunks(step) {
                tape.push(WRITE, part);
            }
            assert_eq!(tape.counters().malformed_bodies, u64::from(!fits), "{length} by {step}");
        }
    }
}

#[test]
fn max_held_bytes_wait_for_missing_bytes_and_no_more() {
    let limits = Limits {
        max_held_bytes: 1000,
        ..Limits::DEFAULT
    };
    for (length, fits) in [(1000, true), (1001, false)] {
        let mut tape = Tape::new(limits);
        tape.push(READ, GET)
            .push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n");
        let position = tape.positions[1] + 5;
        tape.push_at(WRITE, position, &vec![b'x'; length - 500]);
        tape.push_at(WRITE, position + length as u64 - 500, &[b'x'; 500]);
        assert_eq!(tape.counters().gaps_forced, u64::from(!fits));
        assert_eq!(tape.gaps().len(), usize::from(!fits));
        assert_eq!(tape.connection.unsettled(), fits);
    }
}

#[test]
fn bytes_that_find_no_room_become_a_gap_with_its_own_cause() {
    let limits = Limits {
        max_held_bytes: 1000,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::new(limits);
    tape.push(READ, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
        .push(READ, vec![b'x'; 800])
        .push(READ, vec![b'x'; 300]);
    assert_eq!(tape.counters().dropped_bytes, 300);
    let position = tape.positions[0] - 300;
    tape.push(WRITE, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        tape.gaps(),
        [Gap {
            direction: READ,
            position,
            span: 300,
            cause: GapCause::Dropped,
            at: None,
        }]
    );
}

#[test]
fn max_held_chunks_wait_and_no_more() {
    let limits = Limits {
        max_held_chunks: 8,
        ..Limits::DEFAULT
    };
    for (count, fits) in [(8, true), (9, false)] {
        let mut tape = Tape::new(limits);
        tape.push(READ, GET);
        for index in 0..count {
            tape.push_at(READ, 1000 + index * 10, b"x");
        }
        assert_eq!(tape.counters().gaps_forced, u64::from(!fits));
    }
}

#[test]
fn max_pending_requests_wait_and_no_more() {
    let limits = Limits {
        max_pending: 5,
        ..Limits::DEFAULT
    };
    for (count, fits) in [(5, true), (6, false)] {
        let mut tape = Tape::new(limits);
        tape.push(READ, GET.repeat(count));
        assert_eq!(
            tape.undecoded(),
            if fits { vec![] } else { vec![Reason::TooManyPending] }
        );
        assert_eq!(tape.exchanges().len(), if fits { 0 } else { 6 });
        assert_eq!(tape.counters().pending_overflows, u64::from(!fits));
    }
}

#[test]
fn max_pending_bytes_of_requests_wait_and_no_more() {
    let limits = Limits {
        max_pending_bytes: 10_000,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::new(limits);
    tape.push(READ, GET.repeat(9));
    assert_eq!(tape.counters().pending_overflows, 0);
    tape.push(READ, GET);
    assert_eq!((tape.counters().pending_overflows, tape.exchanges().len()), (1, 10));
}

#[test]
fn max_informational_responses_are_kept_and_the_rest_is_counted() {
    let mut tape = Tape::new(Limits::DEFAULT);
    tape.push(READ, GET)
        .push(WRITE, "HTTP/1.1 102 Processing\r\n\r\n".repeat(17) + &ok(""));
    assert_eq!(tape.exchanges()[0].informational.len(), 16);
    assert_eq!(tape.counters().informational_dropped, 1);
}

#[test]
fn after_max_unrecognised_bytes_a_connection_is_not_http_and_not_decoded() {
    let limits = Limits {
        max_unrecognised_bytes: 100,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::new(limits);
    tape.connection.mark_from_start();
    tape.push(READ, [0xff; 100]);
    assert_eq!(tape.undecoded(), []);
    tape.push(READ, [0xff]).push(WRITE, [0xff; 9]).push(READ, [0xff; 9]);
    assert_eq!(tape.outputs, [Output::Undecoded(READ, 0, Reason::NotHttp)]);
    assert_eq!(tape.connection.skippable_until(WRITE), Some(u64::MAX));
    tape.push(READ, GET).settle().push(WRITE, ok("")).settle();
    assert_eq!(tape.exchanges().len(), 0);
}

#[test]
fn decoding_pauses_at_max_queued_bytes_until_outputs_are_taken() {
    let limits = Limits {
        max_queued_bytes: 5000,
        ..Limits::DEFAULT
    };
    let mut connection = Connection::new(Settings {
        limits,
        ..Settings::default()
    });
    let requests = GET.repeat(100);
    let responses = ok("").repeat(100);
    for (direction, bytes) in [(READ, &requests), (WRITE, &responses)] {
        let chunk = Chunk {
            position: 0,
            at: Timestamp(1),
            origin: 0,
            call_start: true,
            bytes: bytes.as_bytes(),
        };
        connection.push(direction, chunk);
    }
    assert!(connection.counters().exchanges < 10);
    assert_eq!(std::iter::from_fn(|| connection.poll()).count(), 100);
}
