//! Exchanges on the streams of a connection that was traced from its start.

use super::tape::{READ, Tape, WRITE};
use super::wire::{END_STREAM, data, frame, get, goaway, headers, hello, ok, promise, request, reset, settings};

#[test]
fn streams_interleave() {
    let mut tape = Tape::begun();
    tape.push(READ, [get(1, "/1"), get(3, "/3")].concat())
        .push(WRITE, headers(3, 0, &[(":status", "200")]))
        .push(WRITE, headers(1, 0, &[(":status", "404")]))
        .push(WRITE, data(3, 0, b"abc"))
        .push(WRITE, data(1, END_STREAM, b"no"))
        .push(WRITE, data(3, END_STREAM, b"def"));
    assert_eq!(tape.lines(), ["1 GET /1 > 404 2 complete", "3 GET /3 > 200 6 complete"]);
}

#[test]
fn pseudo_header_fields_become_parts_of_the_head() {
    let mut tape = Tape::begun();
    let fields = [
        &request("GET", "/x?y")[..],
        &[("accept", "*/*"), ("cookie", "a"), ("cookie", "b")],
    ]
    .concat();
    tape.push(READ, headers(1, END_STREAM, &fields)).push(WRITE, ok(1, ""));
    let exchange = tape.exchanges()[0];
    let head = &exchange.request.as_ref().unwrap().head;
    assert_eq!(head.scheme.as_deref(), Some("https"));
    assert_eq!(head.authority().unwrap().expose(), b"a.test");
    assert_eq!(
        super::format::format_fields(&head.fields),
        " [accept=*/* cookie=a cookie=b]"
    );
    assert_eq!((exchange.origin, exchange.ordinal), (7, 1));
    assert!(exchange.began < exchange.head_at.unwrap());
}

#[test]
fn host_is_the_authority_where_there_is_no_other() {
    let mut tape = Tape::begun();
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        ("host", "b.test"),
    ];
    tape.push(READ, headers(1, END_STREAM, &fields)).push(WRITE, ok(1, ""));
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(head.authority().unwrap().expose(), b"b.test");
}

#[test]
fn bodies_trailers_and_informational_responses_are_reported() {
    let mut tape = Tape::begun();
    tape.push(READ, headers(1, 0, &request("POST", "/x")))
        .push(WRITE, headers(1, 0, &[(":status", "100")]))
        .push(READ, data(1, 0, b"12345"))
        .push(READ, headers(1, END_STREAM, &[("x-sum", "5")]))
        .push(WRITE, headers(1, 0, &[(":status", "103"), ("link", "</a>")]))
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(WRITE, data(1, 0, b"xy"))
        .push(WRITE, headers(1, END_STREAM, &[("grpc-status", "0")]));
    assert_eq!(
        tape.lines(),
        ["1 POST /x 5 [x-sum=5] > 100 > 103 > 200 2 [grpc-status=0] complete"]
    );
}

