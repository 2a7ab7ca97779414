//! Malformed header blocks: what is well-formed in them is reported.

use super::tape::{READ, Tape, WRITE};
use super::wire::{END_STREAM, data, frame, get, headers, ok, request};

#[test]
fn a_malformed_head_keeps_its_well_formed_fields_and_the_table_stays_right() {
    let get = ":method";
    let cases: [(&[(&str, &str)], &str); 13] = [
        // Some gateways take a pseudo-header field behind others.
        (
            &[(get, "GET"), (":scheme", "https"), ("x", "y"), (":path", "/1")],
            "GET /1 (PseudoHeader) [x=y]",
        ),
        (
            &[(get, "GET"), (get, "PUT"), (":scheme", "https"), (":path", "/1")],
            "GET /1 (1 unknown, PseudoHeader)",
        ),
        (
            &[(get, "G T"), (":scheme", "https"), (":path", "/1")],
            "? /1 (1 unknown, PseudoHeader)",
        ),
        (
            &[(get, "GET"), (":scheme", "https"), (":path", "/1"), ("X-Upper", "y")],
            "GET /1 (1 unknown, Field)",
        ),
        (
            &[
                (get, "GET"),
                (":scheme", "https"),
                (":path", "/1"),
                ("", "y"),
                ("z", "1"),
            ],
            "GET /1 (1 unknown, Field) [z=1]",
        ),
        (
            &[
                (get, "GET"),
                (":scheme", "https"),
                (":path", "/1"),
                ("a", "line\r\nbreak"),
            ],
            "GET /1 (1 unknown, Field)",
        ),
        (
            &[(get, "GET"), (":unknown", "y"), (":scheme", "https"), (":path", "/1")],
            "GET /1 (1 unknown, PseudoHeader)",
        ),
        (
            &[(get, "GET"), (":scheme", "https"), (":path", "/1"), (":status", "200")],
            "GET /1 (PseudoHeader)",
        ),
        (&[(":scheme", "https"), (":path", "/1")], "? /1 (PseudoHeader)"),
        (&[(get, "GET"), (":path", "/1")], "GET /1 (PseudoHeader)"),
        (&[("x", "y")], "? ? (2 unknown, PseudoHeader)"),
        // What is about one connection is as it was sent: many gateways only ignore it.
        (
            &[
                (get, "GET"),
                (":scheme", "https"),
                (":path", "/1"),
                ("connection", "close"),
                ("te", "gzip"),
            ],
            "GET /1 [connection=close te=gzip]",
        ),
        (&[(get, "CONNECT"), (":authority", "a:1")], "CONNECT ?"),
    ];
    for (fields, expected) in cases {
        let mut tape = Tape::begun();
        let block = [super::wire::block(fields), super::wire::indexed(&[("a", "b")])].concat();
        let next = [
            super::wire::block(&request("GET", "/next")),
            vec![super::wire::entry(62)],
        ]
        .concat();
        tape.push(READ, frame(1, 0x5, 1, &block))
            .push(READ, frame(1, 0x5, 3, &next))
            .push(
                WRITE,
                [headers(1, END_STREAM, &[(":status", "400")]), ok(3, "")].concat(),
            );
        let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
        let fields = super::format::format_fields(&head.fields)
            .replace(" a=b", "")
            .replace(" [a=b]", "");
        let lines = format!("{}{fields}", tape.lines()[0]);
        assert_eq!(lines.replace(" > 400 0 complete", ""), format!("1 {expected}"));
        assert_eq!(tape.lines()[1], "3 GET /next > 200 0 complete");
        let head = &tape.exchanges()[1].request.as_ref().unwrap().head;
        assert_eq!(super::format::format_fields(&head.fields), " [a=b]");
        assert!(tape.reasons().is_empty());
        let malformed = u64::from(expected.contains('('));
        assert_eq!(tape.connection.counters().malformed_heads, malformed, "{expected}");
    }
}

#[test]
fn a_malformed_response_is_a_response() {
    for (head, expected) in [
        (
            &[("server", "x"), (":status", "200")][..],
            "1 GET / > 200 0 (PseudoHeader) complete",
        ),
        // Nothing in it is a response's: its fields may be anything.
        (&[("server", "x")], "1 GET / > ? 0 (1 unknown, PseudoHeader) complete"),
        (&[(":status", "20")], "1 GET / > ? 0 (1 unknown, PseudoHeader) complete"),
        (
            &[(":status", "200"), (":path", "/")],
            "1 GET / > 200 0 (PseudoHeader) complete",
        ),
        (
            &[(":status", "200"), ("Server", "x")],
            "1 GET / > 200 0 (1 unknown, Field) complete",
        ),
    ] {
        let mut tape = Tape::begun();
        tape.push(READ, get(1, "/")).push(WRITE, headers(1, END_STREAM, head));
        assert_eq!(tape.lines(), [expected]);
    }
    // The head of a request instead, or what HPACK refuses.
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"))
        .push(WRITE, headers(1, END_STREAM, &request("GET", "/")));
    assert_eq!(tape.lines(), ["1 GET / > ? ? (1 unknown) complete"]);
    assert_eq!(tape.reasons(), [http_decode::Reason::MalformedHead]);
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"))
        .push(WRITE, frame(1, 0x5, 1, &[0x88, 0x80]));
    assert_eq!(tape.lines(), ["1 GET / > 200 0 (1 unknown, HeaderBlock) complete"]);
}

#[test]
fn a_status_among_trailers_makes_no_other_response() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(WRITE, data(1, 0, b"abc"))
        .push(WRITE, headers(1, 0, &[(":status", "404")]))
        .push(
            WRITE,
            headers(1, END_STREAM, &[(":status", "500"), ("grpc-status", "0")]),
        );
    assert_eq!(tape.lines(), ["1 GET / > 200 3 [grpc-status=0] complete"]);
}
