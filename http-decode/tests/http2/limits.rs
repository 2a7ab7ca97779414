//! Every limit of HTTP/2, at its bound and one beyond, and its counter; and hostile peers.

use http_decode::Limits;

use super::tape::{READ, Tape, WRITE};
use super::wire::{END_HEADERS, END_STREAM, block, data, entry, frame, get, headers, indexed, ok, request, settings};

#[test]
fn max_streams_are_open_and_no_more() {
    let limits = Limits {
        max_streams: 3,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::with(limits);
    tape.push(READ, super::wire::hello()).push(WRITE, settings());
    tape.push(READ, [get(1, "/1"), get(3, "/3"), get(5, "/5")].concat());
    assert_eq!(tape.connection.counters().streams_given_up, 0);
    tape.push(READ, get(7, "/7"));
    assert_eq!(tape.connection.counters().streams_given_up, 1);
    assert_eq!(tape.lines(), ["1 GET /1 lost"]);
    tape.push(WRITE, [ok(1, "late"), ok(7, "")].concat()).settle();
    assert_eq!(tape.lines()[1..], ["7 GET /7 > 200 0 complete"]);
}

#[test]
fn max_stream_bytes_are_kept_and_no_more() {
    let limits = Limits {
        max_stream_bytes: 20_000,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::with(limits);
    tape.push(READ, super::wire::hello()).push(WRITE, settings());
    let path = format!("/{}", "x".repeat(6000));
    tape.push(READ, [get(1, &path), get(3, &path)].concat());
    assert_eq!(tape.connection.counters().streams_given_up, 0);
    tape.push(READ, get(5, &path));
    assert_eq!(tape.connection.counters().streams_given_up, 1);
}

#[test]
fn a_block_may_have_max_head_bytes_and_max_fields_and_no_more() {
    let limits = Limits {
        max_fields: 5,
        max_head_bytes: 1000,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::with(limits);
    tape.push(READ, super::wire::hello()).push(WRITE, settings());
    tape.push(READ, headers(1, END_STREAM, &with(&[("a", "1")])))
        .push(WRITE, ok(1, ""));
    assert_eq!(tape.connection.counters().heads_cut, 0);
    tape.push(
        READ,
        headers(3, END_STREAM, &with(&[("a", "1"), ("b", "2"), ("c", "3")])),
    )
    .push(WRITE, ok(3, ""));
    assert_eq!(tape.connection.counters().heads_cut, 1);
    tape.push(READ, headers(5, END_STREAM, &with(&[("a", &"x".repeat(2000))])))
        .push(WRITE, ok(5, ""))
        .close();
    assert_eq!(
        tape.lines(),
        [
            "1 GET / > 200 0 complete",
            "3 GET / (2 unknown) > 200 0 complete",
            "5 GET / (1 unknown) > 200 0 complete"
        ]
    );
    assert_eq!(tape.connection.counters().heads_cut, 2);
}

#[test]
fn max_scanned_bytes_are_scanned_and_no_more() {
    let limits = Limits {
        max_scanned_bytes: 1000,
        ..Limits::DEFAULT
    };
    let large = data(1, 0, &[b'x'; 4000]);
    let mut tape = Tape::with(limits);
    tape.push(READ, &large[..1000]);
    assert_eq!(tape.connection.counters().discarded_bytes, 0);
    tape.push_part(READ, &large[1000..1001], false);
    assert_eq!(tape.connection.counters().discarded_bytes, 1001);
}

#[test]
fn entries_over_max_table_bytes_become_unknown() {
    let limits = Limits {
        max_table_bytes: 100,
        ..Limits::DEFAULT
    };
    let mut tape = Tape::with(limits);
    tape.push(READ, super::wire::hello()).push(WRITE, settings());
    let inserting = [
        block(&request("GET", "/1")),
        indexed(&[("a", "1"), ("b", "2"), ("c", "3")]),
    ]
    .concat();
    let referring = [block(&request("GET", "/3")), vec![entry(62), entry(63), entry(64)]].concat();
    tape.push(
        READ,
        [frame(1, 0x5, 1, &inserting), frame(1, 0x5, 3, &referring)].concat(),
    )
    .push(WRITE, ok(3, ""));
    let head = &tape.exchanges()[0].request.as_ref().unwrap().head;
    assert_eq!(super::format::format_fields(&head.fields), " [c=3 b=2 ?=?]");
}

/// CVE-2024-27316, CVE-2019-9518, CVE-2023-44487, CVE-2016-6581: what costs an endpoint much costs us little.
#[test]
fn hostile_peers_stay_within_the_memory_limit() {
    let mut tape = Tape::begun();
    tape.push(READ, frame(1, 0, 1, &block(&request("GET", "/"))));
    for _ in 0..2000 {
        tape.push(READ, frame(9, 0, 1, &[0x40; 1000]));
    }
    tape.push(READ, frame(9, END_HEADERS, 1, b""));
    for _ in 0..100 {
        tape.push(READ, data(1, 0, b"").repeat(1000));
    }
    for stream in (3..20_003).step_by(2) {
        tape.push(READ, [get(stream, "/"), super::wire::reset(stream)].concat());
    }
    let bomb = [
        block(&request("GET", "/bomb")),
        indexed(&[("a", &"x".repeat(3000))]),
        vec![entry(62); 10_000],
    ]
    .concat();
    for stream in (30_001..30_201).step_by(2) {
        tape.push(READ, frame(1, 0x5, stream, &bomb));
    }
    tape.close();
    let counters = tape.connection.counters();
    assert_eq!((counters.heads_cut, counters.empty_frames), (101, 100_000));
    assert!(tape.exchanges().iter().all(|exchange| {
        let fields = &exchange.request.as_ref().unwrap().head.fields;
        fields.held_bytes() < 256 * 1024
    }));
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&request("GET", "/")[..], more].concat()
}
