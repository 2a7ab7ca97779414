//! A joiner on a bench: exchanges that a test makes, and hops as it expects them.

use std::sync::Arc;

use http_decode::{
    Ended, Exchange, MomentPart,
    Side::{self, Server},
    Timestamp, Unredacted,
};

use super::super::*;
use crate::{
    correlate::Connection,
    event::AddressSource,
    output::sample::{self, field},
};

pub(super) const MS: u64 = 1_000_000;
pub(super) const HOLD_NS: u64 = 60_000 * MS;
pub(super) const PID: u32 = 1;

/// Stands for a path that is not known, as on an HTTP/2 connection that was joined late.
pub(super) const UNKNOWN: &str = "?";

/// A joiner, and what it has emitted.
pub(super) struct Bench {
    pub(super) joiner: Joiner,
    pub(super) now_ns: u64,
    /// Whether connections are seen from their beginning on.
    pub(super) from_start: bool,
    pub(super) out: Vec<Joined>,
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
        let mut bench = Self::late();
        bench.settle();
        bench
    }

    /// Lets pass what a process is observed for until no requests are open that were not seen.
    pub(super) fn settle(&mut self) {
        let first = self.ask(Server, 999, "/first", None);
        self.finish(first);
        self.now_ns += 2 * HOLD_NS;
        self.out.clear();
    }

    /// Creates a bench whose trace begins, so that requests may be open that were not seen.
    pub(super) fn late() -> Self {
        Self::with_bounds(Bounds {
            exchanges: 10_000,
            bytes: 1 << 30,
        })
    }

    pub(super) fn with_bounds(bounds: Bounds) -> Self {
        Self {
            joiner: Joiner::with_bounds(IdHeaders::default(), HOLD_NS, bounds),
            now_ns: MS,
            from_start: true,
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
            from_start: self.from_start,
        };
        self.note(&made, made.thread, part);
        made
    }

    /// Notes the head of a response.
    pub(super) fn answer(&mut self, made: &mut Made) {
        let thread = made.thread;
        self.answer_on(made, thread);
    }

    pub(super) fn answer_on(&mut self, made: &mut Made, thread: u32) {
        self.now_ns += MS;
        made.head_ns = Some(self.now_ns);
        self.note(made, thread, MomentPart::Response);
    }

    pub(super) fn note(&mut self, made: &Made, thread: u32, part: MomentPart) {
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

    pub(super) fn push(&mut self, made: &Made, ended_ns: Option<u64>) {
        let kind = ObservedKind::Exchange(Box::new(made.exchange(ended_ns)));
        self.observe(made, kind);
    }

    pub(super) fn observe(&mut self, made: &Made, kind: ObservedKind) {
        let observed = Observed {
            connection: made.connection(),
            ..sample::observed(kind, AddressSource::Bio)
        };
        self.joiner.push(observed, self.now_ns, &mut self.out);
    }

    pub(super) fn advance(&mut self, nanos: u64) {
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

    pub(super) fn connection(&self) -> Arc<Connection> {
        let sample = sample::observed(ObservedKind::Exchange(Box::new(sample::whole())), AddressSource::Bio);
        Arc::new(Connection {
            id: format!("{PID}-{}", self.connection),
            ..(*sample.connection).clone()
        })
    }

    pub(super) fn exchange(&self, ended_ns: Option<u64>) -> Exchange {
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

pub(super) fn name(observed: &Observed) -> String {
    exchange_id(&observed.connection.id, exchange(observed).unwrap().ordinal)
}

pub(super) fn seen(hop: &Hop) -> Seen {
    let upstreams = hop.upstreams.iter();
    (
        hop.downstream.as_deref().map(name),
        upstreams
            .map(|upstream| (name(&upstream.observed), upstream.how.map(How::name)))
            .collect(),
        hop.candidates.clone(),
    )
}

pub(super) fn joined(downstream: &Made, upstreams: &[&Made], how: &'static str) -> Seen {
    let upstreams = upstreams.iter().map(|upstream| (upstream.name(), Some(how)));
    (Some(downstream.name()), upstreams.collect(), Vec::new())
}

pub(super) fn alone(downstream: &Made) -> Seen {
    (Some(downstream.name()), Vec::new(), Vec::new())
}

pub(super) fn ambiguous(upstream: &Made, candidates: &[&Made]) -> Seen {
    let candidates = candidates.iter().map(|candidate| candidate.name());
    (None, vec![(upstream.name(), None)], candidates.collect())
}
