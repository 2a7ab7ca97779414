//! Connections joined late: what is known is right, and the rest is marked as unknown.

use super::format::format_fields;
use super::tape::{READ, Tape, WRITE};
use super::wire::{END_STREAM, block, data, entry, frame, get, headers, indexed, ok, request, reset, settings};

/// A request whose head ends in references to these entries of the table, the newest being 62.
fn referring(stream: u32, path: &str, entries: &[u8]) -> Vec<u8> {
    let references: Vec<u8> = entries.iter().map(|index| entry(*index)).collect();
    frame(1, 0x5, stream, &[block(&request("GET", path)), references].concat())
}

#[test]
fn an_entry_that_was_not_seen_is_unknown_and_one_that_was_is_known() {
    let mut tape = Tape::new();
    tape.push(READ, referring(5, "/1", &[62, 63])).push(WRITE, ok(5, ""));
    let inserting = [block(&request("GET", "/2")), indexed(&[("a", "1"), ("b", "2")])].concat();
    tape.push(READ, frame(1, 0x5, 7, &inserting)).push(WRITE, ok(7, ""));
    tape.push(READ, referring(9, "/3", &[62, 63, 64]))
        .push(WRITE, ok(9, ""));
    assert_eq!(
        tape.lines(),
        [
            "5 GET /1 (2 unknown) > 200 0 complete",
            "7 GET /2 > 200 0 complete",
            "9 GET /3 (1 unknown) > 200 0 complete"
        ]
    );
    let fields = |index: usize| format_fields(&tape.exchanges()[index].request.as_ref().unwrap().head.fields);
    assert_eq!(fields(0), " [?=? ?=?]");
    assert_eq!(fields(2), " [b=2 a=1 ?=?]");
}

#[test]
fn a_name_that_was_not_seen_is_unknown_and_its_value_is_known() {
    let mut tape = Tape::new();
    // Literals whose names are entry 62: one that is inserted into the table, then a reference to it.
    let head = [block(&request("GET", "/1")), b"\x7e\x03new".to_vec(), vec![entry(62)]].concat();
    tape.push(READ, frame(1, 0x5, 5, &head)).push(WRITE, ok(5, ""));
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(format_fields(&head.fields), " [?=new ?=new]");
    assert_eq!(head.unknown, 2);
}

#[test]
fn lost_pseudo_header_fields_are_absent() {
    let mut tape = Tape::new();
    // :method and :path are references to unseen entries; :scheme is in the static table.
    tape.push(READ, frame(1, 0x5, 5, &[entry(62), 0x87, entry(63)]))
        .push(WRITE, ok(5, ""));
    assert_eq!(tape.lines(), ["5 ? ? (2 unknown) > 200 0 complete"]);
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(head.scheme.as_deref(), Some("https"));
}

#[test]
fn a_response_whose_request_came_before_is_a_half() {
    let mut tape = Tape::new();
    tape.push(WRITE, ok(5, "abc")).settle();
    tape.push(READ, get(7, "/x")).push(WRITE, ok(7, ""));
    assert_eq!(tape.lines(), ["5 > 200 3 complete", "7 GET /x > 200 0 complete"]);
}

#[test]
fn trailers_whose_head_came_before_are_a_half_with_an_unknown_head() {
    let mut tape = Tape::new();
    tape.push(READ, get(7, "/x"))
        .push(WRITE, data(5, 0, b"message"))
        .push(WRITE, headers(5, END_STREAM, &[("grpc-status", "0")]))
        .settle();
    assert_eq!(tape.lines(), ["5 > ? ? [grpc-status=0] (1 unknown) complete"]);
}

#[test]
fn a_block_that_may_be_a_head_or_trailers_leaves_the_length_unknown() {
    let last = frame(1, 0x5, 5, &[entry(62)]);
    let mut tape = Tape::new();
    tape.push(READ, get(7, "/x"))
        .push(WRITE, data(5, 0, b"message"))
        .push(WRITE, &last)
        .settle();
    assert_eq!(tape.lines(), ["5 > ? ? (1 unknown) complete"]);
    // A response to a request that was seen begins with its head.
    let mut tape = Tape::new();
    tape.push(READ, get(5, "/x")).push(WRITE, &last);
    assert_eq!(tape.lines(), ["5 GET /x > ? 0 (1 unknown) complete"]);
}

