//! Gaps: the parts that they take are marked as unknown, and the rest is reported.

use http_decode::{Gap, GapCause, STRETCH};

use super::format::format_fields;
use super::tape::{READ, Tape, WRITE};
use super::wire::{END_STREAM, block, data, entry, frame, get, headers, hello, indexed, ok, request, settings};

#[test]
fn a_gap_within_content_is_counted_as_content() {
    let mut tape = Tape::begun();
    let body = data(1, END_STREAM, &[b'x'; 100]);
    tape.push(READ, get(1, "/"))
        .push(WRITE, headers(1, 0, &[(":status", "200")]))
        .push(WRITE, &body[..20]);
    tape.lose(WRITE, 60);
    tape.push_part(WRITE, &body[80..], false).settle();
    assert_eq!(tape.lines(), ["1 GET / > 200 100 complete"]);
}

#[test]
fn a_gap_in_one_direction_does_not_affect_the_table_of_the_other() {
    let mut tape = Tape::begun();
    let inserting = [block(&request("GET", "/1")), indexed(&[("a", "1")])].concat();
    tape.push(READ, frame(1, 0x5, 1, &inserting)).push(WRITE, ok(1, ""));
    tape.lose(WRITE, 50);
    tape.push(WRITE, settings()).settle();
    let referring = [block(&request("GET", "/3")), vec![entry(62)]].concat();
    tape.push(READ, frame(1, 0x5, 3, &referring)).push(WRITE, ok(3, ""));
    assert_eq!(tape.lines()[1], "3 GET /3 > 200 0 complete");
    let head = &tape.exchanges()[1].request.as_ref().unwrap().head;
    assert_eq!(format_fields(&head.fields), " [a=1]");
}

#[test]
fn after_a_gap_in_a_header_block_the_table_is_forgotten_and_recovers() {
    let mut tape = Tape::begun();
    let inserting = |path: &str| [block(&request("GET", path)), indexed(&[("a", "1")])].concat();
    let referring = |path: &str| [block(&request("GET", path)), vec![entry(62)]].concat();
    tape.push(READ, frame(1, 0x5, 1, &inserting("/1")))
        .push(WRITE, ok(1, ""));
    // Its beginning arrived, and the frame header shows where it ends.
    let cut = frame(1, 0x5, 3, &inserting("/3"));
    tape.push(READ, &cut[..cut.len() - 5]);
    tape.lose(READ, 5);
    tape.push(READ, frame(1, 0x5, 5, &referring("/5"))).settle();
    tape.push(READ, frame(1, 0x5, 7, &inserting("/7")))
        .push(READ, frame(1, 0x5, 9, &referring("/9")))
        .push(WRITE, [ok(3, ""), ok(5, ""), ok(7, ""), ok(9, "")].concat());
    assert_eq!(
        tape.lines(),
        [
            "1 GET /1 > 200 0 complete",
            "3 GET /3 (1 unknown) > 200 0 complete",
            "5 GET /5 (1 unknown) > 200 0 complete",
            "7 GET /7 > 200 0 complete",
            "9 GET /9 > 200 0 complete"
        ]
    );
}

#[test]
fn after_a_gap_over_frames_decoding_resumes_at_the_next_call() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/1"));
    tape.lose(READ, get(3, "/3").len());
    tape.push(READ, get(5, "/5")).settle();
    tape.push(WRITE, [ok(1, "a"), ok(3, "b"), ok(5, "c")].concat()).settle();
    assert_eq!(
        tape.lines(),
        [
            "1 GET /1 > 200 1 complete",
            "5 GET /5 > 200 1 complete",
            "3 > 200 1 complete"
        ]
    );
}

#[test]
fn a_response_whose_end_was_lost_is_emitted_as_lost_after_a_while() {
    let mut tape = Tape::begun();
    tape.push(READ, [get(1, "/1"), get(3, "/3")].concat())
        .push(WRITE, headers(1, 0, &[(":status", "200")]));
    tape.lose(WRITE, 40);
    tape.push(WRITE, ok(3, "x")).settle();
    tape.pass_time(20_000);
    assert_eq!(
        tape.lines(),
        ["3 GET /3 > 200 1 complete", "1 GET /1 > 200 ? goes on", "end ? lost"]
    );
}

#[test]
fn bytes_over_the_limit_of_a_call_ended_when_the_call_did() {
    let mut tape = Tape::begun();
    let body = data(1, END_STREAM, &[b'x'; 100]);
    tape.push(READ, get(1, "/")).push(
        WRITE,
        [headers(1, 0, &[(":status", "200")]), body[..50].to_vec()].concat(),
    );
    let gap = Gap {
        direction: WRITE,
        position: tape.lose(WRITE, 59),
        span: 59,
        cause: GapCause::OverLimit,
        at: None,
    };
    tape.connection.gap(gap);
    tape.drain();
    assert_eq!(tape.lines(), ["1 GET / > 200 100 complete"]);
}

#[test]
fn a_block_behind_a_gap_that_may_be_a_head_or_trailers_leaves_the_length_unknown() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"));
    tape.lose(WRITE, 300);
    tape.push(WRITE, [frame(1, 0x5, 1, &[entry(62)]), settings()].concat())
        .settle();
    assert_eq!(tape.lines(), ["1 GET / > ? ? (1 unknown) complete"]);
}

#[test]
fn the_rest_of_a_block_behind_a_gap_is_no_other_exchange() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/"));
    let head = frame(1, END_STREAM, 1, &block(&[(":status", "200"), ("a", "0123456789")]));
    tape.push(WRITE, &head[..head.len() - 5]);
    tape.lose(WRITE, 5 + 9 + 10);
    let rest = frame(9, 0x4, 1, &block(&[("b", "2")]));
    tape.push(WRITE, [rest, settings()].concat()).settle().close();
    assert_eq!(tape.lines(), ["1 GET / > 200 0 (1 unknown) complete"]);
}

#[test]
fn garbage_in_a_direction_costs_no_more_than_the_streams_in_it() {
    let mut tape = Tape::begun();
    tape.push(READ, get(1, "/1"))
        .push(WRITE, frame(6, 0, 0, b"no ping"))
        .push(WRITE, [0xee; 64])
        .push(WRITE, ok(1, "x"))
        .push(READ, get(3, "/3"))
        .push(WRITE, ok(3, "y"));
    assert_eq!(tape.reasons(), [http_decode::Reason::MalformedFrame]);
    assert_eq!(tape.lines()[1..], ["3 GET /3 > 200 1 complete"]);
    assert_eq!(tape.connection.counters().malformed_frames, 1);
}

#[test]
fn a_loss_before_it_is_known_which_side_asks_is_not_forgotten() {
    let mut tape = Tape::new();
    tape.push(WRITE, [settings(), frame(4, 1, 0, &[])].concat());
    let position = tape.lose(WRITE, 30);
    tape.connection.gap(Gap {
        direction: WRITE,
        position,
        span: STRETCH,
        cause: GapCause::Lost,
        at: None,
    });
    tape.push(READ, [hello(), get(1, "/1")].concat()).close();
    assert_eq!(tape.lines(), ["1 GET /1 lost"]);
}
