//! Finds the ids by which a request is known across processes: the request id, and the trace of the W3C.
//!
//! They are found in heads that are not redacted yet, in one pass over the fields of each. What is found is a part of a
//! field, so that the gate applies to it what it applies to that field.

mod header;
mod grammar;

use std::ops::Range;

use http_decode::{Exchange, Field, Fields, Unredacted};

pub use header::{IdHeader, IdHeaderError, IdHeaders};

/// The ids of an exchange.
#[derive(Clone, Debug, Default)]
pub struct Ids<'a> {
    /// The request id: of the request, or of the response if the request has none.
    pub request_id: Option<Id<'a>>,
    /// The trace id of `traceparent` in the request.
    pub trace_id: Option<Id<'a>>,
    /// The parent id of `traceparent` in the request: the span that sent it.
    pub parent_id: Option<Id<'a>>,
}

/// An id: a part of the value of a field.
#[derive(Clone, Debug)]
pub struct Id<'a> {
    /// The field, whose value is known.
    pub field: Field<'a>,
    /// Where the id is in the value. It is not empty.
    pub part: Range<usize>,
}

impl<'a> Id<'a> {
    /// Returns the bytes of the id.
    pub fn value(&self) -> Unredacted<&'a [u8]> {
        let value = self.field.value.map_or(&[][..], Unredacted::<&[u8]>::expose);
        Unredacted::borrowed(value.get(self.part.clone()).unwrap_or_default())
    }
}

impl IdHeaders {
    /// Finds the ids of an exchange.
    pub fn find<'a>(&self, exchange: &'a Exchange) -> Ids<'a> {
        let request = exchange.request.as_ref().map(|request| &request.head.fields);
        let response = exchange.response.as_ref().map(|response| &response.head.fields);
        let asked = request.map(|fields| self.search(fields)).unwrap_or_default();
        let request_id = match asked.request_id {
            Found::Id(id) => Some(id),
            Found::Unknown => None,
            Found::Nothing => match response.map(|fields| self.search(fields).request_id) {
                Some(Found::Id(id)) => Some(id),
                Some(Found::Nothing | Found::Unknown) | None => None,
            },
        };
        let (trace_id, parent_id) = asked.trace.map(trace_ids).unwrap_or_default();
        Ids {
            request_id,
            trace_id,
            parent_id,
        }
    }

    /// Finds the request id and the trace id in the fields of one head.
    pub fn find_in<'a>(&self, fields: &'a Fields) -> [Option<Id<'a>>; 2] {
        let Search { request_id, trace, .. } = self.search(fields);
        let request_id = match request_id {
            Found::Id(id) => Some(id),
            Found::Nothing | Found::Unknown => None,
        };
        [request_id, trace.and_then(|field| trace_ids(field).0)]
    }

    /// Finds the field of the first name of the list that has an id, and `traceparent`.
    fn search<'a>(&self, fields: &'a Fields) -> Search<'a> {
        let mut search = Search::default();
        let mut best = usize::MAX;
        for raw in fields.raw() {
            let Some(name) = raw.name.filter(|name| self.may_have(name)) else {
                continue;
            };
            let field = raw.field();
            if name == TRACEPARENT {
                search.traces += 1;
                search.trace = Some(field);
            }
            let Some((rank, header)) = self.rank_of(name).filter(|(rank, _)| *rank < best) else {
                continue;
            };
            let found = match field.value {
                // It has an id, so that of another field is not the id of the request.
                None => Found::Unknown,
                Some(value) => match header.part(value.expose()) {
                    Some(part) => Found::Id(Id { field, part }),
                    None => continue,
                },
            };
            (best, search.request_id) = (rank, found);
        }
        // With several of them, none is valid (Trace Context section 3.2).
        search.trace = search.trace.filter(|_| search.traces == 1);
        search
    }
}

/// What was found in a head.
#[derive(Clone, Debug, Default)]
struct Search<'a> {
    request_id: Found<'a>,
    trace: Option<Field<'a>>,
    traces: u32,
}

/// Whether a head has a request id.
#[derive(Clone, Debug, Default)]
enum Found<'a> {
    /// It has none.
    #[default]
    Nothing,
    /// It has one that is not known, as on an HTTP/2 connection that was joined late.
    Unknown,
    /// It has this one.
    Id(Id<'a>),
}

/// Returns the trace id and the parent id of `traceparent`.
fn trace_ids(field: Field<'_>) -> (Option<Id<'_>>, Option<Id<'_>>) {
    let parts = field.value.and_then(|value| grammar::traceparent(value.expose()));
    parts
        .map(|[trace_id, parent_id]| [trace_id, parent_id].map(|part| Id { field, part }))
        .map(|[trace_id, parent_id]| (trace_id, parent_id))
        .unzip()
}

/// The header of the W3C's Trace Context.
const TRACEPARENT: &[u8] = b"traceparent";

#[cfg(test)]
mod tests;
