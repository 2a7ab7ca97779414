//! Connections joined late: what is known is right, and what is not is marked.

use super::wire::{END_STREAM, block, data, entry, frame, get, headers, indexed, ok, request};
use super::{READ, Tape, WRITE, tell_fields};

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
        tape.told(),
        [
            "5 GET /1 (2 unknown) > 200 0 complete",
            "7 GET /2 > 200 0 complete",
            "9 GET /3 (1 unknown) > 200 0 complete"
        ]
    );
    let fields = |index: usize| tell_fields(&tape.exchanges()[index].request.as_ref().unwrap().head.fields);
    assert_eq!(fields(0), " [?=? ?=?]");
    assert_eq!(fields(2), " [b=2 a=1 ?=?]");
}

#[test]
fn a_name_that_was_not_seen_is_unknown_and_its_value_is_known() {
    let mut tape = Tape::new();
    // Literals whose names are entry 62: one that enters the table, then a reference to it.
    let head = [block(&request("GET", "/1")), b"\x7e\x03new".to_vec(), vec![entry(62)]].concat();
    tape.push(READ, frame(1, 0x5, 5, &head)).push(WRITE, ok(5, ""));
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(tell_fields(&head.fields), " [?=new ?=new]");
    assert_eq!(head.unknown, 2);
}

#[test]
fn lost_pseudo_header_fields_are_absent() {
    let mut tape = Tape::new();
    // :method and :path come from the table, :scheme is known to everybody.
    tape.push(READ, frame(1, 0x5, 5, &[entry(62), 0x87, entry(63)]))
        .push(WRITE, ok(5, ""));
    assert_eq!(tape.told(), ["5 ? ? (2 unknown) > 200 0 complete"]);
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(head.scheme.as_deref(), Some("https"));
}

#[test]
fn a_response_whose_request_came_before_is_a_half() {
    let mut tape = Tape::new();
    tape.push(WRITE, ok(5, "abc")).settle();
    tape.push(READ, get(7, "/x")).push(WRITE, ok(7, ""));
    assert_eq!(tape.told(), ["5 > 200 3 complete", "7 GET /x > 200 0 complete"]);
}

#[test]
fn trailers_whose_head_came_before_are_a_half_with_an_unknown_head() {
    let mut tape = Tape::new();
    tape.push(READ, get(7, "/x"))
        .push(WRITE, data(5, 0, b"message"))
        .push(WRITE, headers(5, END_STREAM, &[("grpc-status", "0")]))
        .settle();
    assert_eq!(tape.told(), ["5 > ? ? [grpc-status=0] (1 unknown) complete"]);
}

#[test]
fn what_may_be_a_head_or_trailers_tells_no_length() {
    let last = frame(1, 0x5, 5, &[entry(62)]);
    let mut tape = Tape::new();
    tape.push(READ, get(7, "/x"))
        .push(WRITE, data(5, 0, b"message"))
        .push(WRITE, &last)
        .settle();
    assert_eq!(tape.told(), ["5 > ? ? (1 unknown) complete"]);
    // A response to a request that was seen begins with its head.
    let mut tape = Tape::new();
    tape.push(READ, get(5, "/x")).push(WRITE, &last);
    assert_eq!(tape.told(), ["5 GET /x > ? 0 (1 unknown) complete"]);
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
    assert_eq!(tape.told(), ["5 > 200 1 complete", "7 GET /x > 200 0 complete"]);
}

#[test]
fn what_seemed_a_final_response_is_an_informational_one_when_another_follows() {
    let mut tape = Tape::new();
    tape.push(READ, get(5, "/x"))
        .push(WRITE, frame(1, 0x4, 5, &[entry(62)]))
        .push(WRITE, ok(5, "abc"));
    assert_eq!(tape.told(), ["5 GET /x > ? > 200 3 complete"]);
}

#[test]
fn an_upload_that_goes_on_does_not_hide_the_requests_behind_it() {
    let mut tape = Tape::new();
    // Joined within a DATA frame; then its end, another DATA frame, and a request, in calls as TLS records part them.
    tape.push(READ, [b'x'; 500])
        .push(READ, [&[b'x'; 20][..], &data(3, 0, &[b'y'; 400])].concat())
        .push(READ, data(3, 0, &[b'z'; 400]))
        .push(READ, get(5, "/x"))
        .push(WRITE, ok(5, ""));
    assert_eq!(tape.told(), ["5 GET /x > 200 0 complete"]);
}
