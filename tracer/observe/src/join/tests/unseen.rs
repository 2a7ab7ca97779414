//! Requests that came before the trace, were lost, or are on connections that were joined late: they may be meant by an id, too.

use http_decode::{
    Direction, Gap, GapCause, MomentPart,
    Side::{Client, Server},
};

use super::super::{IdHeaders, ObservedKind};
use super::bench::{Bench, HOLD_NS, MS, Made, alone, ambiguous, joined};
use crate::limits::MAX_AWAITED;

/// Makes a request of a client, which is not noted yet.
fn made(id: Option<&str>) -> Made {
    Made {
        connection: 1,
        ordinal: 1,
        side: Server,
        thread: 1,
        path: "/x".to_owned(),
        id: id.map(str::to_owned),
        answered_id: None,
        trace: None,
        began_ns: 0,
        head_ns: None,
    }
}

/// Makes an upstream request for a downstream one, on a connection that was open.
fn ask_upstream(bench: &mut Bench, downstream: &Made, connection: u64) -> Made {
    bench.begin(Made {
        connection,
        ordinal: 2,
        side: Client,
        answered_id: None,
        ..downstream.clone()
    })
}

/// Notes the head of the response to a request that was not seen.
fn answer_unseen(bench: &mut Bench) {
    let unseen = Made {
        connection: 99,
        ..made(None)
    };
    bench.now_ns += MS;
    bench.note(&unseen, 1, MomentPart::Response);
}

#[test]
fn an_id_alone_does_not_join_while_a_request_may_be_open_that_was_not_seen() {
    for (trace, how) in [(None, "request-id"), (Some(7), "trace-id")] {
        for is_shown in [true, false] {
            let mut bench = Bench::late();
            // Without this, the trace is the id of a request that has no other.
            bench.joiner.settings.id_headers = IdHeaders::new(vec!["x-request-id".parse().unwrap()]);
            // A client tries again, and then the gateway asks upstream for the first time, for the request from before the trace.
            let again = bench.begin(Made {
                trace,
                ..made(trace.is_none().then_some("a"))
            });
            let other = bench.ask(Server, 2, "/y", None);
            let upstream = ask_upstream(&mut bench, &again, 3);
            bench.finish(upstream.clone());
            if is_shown {
                answer_unseen(&mut bench);
            }
            bench.finish(other.clone());
            bench.finish(again.clone());
            bench.advance(2 * HOLD_NS);
            let mut seen = bench.end();
            seen.sort();
            let mut expected = vec![alone(&other)];
            if is_shown {
                expected.extend([ambiguous(&upstream, &[&again]), alone(&again)]);
            } else {
                expected.push(joined(&again, &[&upstream], how));
            }
            expected.sort();
            assert_eq!(seen, expected, "{trace:?} {is_shown}");
        }
    }
}

#[test]
fn an_id_alone_does_not_join_at_the_end_of_the_run_before_the_hold_has_passed() {
    let mut bench = Bench::late();
    let (downstream, _) = (bench.begin(made(Some("a"))), bench.ask(Server, 2, "/x", None));
    let upstream = bench.ask(Client, 3, "/x", Some("a"));
    bench.finish(upstream.clone());
    bench.finish(downstream.clone());
    assert_eq!(bench.end(), [alone(&downstream), ambiguous(&upstream, &[&downstream])]);
}

#[test]
fn an_id_and_the_order_of_heads_join_while_requests_may_be_open_that_were_not_seen() {
    for is_in_order in [true, false] {
        let mut bench = Bench::late();
        let mut downstream = bench.ask(Server, 1, "/x", Some("a"));
        let mut upstream = ask_upstream(&mut bench, &downstream, 2);
        bench.answer(&mut upstream);
        if !is_in_order {
            // The response to a request from before is passed on.
            bench.ask(Server, 3, "/y", None);
        }
        bench.answer(&mut downstream);
        bench.finish(upstream.clone());
        bench.finish(downstream.clone());
        let expected = if is_in_order {
            joined(&downstream, &[&upstream], "request-id")
        } else {
            ambiguous(&upstream, &[&downstream])
        };
        let seen = bench.end();
        assert!(seen.contains(&expected), "{is_in_order}: {seen:?}");
    }
}

#[test]
fn an_id_that_the_gateway_made_joins_from_the_first_moment_on() {
    for (of_client, trace, is_made) in [
        (None, None, true),
        (Some("of the client"), None, true),
        (Some("made"), None, false),
        // An id that is the trace's is that of the client.
        (None, Some(0xabc), false),
    ] {
        let mut bench = Bench::late();
        let id = trace.map_or("made".to_owned(), |trace: u64| format!("{trace:032x}"));
        let mut downstream = bench.begin(Made {
            trace,
            ..made(of_client)
        });
        bench.ask(Server, 2, "/x", Some("b"));
        let upstream = bench.ask(Client, 3, "/x", Some(&id));
        bench.finish(upstream.clone());
        downstream.answered_id = Some(id);
        bench.finish(downstream.clone());
        let seen = bench.end();
        let expected = joined(&downstream, &[&upstream], "request-id");
        assert_eq!(seen.contains(&expected), is_made, "{of_client:?} {trace:?}: {seen:?}");
    }
}

