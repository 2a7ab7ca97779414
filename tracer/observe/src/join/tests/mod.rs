//! Tests of the joiner: heads and exchanges in, hops out.

mod bench;
mod ended;
mod model;
mod patience;
mod unseen;

use http_decode::{
    End, Ended,
    Side::{Client, Server},
    Timestamp,
};

use self::bench::{Bench, HOLD_NS, MS, Made, PID, UNKNOWN, alone, ambiguous, joined};
use super::*;
use crate::limits::MAX_CANDIDATES;

#[test]
fn a_request_id_joins() {
    let mut bench = Bench::new();
    let (one, other) = (
        bench.ask(Server, 1, "/", Some("a")),
        bench.ask(Server, 2, "/", Some("b")),
    );
    let (for_other, for_one) = (
        bench.ask(Client, 3, "/", Some("b")),
        bench.ask(Client, 4, "/", Some("a")),
    );
    for made in [&for_one, &one, &for_other, &other] {
        bench.finish(made.clone());
    }
    assert_eq!(
        bench.take(),
        [
            joined(&one, &[&for_one], "request-id"),
            joined(&other, &[&for_other], "request-id")
        ]
    );
}

#[test]
fn an_id_that_the_gateway_mints_is_that_of_the_response() {
    for of_client in [None, Some("replaced")] {
        let mut bench = Bench::new();
        let mut downstream = bench.ask(Server, 1, "/", of_client);
        let other = bench.ask(Server, 2, "/rewritten", None);
        let upstream = bench.ask(Client, 3, "/rewritten", Some("minted"));
        bench.finish(upstream.clone());
        downstream.answered_id = Some("minted".to_owned());
        bench.finish(downstream.clone());
        bench.finish(other.clone());
        let expected = [joined(&downstream, &[&upstream], "request-id"), alone(&other)];
        assert_eq!(bench.take(), expected, "{of_client:?}");
    }
}

