//! Tests of moments: heads as soon as they are complete, before their exchanges are emitted.

use super::*;
use crate::{MAX_MOMENTS, MomentPart};

/// Returns each moment as `ordinal path`, or `ordinal -` for a response, with the time.
fn moments(tape: &mut Tape) -> Vec<(String, u64)> {
    let text = |moment: &Moment| match &moment.part {
        MomentPart::Request { head, .. } => {
            let path = head.path.as_ref().map_or(&b""[..], |path| path.expose());
            format!("{} {}", moment.ordinal, String::from_utf8_lossy(path))
        }
        MomentPart::Response => format!("{} -", moment.ordinal),
    };
    let moments = tape.connection.take_moments();
    moments.iter().map(|moment| (text(moment), moment.at.0)).collect()
}

#[test]
fn a_head_is_a_moment_once_it_is_complete() {
    let mut tape = Tape::new();
    tape.connection.keep_moments();
    tape.connection.mark_from_start();
    let request = get("/x");
    let (first, rest) = request.split_at(10);
    tape.push(READ, first);
    assert!(moments(&mut tape).is_empty());
    tape.push(READ, rest);
    let taken = tape.connection.take_moments();
    let [request] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!(
        (request.ordinal, request.side, request.at, request.origin),
        (1, Side::Server, Timestamp(20), 7)
    );
    let MomentPart::Request { began, from_start, .. } = &request.part else {
        panic!("{request:?}")
    };
    assert_eq!((*began, *from_start), (Timestamp(10), true));
    // An informational response is none.
    tape.push(WRITE, "HTTP/1.1 103 Early Hints\r\n\r\n");
    assert!(moments(&mut tape).is_empty());
    tape.push(WRITE, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12");
    assert_eq!(moments(&mut tape), [("1 -".to_owned(), 40)]);
    assert!(tape.lines().is_empty(), "the exchange goes on");
    tape.push(WRITE, "345");
    assert_eq!(tape.lines(), ["/x 200 5"]);
    assert!(moments(&mut tape).is_empty());
}

#[test]
fn each_request_of_a_pipeline_is_a_moment() {
    let mut tape = Tape::new();
    tape.connection.keep_moments();
    tape.push(READ, get("/1") + &get("/2"));
    tape.push(WRITE, ok("") + &ok("x"));
    let texts: Vec<_> = moments(&mut tape).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["1 /1", "2 /2", "1 -", "2 -"]);
}

#[test]
fn moments_are_kept_only_if_asked_for() {
    let mut tape = Tape::new();
    tape.push(READ, get("/")).push(WRITE, ok(""));
    assert!(moments(&mut tape).is_empty());
    assert_eq!(tape.connection.counters().moments_dropped, 0);
}

#[test]
fn moments_are_bounded_and_dropped_ones_counted() {
    let mut tape = Tape::new();
    tape.connection.keep_moments();
    for _ in 0..=MAX_MOMENTS / 2 {
        tape.push(READ, get("/")).push(WRITE, ok(""));
        tape.outputs();
    }
    assert_eq!(tape.connection.take_moments().len(), MAX_MOMENTS);
    assert_eq!(tape.connection.counters().moments_dropped, 2);
}