#[test]
fn padding_is_no_content() {
    let mut tape = Tape::begun();
    let padded = frame(0, 0x8 | END_STREAM, 1, &[&[3][..], b"body", &[0; 3]].concat());
    tape.push(READ, get(1, "/"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(WRITE, padded);
    assert_eq!(tape.lines(), ["1 GET / > 200 4 complete"]);
}

#[test]
fn a_response_that_ends_before_its_request_is_emitted_once_settled() {
    let mut tape = Tape::begun();
    tape.push(READ, headers(1, 0, &request("POST", "/x")))
        .push(READ, data(1, 0, b"123"))
        .push(WRITE, ok(1, "no"));
    assert!(tape.lines().is_empty());
    assert!(tape.connection.unsettled());
    tape.settle().push(READ, data(1, END_STREAM, b"456"));
    assert_eq!(tape.lines(), ["1 POST /x 3 > 200 2 complete"]);
}

#[test]
fn a_reset_by_either_side_ends_a_stream() {
    for side in [READ, WRITE] {
        let mut tape = Tape::begun();
        tape.push(READ, [get(1, "/1"), get(3, "/3")].concat())
            .push(WRITE, headers(1, 0, &[(":status", "200")]))
            .push(WRITE, data(1, 0, b"part"))
            .push(side, [reset(1), reset(3)].concat())
            .settle();
        assert_eq!(tape.lines(), ["1 GET /1 > 200 4 reset", "3 GET /3 reset"]);
    }
}

#[test]
fn a_request_is_active_until_its_stream_ends() {
    let mut tape = Tape::begun();
    let active = |tape: &Tape| tape.connection.active_requests().count();
    tape.push(READ, [get(1, "/1"), get(3, "/3"), get(5, "/5")].concat());
    assert_eq!(active(&tape), 3);
    tape.push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(WRITE, data(1, 0, b"part"))
        .push(READ, reset(3));
    assert_eq!(active(&tape), 2);
    // The first exchange is emitted, and goes on.
    tape.now += 10_000;
    tape.push(WRITE, data(1, 0, b"part"));
    assert_eq!(active(&tape), 2);
    tape.push(WRITE, [data(1, END_STREAM, b""), ok(5, "")].concat());
    assert_eq!(active(&tape), 0);
}

#[test]
fn a_response_in_flight_when_its_request_is_reset_is_no_exchange_of_its_own() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/")).push(READ, reset(1)).settle();
    tape.push(WRITE, ok(1, "late")).settle().close();
    assert_eq!(tape.lines(), ["1 GET / reset"]);
}

#[test]
fn a_reset_that_arrives_before_its_request_counts() {
    let mut tape = Tape::begun();
    tape.now += 100;
    tape.push(WRITE, reset(1));
    tape.now -= 100;
    tape.push(READ, get(1, "/"));
    tape.now += 100;
    tape.settle();
    assert_eq!(tape.lines(), ["1 GET / reset"]);
}

#[test]
fn a_response_in_flight_when_an_unseen_request_is_reset_is_no_exchange() {
    let mut tape = Tape::begun();
    tape.push(READ, reset(1)).push(WRITE, ok(1, "late")).settle().close();
    assert!(tape.lines().is_empty(), "{:?}", tape.lines());
}

#[test]
fn content_of_a_request_counts_until_its_exchange_is_emitted() {
    let mut tape = Tape::begun();
    tape.push(
        READ,
        [headers(1, 0, &request("POST", "/")), data(1, 0, b"abc")].concat(),
    )
    .push(WRITE, ok(1, ""))
    .push(READ, data(1, END_STREAM, b"def"));
    assert_eq!(tape.lines(), ["1 POST / 6 > 200 0 complete"]);
}

#[test]
fn a_reset_behind_a_complete_response_changes_nothing() {
    let mut tape = Tape::begun();
    tape.push(READ, headers(1, 0, &request("POST", "/x")))
        .push(WRITE, ok(1, "early"))
        .push(WRITE, reset(1))
        .settle();
    assert_eq!(tape.lines(), ["1 POST /x > 200 5 complete"]);
}

#[test]
fn a_push_is_an_exchange_whose_request_the_server_made_up() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"))
        .push(WRITE, promise(1, 2, &request("GET", "/style.css")))
        .push(WRITE, ok(1, "page"))
        .push(WRITE, ok(2, "style"));
    assert_eq!(
        tape.lines(),
        ["1 GET / > 200 4 complete", "2 GET /style.css > 200 5 complete"]
    );
}

#[test]
fn streams_above_the_last_stream_of_goaway_are_closed() {
    let mut tape = Tape::begun();
    tape.push(READ, [get(1, "/1"), get(3, "/3")].concat())
        .push(WRITE, goaway(1))
        .settle();
    assert_eq!(tape.lines(), ["3 GET /3 closed"]);
    tape.push(WRITE, ok(1, ""));
    assert_eq!(tape.lines()[1], "1 GET /1 > 200 0 complete");
}

#[test]
fn a_tunnel_is_opaque() {
    let mut tape = Tape::begun();
    let websocket = [&request("CONNECT", "/chat")[..], &[(":protocol", "websocket")]].concat();
    let connect = [(":method", "CONNECT"), (":authority", "b.test:443")];
    tape.push(
        READ,
        [
            headers(1, 0, &websocket),
            headers(3, 0, &connect),
            headers(5, 0, &connect),
        ]
        .concat(),
    )
    .push(WRITE, headers(1, 0, &[(":status", "200")]))
    .push(WRITE, headers(3, 0, &[(":status", "200")]))
    .push(WRITE, headers(5, 0, &[(":status", "403")]))
    .push(READ, data(1, 0, b"\x81\x85frame"))
    .push(
        WRITE,
        [
            data(1, 0, b"frame"),
            data(1, END_STREAM, b""),
            data(5, END_STREAM, b"no"),
        ]
        .concat(),
    )
    .settle()
    .close();
    assert_eq!(
        tape.lines(),
        [
            "1 CONNECT /chat > 200 0 upgraded",
            "3 CONNECT ? > 200 0 upgraded",
            "5 CONNECT ? > 403 2 complete"
        ]
    );
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(head.protocol_upgrade.as_deref(), Some("websocket"));
    assert!(tape.reasons().is_empty());
}