#[test]
fn the_end_of_a_request_whose_head_came_before_is_no_request() {
    let mut tape = Tape::new();
    tape.push(
        READ,
        [data(5, 0, b"more"), headers(5, END_STREAM, &[("x-sum", "1")])].concat(),
    )
    .push(WRITE, ok(5, "x"))
    .settle()
    .push(READ, get(7, "/x"))
    .push(WRITE, ok(7, ""));
    assert_eq!(tape.lines(), ["5 > 200 1 complete", "7 GET /x > 200 0 complete"]);
}

#[test]
fn a_response_of_unknown_status_is_informational_when_another_follows() {
    let mut tape = Tape::new();
    tape.push(READ, get(5, "/x"))
        .push(WRITE, frame(1, 0x4, 5, &[entry(62)]))
        .push(WRITE, ok(5, "abc"));
    assert_eq!(tape.lines(), ["5 GET /x > ? > 200 3 complete"]);
}

#[test]
fn two_blocks_that_may_be_two_heads_or_a_head_and_trailers_are_neither() {
    let blocks = [
        frame(1, 0x4, 5, &[entry(62), entry(63)]),
        frame(1, 0x5, 5, &[entry(64)]),
    ]
    .concat();
    let mut tape = Tape::new();
    tape.push(READ, get(5, "/x")).push(WRITE, blocks);
    assert_eq!(tape.lines(), ["5 GET /x > ? 0 (3 unknown) complete"]);
    assert_eq!(tape.exchanges()[0].head_at, None);
}

#[test]
fn an_upload_that_goes_on_does_not_hide_the_requests_behind_it() {
    let mut tape = Tape::new();
    // Joined within a DATA frame; then its end, another DATA frame, and a request, in calls as TLS records split them.
    tape.push(READ, [b'x'; 500])
        .push(READ, [&[b'x'; 20][..], &data(3, 0, &[b'y'; 400])].concat())
        .push(READ, data(3, 0, &[b'z'; 400]))
        .push(READ, get(5, "/x"))
        .push(WRITE, ok(5, ""));
    assert_eq!(tape.lines(), ["5 GET /x > 200 0 complete"]);
}

/// Content that begins like the header of a DATA frame of 0x609 bytes.
const LIKE_A_FRAME: &[u8] = &[0, 6, 9, 0, 0, 0, 0, 0x0b, 0];

#[test]
fn content_that_begins_like_a_frame_does_not_swallow_the_requests_behind_it() {
    // The header of the frame that this is the content of came before.
    let mut tape = Tape::new();
    tape.push(READ, LIKE_A_FRAME)
        .push(READ, get(3, "/3"))
        .push(WRITE, headers(3, END_STREAM, &[(":status", "200")]))
        .settle()
        .push(READ, get(5, "/5"))
        .push(WRITE, ok(5, "x"))
        .settle()
        .close();
    assert_eq!(tape.lines(), ["3 GET /3 > 200 0 complete", "5 GET /5 > 200 1 complete"]);
    assert!(tape.reasons().is_empty());
}

#[test]
fn a_response_waits_for_bytes_that_may_be_its_request() {
    // The head of the request is in two calls, the first of which is not enough evidence.
    let asked = headers(3, END_STREAM, &[&request("GET", "/3")[..], &[("a", "1")]].concat());
    for goes_on in [true, false] {
        let mut tape = Tape::new();
        tape.push(READ, LIKE_A_FRAME)
            .push(READ, &asked[..9])
            .push(WRITE, headers(3, END_STREAM, &[(":status", "200")]))
            .push(READ, &asked[9..])
            .settle();
        assert!(tape.lines().is_empty(), "{:?}", tape.lines());
        if goes_on {
            tape.push(READ, reset(3)).settle();
        } else {
            tape.close();
        }
        assert_eq!(tape.lines(), ["3 GET /3 > 200 0 complete"]);
    }
}

