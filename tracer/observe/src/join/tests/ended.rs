//! Upstream requests that begin when the response to the downstream one is over.

use http_decode::Side::{Client, Server};

use super::bench::{Bench, HOLD_NS, MS, Made, Seen, alone, ambiguous, joined};

/// An upstream exchange that was joined with a downstream one that had been emitted.
fn late(upstream: &Made, downstream: &Made) -> Seen {
    (
        None,
        vec![(upstream.name(), Some("request-id"))],
        vec![downstream.name()],
    )
}

#[test]
fn a_request_id_joins_a_request_that_had_ended() {
    let mut bench = Bench::new();
    let before = bench.ask(Server, 1, "/", Some("a"));
    bench.finish(before.clone());
    let open = bench.ask(Server, 2, "/", Some("b"));
    let mirrored = bench.ask(Client, 3, "/mirror", Some("a"));
    let after = bench.ask(Server, 4, "/", Some("a"));
    for made in [&mirrored, &open, &after] {
        bench.finish(made.clone());
    }
    let mut seen = bench.end();
    seen.sort();
    let mut expected = [alone(&before), late(&mirrored, &before), alone(&open), alone(&after)];
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn a_minted_id_joins_a_request_that_had_ended() {
    let mut bench = Bench::new();
    let mut before = bench.ask(Server, 1, "/", Some("of the client"));
    before.answered_id = Some("minted".to_owned());
    bench.finish(before.clone());
    let mirrored = bench.ask(Client, 3, "/mirror", Some("minted"));
    bench.finish(mirrored.clone());
    assert_eq!(bench.end(), [alone(&before), late(&mirrored, &before)]);
}

#[test]
fn a_request_that_had_ended_and_waits_is_emitted_with_a_late_one() {
    let mut bench = Bench::new();
    let downstream = bench.ask(Server, 1, "/", Some("a"));
    let upstream = bench.ask(Client, 2, "/", Some("a"));
    bench.finish(downstream.clone());
    let mirrored = bench.ask(Client, 3, "/mirror", Some("a"));
    bench.finish(mirrored.clone());
    assert_eq!(bench.take(), []);
    bench.finish(upstream.clone());
    assert_eq!(
        bench.end(),
        [joined(&downstream, &[&upstream, &mirrored], "request-id")]
    );
}

#[test]
fn an_open_request_with_the_id_is_meant_before_one_that_had_ended() {
    let mut bench = Bench::new();
    let failed = bench.ask(Server, 1, "/", Some("a"));
    bench.finish(failed.clone());
    let again = bench.ask(Server, 2, "/", Some("a"));
    let upstream = bench.ask(Client, 3, "/", Some("a"));
    bench.finish(upstream.clone());
    bench.finish(again.clone());
    assert_eq!(
        bench.end(),
        [alone(&failed), joined(&again, &[&upstream], "request-id")]
    );
}

#[test]
fn a_late_request_is_alone_if_two_that_had_ended_have_its_id() {
    let mut bench = Bench::new();
    for connection in [1, 2] {
        let before = bench.ask(Server, connection, "/", Some("a"));
        bench.finish(before);
    }
    bench.take();
    let upstream = bench.ask(Client, 3, "/", Some("a"));
    bench.finish(upstream.clone());
    assert_eq!(bench.end(), [ambiguous(&upstream, &[])]);
}

#[test]
fn a_late_request_is_alone_if_a_request_without_an_id_is_open() {
    let mut bench = Bench::new();
    let before = bench.ask(Server, 1, "/", Some("a"));
    bench.finish(before);
    bench.take();
    let open = bench.ask(Server, 2, "/other", None);
    let upstream = bench.ask(Client, 3, "/", Some("a"));
    bench.finish(upstream.clone());
    bench.finish(open.clone());
    assert_eq!(bench.end(), [alone(&open), ambiguous(&upstream, &[&open])]);
}

#[test]
fn a_late_request_is_alone_if_requests_may_be_open_that_were_not_seen() {
    let mut bench = Bench::new();
    let before = bench.ask(Server, 1, "/", Some("a"));
    bench.finish(before.clone());
    bench.take();
    let unseen = Made {
        connection: 9,
        ..before
    };
    bench.push(&unseen, Some(bench.now_ns));
    bench.take();
    let upstream = bench.ask(Client, 3, "/", Some("a"));
    bench.finish(upstream.clone());
    assert_eq!(bench.end(), [ambiguous(&upstream, &[])]);
}

#[test]
fn a_request_that_ended_too_long_ago_is_not_meant() {
    for (passed_ns, is_joined) in [(HOLD_NS - 2 * MS, true), (HOLD_NS + MS, false)] {
        let mut bench = Bench::new();
        let before = bench.ask(Server, 1, "/", Some("a"));
        bench.finish(before.clone());
        bench.take();
        bench.advance(passed_ns);
        let upstream = bench.ask(Client, 3, "/", Some("a"));
        bench.finish(upstream.clone());
        let expected = if is_joined {
            late(&upstream, &before)
        } else {
            ambiguous(&upstream, &[])
        };
        assert_eq!(bench.end(), [expected]);
    }
}
