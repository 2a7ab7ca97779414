//! Tests of the joiner: heads and exchanges in, hops out.

mod model;

use std::sync::Arc;

use http_decode::{
    End, Ended, Exchange, MomentPart,
    Side::{self, Client, Server},
    Timestamp, Unredacted,
};

use super::*;
use crate::{
    correlate::Connection,
    event::AddressSource,
    limits::MAX_CANDIDATES,
    output::sample::{self, field},
};

const MS: u64 = 1_000_000;
const HOLD_NS: u64 = 60_000 * MS;
const PID: u32 = 1;

/// Stands for a path that is not known, as on an HTTP/2 connection that was joined late.
const UNKNOWN: &str = "?";

/// A joiner, and what it has emitted.
pub(super) struct Bench {
    joiner: Joiner,
    pub(super) now_ns: u64,
    out: Vec<Joined>,
}

/// An exchange that a test makes.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) connection: u64,
    pub(super) ordinal: u64,
    pub(super) side: Side,
    pub(super) thread: u32,
    pub(super) path: String,
    pub(super) id: Option<String>,
    pub(super) answered_id: Option<String>,
    pub(super) trace: Option<u64>,
    pub(super) began_ns: u64,
    pub(super) head_ns: Option<u64>,
}

/// A hop as a test expects it: the ids of the downstream and of the upstream exchanges, and how each was joined.
pub(super) type Seen = (Option<String>, Vec<(String, Option<&'static str>)>, Vec<String>);

impl Bench {
    /// Creates a bench whose process has been observed for long enough.
    pub(super) fn new() -> Self {
        let mut bench = Self::with_bounds(Bounds {
            exchanges: 10_000,
            bytes: 1 << 30,
        });
        let first = bench.ask(Server, 999, "/first", None);
        bench.finish(first);
        bench.now_ns += 2 * HOLD_NS;
        bench.out.clear();
        bench
    }

    fn with_bounds(bounds: Bounds) -> Self {
        Self {
            joiner: Joiner::with_bounds(IdHeaders::default(), HOLD_NS, bounds),
            now_ns: MS,
            out: Vec::new(),
        }
    }

    /// Makes the head of a request on its own connection and on thread 1.
    pub(super) fn ask(&mut self, side: Side, connection: u64, path: &str, id: Option<&str>) -> Made {
        let made = Made {
            connection,
            ordinal: 1,
            side,
            thread: 1,
            path: path.to_owned(),
            id: id.map(str::to_owned),
            answered_id: None,
            trace: None,
            began_ns: 0,
            head_ns: None,
        };
        self.begin(made)
    }

    /// Notes the head of a request.
    pub(super) fn begin(&mut self, mut made: Made) -> Made {
        self.now_ns += MS;
        made.began_ns = self.now_ns;
        let exchange = made.exchange(None);
        let part = MomentPart::Request {
            head: Box::new(exchange.request.unwrap().head),
            began: Timestamp(made.began_ns),
            from_start: true,
        };
        self.note(&made, made.thread, part);
        made
    }

    /// Notes the head of a response.
    pub(super) fn answer(&mut self, made: &mut Made) {
        let thread = made.thread;
        self.answer_on(made, thread);
    }

    fn answer_on(&mut self, made: &mut Made, thread: u32) {
        self.now_ns += MS;
        made.head_ns = Some(self.now_ns);
        self.note(made, thread, MomentPart::Response);
    }

    fn note(&mut self, made: &Made, thread: u32, part: MomentPart) {
        let moment = Moment {
            connection: made.connection(),
            moment: http_decode::Moment {
                ordinal: made.ordinal,
                side: made.side,
                at: Timestamp(self.now_ns),
                origin: thread,
                part,
            },
        };
        self.joiner.note(&moment, self.now_ns, &mut self.out);
    }

    /// Emits the exchange, which has ended.
    pub(super) fn finish(&mut self, mut made: Made) {
        if made.head_ns.is_none() {
            self.answer(&mut made);
        }
        self.now_ns += MS;
        self.push(&made, Some(self.now_ns));
    }

    fn push(&mut self, made: &Made, ended_ns: Option<u64>) {
        let kind = ObservedKind::Exchange(Box::new(made.exchange(ended_ns)));
        self.observe(made, kind);
    }

    fn observe(&mut self, made: &Made, kind: ObservedKind) {
        let observed = Observed {
            connection: made.connection(),
            ..sample::observed(kind, AddressSource::Bio)
        };
        self.joiner.push(observed, self.now_ns, &mut self.out);
    }

    fn advance(&mut self, nanos: u64) {
        self.now_ns += nanos;
        self.joiner.advance(self.now_ns, &mut self.out);
    }

    /// Returns what was emitted since the last call.
    pub(super) fn take(&mut self) -> Vec<Seen> {
        let hops = self.out.drain(..).filter_map(|joined| match joined {
            Joined::Hop(hop) => Some(seen(&hop)),
            Joined::Other(_) => None,
        });
        hops.collect()
    }

    /// Ends the run, and returns what was emitted since the last call.
    pub(super) fn end(mut self) -> Vec<Seen> {
        self.joiner.finish(&mut self.out);
        self.take()
    }
}

impl Made {
    pub(super) fn name(&self) -> String {
        format!("{PID}-{}-{}", self.connection, self.ordinal)
    }

    fn connection(&self) -> Arc<Connection> {
        let sample = sample::observed(ObservedKind::Exchange(Box::new(sample::whole())), AddressSource::Bio);
        Arc::new(Connection {
            id: format!("{PID}-{}", self.connection),
            ..(*sample.connection).clone()
        })
    }

    fn exchange(&self, ended_ns: Option<u64>) -> Exchange {
        let mut exchange = sample::whole();
        (exchange.ordinal, exchange.side, exchange.origin) = (self.ordinal, self.side, self.thread);
        exchange.began = Timestamp(self.began_ns);
        exchange.head_at = self.head_ns.map(Timestamp);
        exchange.ended_at = ended_ns.map(Timestamp);
        exchange.ended = ended_ns.map(|_| Ended::Complete);
        let id = |id: &Option<String>| id.as_deref().map(|id| field("x-request-id", id));
        let trace = self
            .trace
            .map(|trace| format!("00-{trace:032x}-{:016x}-01", self.connection + 1));
        if let Some(request) = &mut exchange.request {
            request.head.path = (self.path != UNKNOWN).then(|| Unredacted::new(self.path.as_bytes()));
            let trace = trace.as_deref().map(|trace| field("traceparent", trace));
            request.head.fields = id(&self.id).into_iter().chain(trace).collect();
        }
        if let Some(response) = &mut exchange.response {
            response.head.fields = id(&self.answered_id).into_iter().collect();
        }
        exchange
    }
}

fn name(observed: &Observed) -> String {
    exchange_id(&observed.connection.id, exchange(observed).unwrap().ordinal)
}

fn seen(hop: &Hop) -> Seen {
    let upstreams = hop.upstreams.iter();
    (
        hop.downstream.as_deref().map(name),
        upstreams
            .map(|upstream| (name(&upstream.observed), upstream.how.map(How::name)))
            .collect(),
        hop.candidates.clone(),
    )
}

fn joined(downstream: &Made, upstreams: &[&Made], how: &'static str) -> Seen {
    let upstreams = upstreams.iter().map(|upstream| (upstream.name(), Some(how)));
    (Some(downstream.name()), upstreams.collect(), Vec::new())
}

fn alone(downstream: &Made) -> Seen {
    (Some(downstream.name()), Vec::new(), Vec::new())
}

fn ambiguous(upstream: &Made, candidates: &[&Made]) -> Seen {
    let candidates = candidates.iter().map(|candidate| candidate.name());
    (None, vec![(upstream.name(), None)], candidates.collect())
}

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
fn an_id_is_not_that_of_a_request_that_had_ended() {
    let mut bench = Bench::new();
    let before = bench.ask(Server, 1, "/", Some("a"));
    bench.finish(before.clone());
    let upstream = bench.ask(Client, 3, "/", Some("a"));
    let after = bench.ask(Server, 2, "/", Some("a"));
    bench.finish(upstream.clone());
    bench.finish(after.clone());
    assert_eq!(bench.end(), [alone(&before), ambiguous(&upstream, &[]), alone(&after)]);
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
    // It is told with what it belongs to when it comes.
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
    for pid in 10..10 + u32::try_from(MAX_PROCESSES).unwrap() {
        bench.joiner.gateways.insert(pid, Gateway::new(0));
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