#[test]
fn a_request_that_is_decoded_after_its_response_was_emitted_is_counted() {
    let mut late = Tape::new();
    let asked = get(3, "/3");
    late.push(READ, &asked[..9])
        .push(WRITE, headers(3, 0, &[(":status", "200")]))
        .settle()
        .pass_time(2000);
    assert_eq!(late.lines(), ["3 > 200 0 goes on"]);
    late.push(READ, &asked[9..])
        .push(WRITE, data(3, END_STREAM, b"x"))
        .settle()
        .close();
    assert_eq!(late.lines(), ["3 > 200 0 goes on", "end 1 complete"]);
    assert_eq!(late.connection.counters().late_requests, 1);
}

#[test]
fn content_that_begins_like_a_frame_does_not_swallow_the_start_line_of_http1() {
    for line_first in [true, false] {
        let mut tape = Tape::new();
        tape.push(READ, LIKE_A_FRAME);
        let (asked, answered) = ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
        if line_first {
            tape.push(READ, asked).push(WRITE, answered);
        } else {
            tape.push(WRITE, answered).push(READ, asked).push(WRITE, answered);
        }
        tape.settle().close();
        let asked = tape
            .exchanges()
            .into_iter()
            .filter(|exchange| exchange.request.is_some());
        assert_eq!(asked.count(), 1);
    }
}

#[test]
fn a_stream_that_may_have_ended_before_the_connection_is_lost_and_not_closed() {
    // The response was in the lost bytes; or its end; or a reset.
    let mut tape = Tape::new();
    tape.push(READ, get(3, "/3")).push(WRITE, [0xee; 200]).close();
    assert_eq!(tape.lines(), ["3 GET /3 lost"]);
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/1"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]));
    tape.lose(WRITE, 30);
    tape.push(WRITE, [0xee; 200]).settle().close();
    assert_eq!(tape.lines(), ["1 GET /1 > 200 ? lost"]);
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/1"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]));
    tape.lose(READ, 13);
    tape.push(READ, [0xee; 200]).settle().close();
    assert_eq!(tape.lines(), ["1 GET /1 > 200 0 lost"]);
}

#[test]
fn a_stream_whose_end_may_be_within_what_only_looks_like_a_frame_is_lost() {
    // Content of a frame that came before looks like WINDOW_UPDATE and the header of a long frame of an unassigned type.
    let content = [&frame(8, 0, 0, &[0, 0, 1, 0])[..], &[0, 0x30, 0, 0x20, 0, 0, 0, 0, 0]].concat();
    let mut tape = Tape::new();
    tape.push(READ, get(3, "/3"))
        .push(WRITE, [content, ok(3, "abc")].concat())
        .close();
    assert_eq!(tape.lines(), ["3 GET /3 lost"]);
}

#[test]
fn a_frame_that_was_cut_short_behind_a_head_closes_its_stream() {
    let mut tape = Tape::new();
    tape.push(READ, [get(3, "/3"), get(5, "/5")].concat())
        .push(WRITE, ok(3, ""))
        .push(WRITE, headers(5, 0, &[(":status", "200")]))
        .push(WRITE, &data(5, END_STREAM, b"abcdef")[..12])
        .close();
    assert_eq!(tape.lines(), ["3 GET /3 > 200 0 complete", "5 GET /5 > 200 3 closed"]);
}

#[test]
fn a_connection_that_ends_first_closes_streams_that_began_behind_a_loss() {
    let mut tape = Tape::begun();
    tape.lose(WRITE, 30);
    tape.push(WRITE, settings()).settle();
    tape.push(READ, get(1, "/1")).close();
    assert_eq!(tape.lines(), ["1 GET /1 closed"]);
}

#[test]
fn the_end_of_a_response_whose_head_was_passed_over_is_no_half() {
    let mut tape = Tape::new();
    tape.push(READ, get(3, "/3"))
        .push(WRITE, [0xee; 200])
        .push(WRITE, data(3, 0, b"abc"))
        .push(WRITE, data(3, END_STREAM, b"def"));
    assert_eq!(tape.lines(), ["3 GET /3 > ? ? (1 unknown) complete"]);
    assert_eq!(tape.exchanges()[0].head_at, None);
}
