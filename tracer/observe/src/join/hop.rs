//! Hops: exchanges of a gateway that belong together.

use http_decode::{End, Exchange};

use crate::correlate::{Observed, ObservedKind};

/// A downstream exchange with the upstream exchanges that the gateway made because of it, or an exchange that is alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hop {
    /// The downstream exchange.
    pub downstream: Option<Box<Observed>>,
    /// The upstream exchanges, in the order of their first bytes.
    pub upstreams: Vec<Upstream>,
    /// The ids of the downstream exchanges that an upstream exchange without one may belong to, up to a bound.
    pub candidates: Vec<String>,
}

/// An upstream exchange of a hop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// The exchange.
    pub observed: Box<Observed>,
    /// How it was joined, if it was.
    pub how: Option<How>,
    /// Whether its connection had been used before, if that is known.
    pub reused: Option<bool>,
}

http_decode::named_enum! {
    /// What joined an upstream exchange.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum How {
        /// The request id.
        RequestId => "request-id",
        /// The trace id.
        TraceId => "trace-id",
        /// The order of heads in an event loop.
        Causality => "causality",
        /// The method and the path.
        Path => "path",
    }
}

impl Hop {
    /// Makes a hop of an exchange that is alone, and of which nothing was noted before.
    pub(super) fn alone(observed: Observed) -> Self {
        let observed = Box::new(observed);
        match side(&observed) {
            Some(http_decode::Side::Client) => Self {
                upstreams: vec![Upstream {
                    observed,
                    how: None,
                    reused: None,
                }],
                ..Self::default()
            },
            Some(http_decode::Side::Server) | None => Self {
                downstream: Some(observed),
                ..Self::default()
            },
        }
    }

    /// Returns the exchanges: the downstream one first.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.observed);
        self.downstream.iter().chain(upstreams).filter_map(|one| exchange(one))
    }

    pub(super) fn held_bytes(&self) -> usize {
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.observed);
        self.downstream.iter().chain(upstreams).map(|one| held_bytes(one)).sum()
    }
}

/// Returns the exchange that was observed, if it is one.
pub(crate) fn exchange(observed: &Observed) -> Option<&Exchange> {
    match &observed.kind {
        ObservedKind::Exchange(exchange) => Some(exchange),
        ObservedKind::End(_) | ObservedKind::Gap(_) | ObservedKind::Connection(_) => None,
    }
}

fn side(observed: &Observed) -> Option<http_decode::Side> {
    exchange(observed).map(|exchange| exchange.side)
}

/// Adds the end of an exchange to it.
pub(super) fn add_end(observed: &mut Observed, end: &End) {
    let End {
        ordinal: _,
        began: _,
        ended_at,
        ended,
        body_bytes,
        trailers,
        events,
    } = end;
    if let ObservedKind::Exchange(exchange) = &mut observed.kind {
        (exchange.ended, exchange.ended_at) = (Some(*ended), Some(*ended_at));
        exchange.events.clone_from(events);
        if let Some(response) = &mut exchange.response {
            response.body_bytes = *body_bytes;
            response.trailers = trailers.clone();
        }
    }
}

/// Returns the memory of an exchange, in bytes.
pub(super) fn held_bytes(observed: &Observed) -> usize {
    let Some(exchange) = exchange(observed) else {
        return 0;
    };
    let request = exchange.request.as_ref().map(|request| {
        let path = request.head.path.as_ref().map_or(0, http_decode::Unredacted::len);
        path + request.head.fields.held_bytes() + request.trailers.held_bytes()
    });
    let informational = exchange.informational.iter().map(|head| head.fields.held_bytes());
    let response = exchange
        .response
        .as_ref()
        .map(|response| response.head.fields.held_bytes() + response.trailers.held_bytes());
    size_of::<Observed>()
        + size_of::<Exchange>()
        + request.unwrap_or(0)
        + informational.sum::<usize>()
        + response.unwrap_or(0)
}