#[test]
fn an_id_joins_once_no_request_from_before_is_open() {
    for (passed_ns, is_joined) in [(HOLD_NS / 2, false), (HOLD_NS, true)] {
        let mut bench = Bench::late();
        let first = bench.ask(Server, 9, "/", None);
        bench.finish(first);
        bench.advance(passed_ns);
        let downstream = bench.ask(Server, 1, "/x", Some("a"));
        bench.ask(Server, 2, "/y", None);
        let upstream = bench.ask(Client, 3, "/x", Some("a"));
        bench.finish(upstream.clone());
        bench.finish(downstream.clone());
        let seen = bench.end();
        let expected = joined(&downstream, &[&upstream], "request-id");
        assert_eq!(seen.contains(&expected), is_joined, "{passed_ns}: {seen:?}");
    }
}

#[test]
fn the_response_to_a_request_that_was_not_seen_undoes_a_join_by_id() {
    for is_undone in [false, true] {
        let mut bench = Bench::new();
        let again = bench.ask(Server, 1, "/x", Some("a"));
        bench.ask(Server, 2, "/y", None);
        let mut upstream = ask_upstream(&mut bench, &again, 3);
        bench.answer(&mut upstream);
        if is_undone {
            answer_unseen(&mut bench);
        }
        bench.finish(upstream.clone());
        bench.finish(again.clone());
        let expected = if is_undone {
            ambiguous(&upstream, &[&again])
        } else {
            joined(&again, &[&upstream], "request-id")
        };
        let seen = bench.end();
        assert!(seen.contains(&expected), "{is_undone}: {seen:?}");
    }
}

#[test]
fn a_loss_leaves_open_what_it_may_hide() {
    let by_id = (Some("a"), "request-id", [true, true, true]);
    let by_order = (None, "causality", [false, false, true]);
    let by_path = (None, "path", [false, true, true]);
    for (id, how, expected) in [by_id, by_order, by_path] {
        let mut are_joined = Vec::new();
        for (direction, cause) in [
            (Direction::Read, GapCause::Lost),
            (Direction::Write, GapCause::Lost),
            (Direction::Write, GapCause::Sendfile),
        ] {
            let mut bench = Bench::new();
            let gap = Gap {
                direction,
                position: 10,
                span: 100,
                cause,
                at: None,
            };
            let other = bench.ask(Server, 2, if how == "path" { "/y" } else { "/x" }, None);
            bench.observe(&other, ObservedKind::Gap(gap));
            bench.out.clear();
            let mut downstream = bench.begin(made(id));
            let mut upstream = ask_upstream(&mut bench, &downstream, 3);
            bench.answer(&mut upstream);
            if how != "causality" {
                bench.ask(Server, 4, "/z", None);
            }
            bench.answer(&mut downstream);
            bench.finish(upstream.clone());
            bench.finish(downstream.clone());
            bench.advance(2 * HOLD_NS);
            are_joined.push(bench.end().contains(&joined(&downstream, &[&upstream], how)));
        }
        assert_eq!(are_joined, expected, "{how}");
    }
}

#[test]
fn more_upstream_exchanges_than_the_bound_do_not_wait_for_a_request_that_was_not_seen() {
    for count in [MAX_AWAITED - 1, MAX_AWAITED] {
        let mut bench = Bench::late();
        let downstream = bench.begin(made(Some("a")));
        bench.ask(Server, 2, "/y", None);
        for number in 0..count {
            bench.ask(Client, 3 + u64::try_from(number).unwrap(), "/other", Some("b"));
        }
        let upstream = bench.ask(Client, 90_000, "/x", Some("a"));
        bench.finish(upstream.clone());
        bench.finish(downstream.clone());
        let is_ambiguous = bench.take().contains(&ambiguous(&upstream, &[&downstream]));
        assert_eq!(is_ambiguous, count >= MAX_AWAITED, "{count}");
    }
}

#[test]
fn what_has_waited_is_joined_although_a_response_shows_a_request_later() {
    let mut bench = Bench::late();
    let downstream = bench.begin(made(Some("a")));
    bench.ask(Server, 2, "/y", None);
    let upstream = bench.ask(Client, 3, "/x", Some("a"));
    bench.finish(upstream.clone());
    bench.advance(2 * HOLD_NS);
    answer_unseen(&mut bench);
    assert_eq!(bench.take(), []);
    bench.finish(downstream.clone());
    assert_eq!(bench.take(), [joined(&downstream, &[&upstream], "request-id")]);
}

#[test]
fn a_hop_waits_for_an_upstream_exchange_that_came_after_its_own() {
    let mut bench = Bench::late();
    let downstream = bench.begin(made(Some("a")));
    bench.ask(Server, 2, "/y", None);
    let upstream = bench.ask(Client, 3, "/x", Some("a"));
    bench.finish(downstream.clone());
    bench.advance(HOLD_NS / 2);
    bench.finish(upstream.clone());
    bench.advance(HOLD_NS - MS);
    assert_eq!(bench.take(), []);
    bench.advance(2 * MS);
    assert_eq!(bench.take(), [joined(&downstream, &[&upstream], "request-id")]);
}