#[test]
fn an_exchange_that_goes_on_is_emitted_after_the_hold_and_its_end_follows() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(WRITE, data(1, 0, b"ab"))
        .pass_time(500);
    assert!(tape.lines().is_empty());
    tape.pass_time(1000)
        .push(WRITE, data(1, 0, b"cd"))
        .push(WRITE, headers(1, END_STREAM, &[("grpc-status", "5")]));
    assert_eq!(
        tape.lines(),
        ["1 GET / > 200 2 goes on", "end 4 [grpc-status=5] complete"]
    );
}

#[test]
fn open_streams_are_closed_with_the_connection() {
    let mut tape = Tape::begun();
    tape.push(READ, [get(1, "/1"), get(3, "/3")].concat())
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .close();
    assert_eq!(tape.lines(), ["1 GET /1 > 200 0 closed", "3 GET /3 closed"]);
}

#[test]
fn a_response_that_arrives_before_its_request_waits_for_it() {
    let mut tape = Tape::begun();
    let [read, write] = tape.positions;
    let asked = get(1, "/x");
    tape.lose(READ, asked.len());
    tape.push(WRITE, ok(1, "yes"));
    assert!(tape.lines().is_empty());
    assert_eq!(tape.positions[1], write + ok(1, "yes").len() as u64);
    let chunk = http_decode::Chunk {
        position: read,
        at: http_decode::Timestamp(1),
        origin: 7,
        call_start: true,
        bytes: &asked,
    };
    tape.connection.push(READ, chunk);
    tape.drain();
    assert_eq!(tape.lines(), ["1 GET /x > 200 3 complete"]);
}

#[test]
fn never_indexed_fields_are_marked() {
    let mut tape = Tape::begun();
    let block = [
        super::wire::block(&[(":method", "GET"), (":scheme", "https")]),
        super::wire::never_indexed(&[(":path", "/secret"), ("x-key", "hunter2")]),
    ]
    .concat();
    tape.push(READ, frame(1, 0x5, 1, &block)).push(WRITE, ok(1, ""));
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert!(head.never_indexed.path && !head.never_indexed.authority);
    assert!(head.fields.get("x-key").unwrap().never_indexed);
}

#[test]
fn a_second_preface_voids_unanswered_requests() {
    // The server rejected early data: the client sends its request again, with an empty table.
    let asked = |path: &str| {
        frame(
            1,
            0x5,
            1,
            &[
                super::wire::block(&request("GET", path)),
                super::wire::indexed(&[("a", path)]),
            ]
            .concat(),
        )
    };
    let mut tape = Tape::new();
    tape.push(READ, [hello(), asked("/early")].concat())
        .push(READ, [hello(), asked("/early")].concat())
        .push(WRITE, [settings(), ok(1, "x")].concat());
    let next = [
        super::wire::block(&request("GET", "/next")),
        vec![super::wire::entry(62)],
    ]
    .concat();
    tape.push(READ, frame(1, 0x5, 3, &next)).push(WRITE, ok(3, "")).close();
    assert_eq!(
        tape.lines(),
        ["1 GET /early > 200 1 complete", "3 GET /next > 200 0 complete"]
    );
    let head = &tape.exchanges()[1].request.as_ref().unwrap().head;
    assert_eq!(super::format::format_fields(&head.fields), " [a=/early]");
    assert_eq!(tape.reasons(), [http_decode::Reason::Restarted]);
    assert_eq!(tape.connection.counters().requests_void, 1);
}

#[test]
fn exchanges_from_before_a_second_preface_are_emitted_before_it() {
    // The response has begun, so the server received the request, and how it ends is unknown.
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/before"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(READ, [hello(), get(1, "/after")].concat())
        .push(WRITE, [settings(), ok(1, "")].concat())
        .close();
    assert_eq!(
        tape.lines(),
        ["1 GET /before > 200 0 lost", "1 GET /after > 200 0 complete"]
    );
    let order: Vec<_> = tape
        .outputs
        .iter()
        .map(|output| {
            matches!(
                output,
                http_decode::Output::Undecoded(_, _, http_decode::Reason::Restarted)
            )
        })
        .collect();
    assert_eq!(order, [false, true, false]);
}

#[test]
fn content_that_is_a_preface_is_content() {
    let mut tape = Tape::begun();
    tape.push(
        READ,
        [
            headers(1, 0, &request("POST", "/x")),
            data(1, END_STREAM, super::wire::PREFACE),
        ]
        .concat(),
    )
    .push(WRITE, ok(1, ""));
    assert_eq!(tape.lines(), ["1 POST /x 24 > 200 0 complete"]);
    assert!(tape.reasons().is_empty());
}
