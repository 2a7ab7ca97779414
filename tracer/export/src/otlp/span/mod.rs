//! Spans of exchanges, by the semantic conventions for HTTP spans (stable since 1.23.0).

mod target;
mod network;
mod outcome;
mod http;
#[cfg(test)]
mod tests;

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{
    Span, SpanFlags, Status,
    span::{Link, SpanKind},
    status::StatusCode,
};
use tracer_observe::redact::{EndLine, EndResponseLine, ExchangeLine};

pub(super) use http::Http;
pub(super) use network::Endpoint;
pub(super) use outcome::Outcome;

use super::{
    attributes::Attributes,
    ids::{SpanId, TraceId},
    options::Captured,
};

/// What spans have beside what the conventions require.
#[derive(Debug)]
pub(super) struct SpanOptions {
    pub(super) captured: Captured,
    /// Methods that are known.
    pub(super) methods: Vec<String>,
}

/// The place of a span in its trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<Parent>,
    /// Another span that the request names as its parent, which is not.
    pub(super) link: Option<(TraceId, SpanId)>,
}

/// The parent of a span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Parent {
    /// Named by a `traceparent`, which came with the request.
    Remote(SpanId),
    /// An exchange of the same process.
    Local(SpanId),
}

/// What a hop adds to an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InHop {
    pub(super) gateway_us: Option<u64>,
    pub(super) joined: Option<&'static str>,
    pub(super) reused: Option<bool>,
}

/// The end of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) outcome: Outcome<'a>,
    /// Since its first byte.
    pub(super) duration_us: Option<u64>,
    pub(super) first_byte_us: Option<u64>,
    pub(super) first_event_us: Option<u64>,
    pub(super) response_body_bytes: Option<u64>,
}

impl<'a> End<'a> {
    /// Returns what an exchange says of its end.
    pub(super) fn of(line: &'a ExchangeLine<'_>) -> Self {
        let response = line.response.as_ref();
        Self {
            outcome: Outcome {
                side: line.side,
                status: response.and_then(|response| response.status),
                grpc_status: line.grpc_status,
                ended: line.ended,
            },
            // It goes on at least until here.
            duration_us: line.duration_us.or(line.head_us),
            first_byte_us: line.first_byte_us,
            first_event_us: line.first_event_us,
            response_body_bytes: response.and_then(|response| response.body_bytes),
        }
    }

    /// Returns the end of an exchange that had this side and status.
    pub(super) fn later(line: &'a EndLine<'_>, side: &'a str, status: Option<u16>) -> Self {
        let EndLine {
            id: _,
            response,
            first_byte_us,
            first_event_us,
            duration_us,
            ended,
            grpc_status,
            grpc_message: _,
            encoding: _,
        } = line;
        let body_bytes = |response: &EndResponseLine<'_>| response.body_bytes;
        Self {
            outcome: Outcome {
                side,
                status,
                grpc_status: *grpc_status,
                ended: Some(ended),
            },
            duration_us: Some(*duration_us),
            first_byte_us: *first_byte_us,
            first_event_us: *first_event_us,
            response_body_bytes: response.as_ref().and_then(body_bytes),
        }
    }
}

/// Returns the span of an exchange without its end.
pub(super) fn begin(line: &ExchangeLine<'_>, place: &Place, in_hop: InHop, options: &SpanOptions) -> Span {
    let http = Http::of(line, &options.methods);
    let mut attributes = Attributes::default();
    http.add(&mut attributes);
    network::add(&mut attributes, &line.connection, line.protocol);
    http.add_fields(&mut attributes, &options.captured);
    add_own(&mut attributes, line, in_hop);
    let (parent, flags) = match place.parent {
        None => (Vec::new(), 0),
        Some(Parent::Local(id)) => (id.to_vec(), LOCAL),
        Some(Parent::Remote(id)) => (id.to_vec(), REMOTE),
    };
    Span {
        trace_id: place.trace.to_vec(),
        span_id: place.span.to_vec(),
        trace_state: http.trace_state().unwrap_or_default().to_owned(),
        parent_span_id: parent,
        flags,
        name: http.method.span_name().to_owned(),
        kind: match line.side {
            "client" => SpanKind::Client,
            _ => SpanKind::Server,
        }
        .into(),
        start_time_unix_nano: nanos(line.time.since_epoch()),
        attributes: attributes.into_list(),
        links: place.link.iter().map(link).collect(),
        ..Span::default()
    }
}

/// Returns what the end adds to a span that began at this time since 1970. An encoding of the one followed by an encoding of
/// the other is that of the whole span.
pub(super) fn end(began: Duration, end: &End<'_>) -> Span {
    let End {
        outcome,
        duration_us,
        first_byte_us,
        first_event_us,
        response_body_bytes,
    } = end;
    let mut attributes = Attributes::default();
    let error = outcome.error();
    attributes.text_if_any("error.type", error.as_deref());
    attributes.number_if_any("http.response.body.size", *response_body_bytes);
    if let Some(status) = outcome.grpc_status {
        attributes.text("rpc.system", "grpc");
        attributes.number("rpc.grpc.status_code", status);
    }
    attributes.text_if_any("tlscope.ended", outcome.ended);
    attributes.number_if_any("tlscope.first_byte_us", *first_byte_us);
    attributes.number_if_any("tlscope.first_event_us", *first_event_us);
    let duration = Duration::from_micros(duration_us.unwrap_or_default());
    Span {
        end_time_unix_nano: nanos(began.saturating_add(duration)),
        attributes: attributes.into_list(),
        status: error.map(|_| Status {
            message: String::new(),
            code: StatusCode::Error.into(),
        }),
        ..Span::default()
    }
}

/// Adds what the conventions have no name for, as the lines call it.
fn add_own(attributes: &mut Attributes, line: &ExchangeLine<'_>, in_hop: InHop) {
    attributes.text("tlscope.id", &line.id);
    attributes.text("tlscope.connection.id", &line.connection.id);
    attributes.text("tlscope.tls", line.tls.as_str());
    attributes.number_if_any("tlscope.head_us", line.head_us);
    attributes.text_if_any("tlscope.request_id", line.request_id.as_deref());
    attributes.text_if_any("tlscope.session", line.session.as_deref());
    attributes.text_if_any("tlscope.encoding", line.encoding);
    let InHop {
        gateway_us,
        joined,
        reused,
    } = in_hop;
    attributes.number_if_any("tlscope.gateway_us", gateway_us);
    attributes.text_if_any("tlscope.joined", joined);
    attributes.truth_if_any("tlscope.reused", reused);
}

fn link((trace, span): &(TraceId, SpanId)) -> Link {
    Link {
        trace_id: trace.to_vec(),
        span_id: span.to_vec(),
        flags: REMOTE,
        ..Link::default()
    }
}

/// Returns nanoseconds as records have them.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// It is known whether the parent is in another process: it is not.
const LOCAL: u32 = SpanFlags::ContextHasIsRemoteMask as u32;

/// It is known whether the parent is in another process: it is.
const REMOTE: u32 = SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32;