#[test]
fn an_id_that_two_clients_use_at_once_needs_another_sign() {
    let mut bench = Bench::new();
    let (one, two) = (
        bench.ask(Server, 1, "/x", Some("a")),
        bench.ask(Server, 2, "/x", Some("a")),
    );
    let three = bench.ask(Server, 3, "/y", Some("a"));
    let (unclear, clear) = (
        bench.ask(Client, 4, "/x", Some("a")),
        bench.ask(Client, 5, "/y", Some("a")),
    );
    for made in [&unclear, &clear, &one, &two, &three] {
        bench.finish(made.clone());
    }
    let mut seen = bench.take();
    seen.sort();
    let mut expected = vec![
        ambiguous(&unclear, &[&one, &two]),
        alone(&one),
        alone(&two),
        joined(&three, &[&clear], "request-id"),
    ];
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn a_trace_joins_if_no_other_request_has_it() {
    let mut bench = Bench::new();
    let made = |side, connection, trace, path: &str| Made {
        connection,
        ordinal: 1,
        side,
        thread: 1,
        path: path.to_owned(),
        id: None,
        answered_id: None,
        trace: Some(trace),
        began_ns: 0,
        head_ns: None,
    };
    let headers = "x-request-id".parse().unwrap();
    bench.joiner.settings.id_headers = IdHeaders::new(vec![headers]);
    let downstream = bench.begin(made(Server, 1, 7, "/a"));
    let shared = [2, 3].map(|connection| bench.begin(made(Server, connection, 8, "/b")));
    let upstream = bench.begin(made(Client, 4, 7, "/c"));
    let unclear = bench.begin(made(Client, 5, 8, "/c"));
    for made in [&upstream, &unclear, &downstream, &shared[0], &shared[1]] {
        bench.finish(made.clone());
    }
    let seen = bench.take();
    assert!(
        seen.contains(&joined(&downstream, &[&upstream], "trace-id")),
        "{seen:?}"
    );
    assert!(
        seen.contains(&ambiguous(&unclear, &[&shared[0], &shared[1]])),
        "{seen:?}"
    );
}

#[test]
fn retries_and_fan_out_are_one_hop() {
    let mut bench = Bench::new();
    let downstream = bench.ask(Server, 1, "/", Some("a"));
    let checked = bench.ask(Client, 2, "/auth", Some("a"));
    bench.finish(checked.clone());
    let failed = bench.ask(Client, 3, "/", Some("a"));
    bench.finish(failed.clone());
    let retried = bench.ask(Client, 4, "/", Some("a"));
    bench.finish(retried.clone());
    bench.finish(downstream.clone());
    let upstreams = [&checked, &failed, &retried];
    assert_eq!(bench.take(), [joined(&downstream, &upstreams, "request-id")]);
}

#[test]
fn the_order_of_heads_joins_only_what_came_in_one_turn() {
    for broken in [None, Some("request"), Some("response"), Some("new"), Some("thread")] {
        let mut bench = Bench::new();
        let waiting = bench.ask(Server, 1, "/", None);
        let mut downstream = bench.ask(Server, 2, "/", None);
        if broken == Some("request") {
            bench.ask(Server, 9, "/other", None);
        }
        let mut upstream = bench.begin(Made {
            ordinal: if broken == Some("new") { 1 } else { 2 },
            side: Client,
            connection: 3,
            ..downstream.clone()
        });
        bench.answer(&mut upstream);
        if broken == Some("response") {
            bench.ask(Server, 9, "/other", None);
        }
        let thread = if broken == Some("thread") { 2 } else { 1 };
        if broken == Some("thread") {
            // The head of the response before it was on the same thread.
            bench.answer_on(&mut upstream, thread);
        }
        bench.answer_on(&mut downstream, thread);
        bench.push(&upstream, Some(bench.now_ns));
        bench.push(&downstream, Some(bench.now_ns));
        bench.advance(2 * HOLD_NS);
        let seen = bench.take();
        let expected = match broken {
            None => joined(&downstream, &[&upstream], "causality"),
            Some(_) => ambiguous(&upstream, &[&waiting, &downstream]),
        };
        assert!(seen.contains(&expected), "{broken:?}: {seen:?}");
    }
}

#[test]
fn the_order_of_heads_joins_a_request_whose_path_is_not_known() {
    for path in ["/x", "/other", UNKNOWN] {
        let mut bench = Bench::new();
        let waiting = bench.ask(Server, 1, "/y", None);
        let mut downstream = bench.ask(Server, 2, "/x", None);
        let mut upstream = bench.begin(Made {
            ordinal: 2,
            side: Client,
            connection: 3,
            path: path.to_owned(),
            ..downstream.clone()
        });
        bench.answer(&mut upstream);
        bench.answer(&mut downstream);
        bench.push(&upstream, Some(bench.now_ns));
        bench.push(&downstream, Some(bench.now_ns));
        bench.finish(waiting.clone());
        let seen = bench.take();
        let is_joined = seen.contains(&joined(&downstream, &[&upstream], "causality"));
        assert_eq!(is_joined, path != "/other", "{path}: {seen:?}");
    }
}

#[test]
fn a_path_joins_if_no_other_request_has_it() {
    let mut bench = Bench::new();
    let (one, two) = (bench.ask(Server, 1, "/x", None), bench.ask(Server, 2, "/y", None));
    let (for_two, for_one) = (bench.ask(Client, 3, "/y", None), bench.ask(Client, 4, "/x", None));
    for made in [&for_one, &for_two, &one, &two] {
        bench.finish(made.clone());
    }
    assert_eq!(
        bench.take(),
        [joined(&one, &[&for_one], "path"), joined(&two, &[&for_two], "path")]
    );
}

#[test]
fn a_path_does_not_join_while_requests_may_be_open_that_were_not_seen() {
    let mut bench = Bench::with_bounds(Bounds {
        exchanges: 100,
        bytes: 1 << 20,
    });
    let downstream = bench.ask(Server, 1, "/x", None);
    let upstream = bench.ask(Client, 2, "/x", None);
    bench.finish(upstream.clone());
    bench.finish(downstream.clone());
    assert_eq!(bench.end(), [alone(&downstream), ambiguous(&upstream, &[&downstream])]);

    // A response to a request from before shows that one was open.
    let mut bench = Bench::new();
    let downstream = bench.ask(Server, 1, "/x", None);
    let upstream = bench.ask(Client, 2, "/x", None);
    let unseen = Made {
        connection: 5,
        ..downstream.clone()
    };
    bench.push(&unseen, Some(bench.now_ns));
    bench.finish(upstream.clone());
    bench.finish(downstream.clone());
    let seen = bench.end();
    assert!(seen.contains(&ambiguous(&upstream, &[&downstream])), "{seen:?}");
    assert!(seen.contains(&alone(&unseen)), "{seen:?}");
}

#[test]
fn a_downstream_exchange_waits_for_its_upstream_exchanges_and_no_longer_than_the_hold() {
    let mut bench = Bench::new();
    let downstream = bench.ask(Server, 1, "/", Some("a"));
    let mirrored = bench.ask(Client, 2, "/", Some("a"));
    bench.finish(downstream.clone());
    assert_eq!(bench.take(), []);
    bench.advance(HOLD_NS / 2);
    assert_eq!(bench.take(), []);
    bench.advance(HOLD_NS);
    assert_eq!(bench.take(), [alone(&downstream)]);
    // It is printed with what it belongs to when it comes.
    bench.finish(mirrored.clone());
    let late = (
        None,
        vec![(mirrored.name(), Some("request-id"))],
        vec![downstream.name()],
    );
    assert_eq!(bench.take(), [late]);
    assert_eq!(bench.end(), []);
}

#[test]
fn an_exchange_that_waits_for_addresses_is_in_its_hop_however_short_the_hold() {
    let mut bench = Bench::new();
    bench.joiner.settings.hold_ns = 0;
    let downstream = bench.ask(Server, 1, "/", Some("a"));
    let upstream = bench.ask(Client, 2, "/", Some("a"));
    bench.finish(downstream.clone());
    bench.advance(ADDRESS_NS - MS);
    assert_eq!(bench.take(), []);
    // What is held back until now comes at the end of a batch, after the batch's records.
    bench.now_ns += ADDRESS_NS;
    let other = bench.ask(Server, 3, "/", Some("b"));
    bench.finish(other.clone());
    assert_eq!(bench.take(), [alone(&other)]);
    bench.finish(upstream.clone());
    assert_eq!(bench.take(), [joined(&downstream, &[&upstream], "request-id")]);
}

#[test]
fn the_end_of_an_exchange_that_waits_is_added_to_it() {
    let mut bench = Bench::new();
    let mut downstream = bench.ask(Server, 1, "/", Some("a"));
    let upstream = bench.ask(Client, 2, "/", Some("a"));
    bench.answer(&mut downstream);
    bench.push(&downstream, None);
    let end = End {
        ordinal: 1,
        began: Timestamp(downstream.began_ns),
        ended_at: Timestamp(bench.now_ns),
        ended: Ended::Reset,
        body_bytes: Some(77),
        trailers: http_decode::Fields::default(),
        events: None,
    };
    bench.observe(&downstream, ObservedKind::End(Box::new(end.clone())));
    assert!(bench.out.is_empty());
    bench.finish(upstream);
    let [Joined::Hop(hop)] = &bench.out[..] else {
        panic!("{:?}", bench.out);
    };
    let exchange = hop.exchanges().next().unwrap();
    assert_eq!(
        (exchange.ended, exchange.ended_at),
        (Some(Ended::Reset), Some(end.ended_at))
    );
    assert_eq!(exchange.response.as_ref().unwrap().body_bytes, Some(77));
}

#[test]
fn an_end_behind_its_hop_is_passed_on_and_closes_the_exchange() {
    let mut bench = Bench::new();
    let mut stream = bench.ask(Server, 1, "/", Some("a"));
    bench.answer(&mut stream);
    bench.push(&stream, None);
    assert_eq!(bench.take(), [alone(&stream)]);
    let end = End {
        ordinal: 1,
        began: Timestamp(stream.began_ns),
        ended_at: Timestamp(bench.now_ns),
        ended: Ended::Complete,
        body_bytes: None,
        trailers: http_decode::Fields::default(),
        events: None,
    };
    // It is open, so it may still ask.
    let upstream = bench.ask(Client, 2, "/", Some("a"));
    bench.observe(&stream, ObservedKind::End(Box::new(end)));
    assert!(matches!(&bench.out[..], [Joined::Other(_)]), "{:?}", bench.out);
    bench.finish(upstream.clone());
    let late = (None, vec![(upstream.name(), Some("request-id"))], vec![stream.name()]);
    assert_eq!(bench.take(), [late]);
    assert!(bench.joiner.kept.is_empty(), "{:?}", bench.joiner.kept);
}

#[test]
fn processes_of_which_nothing_is_kept_are_forgotten_at_the_bound() {
    let mut bench = Bench::new();
    let settings = bench.joiner.settings.clone();
    for pid in 10..10 + u32::try_from(MAX_PROCESSES).unwrap() {
        bench.joiner.gateways.insert(pid, Gateway::new(0, &settings));
    }
    bench.joiner.make_room(PID);
    assert!(bench.joiner.gateways.len() > MAX_PROCESSES);
    bench.joiner.make_room(9);
    assert!(bench.joiner.gateways.is_empty());
}

#[test]
fn what_is_kept_is_bounded_in_number_and_bytes() {
    for bounds in [
        Bounds {
            exchanges: 10,
            bytes: usize::MAX,
        },
        Bounds {
            exchanges: usize::MAX,
            bytes: 20_000,
        },
    ] {
        let mut bench = Bench::with_bounds(bounds);
        bench.settle();
        let mut made = Vec::new();
        for connection in 0..100 {
            // Each waits for one that does not come.
            let id = connection.to_string();
            let downstream = bench.ask(Server, 2 * connection, "/", Some(&id));
            let mut upstream = bench.ask(Client, 2 * connection + 1, "/", Some(&id));
            bench.answer(&mut upstream);
            bench.push(&downstream, Some(bench.now_ns));
            made.push(downstream);
            assert!(bench.joiner.kept.len() <= bounds.exchanges && bench.joiner.bytes <= bounds.bytes);
        }
        assert!(bench.joiner.forced() > 0);
        let seen = bench.end();
        assert_eq!(seen.len(), 100);
        assert!(made.iter().all(|made| seen.contains(&alone(made))));
    }
}

#[test]
fn if_more_requests_are_open_than_are_compared_only_an_id_joins() {
    for more in [false, true] {
        let mut bench = Bench::new();
        let open = if more { MAX_CANDIDATES + 1 } else { MAX_CANDIDATES };
        let open: Vec<Made> = (0..u64::try_from(open).unwrap())
            .map(|connection| {
                let path = format!("/{connection}");
                bench.ask(Server, connection, &path, Some(&path))
            })
            .collect();
        let by_id = bench.ask(Client, 5000, "/rewritten", open.last().unwrap().id.as_deref());
        let by_path = bench.ask(Client, 5001, "/7", None);
        bench.finish(by_id.clone());
        bench.finish(by_path.clone());
        for made in &open {
            bench.finish(made.clone());
        }
        let seen = bench.take();
        assert!(seen.contains(&joined(open.last().unwrap(), &[&by_id], "request-id")));
        assert_eq!(seen.contains(&joined(&open[7], &[&by_path], "path")), !more);
        assert_eq!(seen.contains(&ambiguous(&by_path, &[&open[7]])), more);
    }
}

#[test]
fn nothing_is_kept_of_what_is_over() {
    let mut bench = Bench::new();
    for connection in 0..50 {
        let id = connection.to_string();
        let downstream = bench.ask(Server, 2 * connection, "/", Some(&id));
        let upstream = bench.ask(Client, 2 * connection + 1, "/", Some(&id));
        bench.finish(upstream);
        bench.finish(downstream);
    }
    assert_eq!(bench.take().len(), 50);
    assert_eq!((bench.joiner.kept.len(), bench.joiner.bytes), (0, 0));
    let gateway = &bench.joiner.gateways[&PID];
    assert!(gateway.is_empty());
}
