//! The places of spans in their traces.

use std::collections::{HashMap, VecDeque};

use tracer_observe::redact::{ExchangeLine, HopLine};

use super::{
    ids::{Ids, SpanId, TraceId, parent_id, trace_id},
    span::{Parent, Place},
};
use crate::limits::MAX_REMEMBERED;

/// Returns the place of an exchange that is in no hop.
pub(super) fn alone(line: &ExchangeLine<'_>) -> Place {
    let ids = Ids::of(line);
    match trace_id(line) {
        Some(trace) => Place {
            trace,
            span: ids.span,
            parent: parent_id(line).map(Parent::Remote),
            link: None,
        },
        None => Place {
            trace: ids.trace,
            span: ids.span,
            parent: None,
            link: None,
        },
    }
}

/// The traces of downstream exchanges, for the upstream exchanges that are joined with them later.
#[derive(Debug, Default)]
pub(super) struct Traces {
    remembered: HashMap<String, (TraceId, SpanId)>,
    /// The ids of exchanges, in the order in which they were inserted.
    order: VecDeque<String>,
}

impl Traces {
    /// Returns the places of the exchanges of a hop, in their order. All are in one trace: that of the client, else the one that
    /// the gateway has begun for its upstream servers.
    pub(super) fn places(&mut self, hop: &HopLine<'_>) -> Vec<Place> {
        let own = hop.downstream.as_ref().map(|downstream| &*downstream.0);
        let upstreams = hop.upstreams.iter().map(|upstream| &*upstream.exchange.0);
        let Some(downstream) = own else {
            let before = self.joined_before(hop);
            return upstreams.map(|line| upstream(line, before)).collect();
        };
        let begun = || upstreams.clone().find_map(trace_id);
        let mut place = alone(downstream);
        if trace_id(downstream).is_none()
            && let Some(begun) = begun()
        {
            place.trace = begun;
        }
        self.remember(&hop.id, (place.trace, place.span));
        let parent = Some((place.trace, place.span));
        let named = parent_id(downstream);
        let below = upstreams.map(|line| {
            let mut below = upstream(line, parent);
            // A gateway that passes on what it got names no other parent.
            below.link = below.link.filter(|(_, id)| Some(*id) != named);
            below
        });
        std::iter::once(place).chain(below).collect()
    }

    /// Returns the downstream exchange that an upstream exchange belongs to, which was sent before.
    fn joined_before(&self, hop: &HopLine<'_>) -> Option<(TraceId, SpanId)> {
        let is_joined = hop.upstreams.iter().any(|upstream| upstream.joined.is_some());
        let [candidate] = &hop.candidates[..] else {
            return None;
        };
        self.remembered.get(&**candidate).copied().filter(|_| is_joined)
    }

    fn remember(&mut self, id: &str, ids: (TraceId, SpanId)) {
        if self.remembered.insert(id.to_owned(), ids).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > MAX_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }
}

/// Returns the place of an upstream exchange below a downstream one, if that is known.
fn upstream(line: &ExchangeLine<'_>, downstream: Option<(TraceId, SpanId)>) -> Place {
    let place = alone(line);
    let Some((trace, parent)) = downstream else {
        return place;
    };
    Place {
        trace,
        parent: Some(Parent::Local(parent)),
        link: trace_id(line).zip(parent_id(line)),
        ..place
    }
}

#[cfg(test)]
mod tests;
