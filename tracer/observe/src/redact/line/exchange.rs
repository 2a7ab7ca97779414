//! Exchanges and their ends in lines of output.

#![expect(clippy::ref_option_ref, reason = "serde derives it for words that may be absent")]

use serde::Serialize;

use super::{
    alert::Facts,
    connection::ConnectionLine,
    field::{FieldLine, owned, owned_fields},
};
use crate::{
    correlate::LibraryName,
    redact::{
        Printable, Time,
        printable::{plain_id, plain_word, plain_word_if_any},
    },
};

/// A request with its response, or the one of them that was seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ExchangeLine<'a> {
    /// Unique within a run.
    #[serde(serialize_with = "plain_id")]
    pub id: String,
    /// Time of the first byte of the request, or of the response if there is no request, RFC 3339.
    pub time: Time,
    /// Process id.
    pub pid: u32,
    /// Id of the thread that read or wrote that byte.
    pub tid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// TLS library of the process.
    pub tls: LibraryName,
    /// Role of the traced process, by [`Side::name`](http_decode::Side::name).
    #[serde(serialize_with = "plain_word")]
    pub side: &'static str,
    /// The connection.
    pub connection: ConnectionLine<'a>,
    /// Protocol and version.
    #[serde(serialize_with = "plain_word")]
    pub protocol: &'static str,
    /// HTTP/2 stream identifier, or the ordinal of the exchange on an HTTP/1 connection.
    pub stream: u64,
    /// The request, if seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestLine<'a>>,
    /// The 1xx responses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub informational: Vec<ResponseLine<'a>>,
    /// The final response, if seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseLine<'a>>,
    /// Microseconds from the first byte of the request to the end of the response head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_us: Option<u64>,
    /// Microseconds from the first byte of the request to the first byte of a stream of server-sent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// Microseconds from the first byte of the request to the end of the first server-sent event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_us: Option<u64>,
    /// Microseconds from the first byte of the request to the end of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain_word_if_any")]
    pub ended: Option<&'static str>,
    /// Id of the request, by which gateways log it and pass it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Printable<'a>>,
    /// Fingerprint of `mcp-session-id`, which the requests of one session have in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Trace id of the request's `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Printable<'a>>,
    /// Parent id of the request's `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<Printable<'a>>,
    /// How long the caller of gRPC waits, as sent: digits and a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_timeout: Option<Printable<'a>>,
    /// Status of the gRPC call; 0 is success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u32>,
    /// Message of the gRPC server beside the status, percent-encoded as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_message: Option<Printable<'a>>,
    /// `latin1` if a value of the line was not UTF-8: each character of every value then stands for one byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// What the rules of a policy ask; not printed.
    #[serde(skip)]
    pub facts: Option<Box<Facts>>,
}

impl ExchangeLine<'_> {
    /// Copies what is borrowed.
    pub(crate) fn to_static(&self) -> ExchangeLine<'static> {
        let Self {
            id,
            time,
            pid,
            tid,
            process,
            tls,
            side,
            connection,
            protocol,
            stream,
            request,
            informational,
            response,
            head_us,
            first_byte_us,
            first_event_us,
            duration_us,
            ended,
            request_id,
            session,
            trace_id,
            parent_id,
            grpc_timeout,
            grpc_status,
            grpc_message,
            encoding,
            facts,
        } = self;
        ExchangeLine {
            id: id.clone(),
            time: *time,
            pid: *pid,
            tid: *tid,
            process: process.to_static(),
            tls: *tls,
            side,
            connection: connection.to_static(),
            protocol,
            stream: *stream,
            request: request.as_ref().map(RequestLine::to_static),
            informational: informational.iter().map(ResponseLine::to_static).collect(),
            response: response.as_ref().map(ResponseLine::to_static),
            head_us: *head_us,
            first_byte_us: *first_byte_us,
            first_event_us: *first_event_us,
            duration_us: *duration_us,
            ended: *ended,
            request_id: owned(request_id.as_ref()),
            session: session.clone(),
            trace_id: owned(trace_id.as_ref()),
            parent_id: owned(parent_id.as_ref()),
            grpc_timeout: owned(grpc_timeout.as_ref()),
            grpc_status: *grpc_status,
            grpc_message: owned(grpc_message.as_ref()),
            encoding: *encoding,
            facts: facts.clone(),
        }
    }
}

/// A request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RequestLine<'a> {
    /// Method token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Printable<'a>>,
    /// URI scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Printable<'a>>,
    /// Host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<Printable<'a>>,
    /// Path and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Printable<'a>>,
    /// Protocol that an extended CONNECT asks for (RFC 8441).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_upgrade: Option<Printable<'a>>,
    /// Header fields in wire order.
    pub headers: Vec<FieldLine<'a>>,
    /// Whether the head is well-formed and every field of it is known.
    pub complete: bool,
    /// Number of fields that are unknown or left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
    /// The part of the head that is not well-formed, by [`Malformed::name`](http_decode::Malformed::name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<&'static str>,
    /// Bytes of the body so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<FieldLine<'a>>,
}

impl RequestLine<'_> {
    fn to_static(&self) -> RequestLine<'static> {
        let Self {
            method,
            scheme,
            authority,
            path,
            protocol_upgrade,
            headers,
            complete,
            unknown,
            malformed,
            body_bytes,
            trailers,
        } = self;
        RequestLine {
            method: owned(method.as_ref()),
            scheme: owned(scheme.as_ref()),
            authority: owned(authority.as_ref()),
            path: owned(path.as_ref()),
            protocol_upgrade: owned(protocol_upgrade.as_ref()),
            headers: owned_fields(headers),
            complete: *complete,
            unknown: *unknown,
            malformed: *malformed,
            body_bytes: *body_bytes,
            trailers: owned_fields(trailers),
        }
    }
}

/// A response, final or informational (1xx).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ResponseLine<'a> {
    /// Status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Header fields in wire order.
    pub headers: Vec<FieldLine<'a>>,
    /// Whether the head is well-formed and every field of it is known. Absent for an informational response if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// Number of fields that are unknown or left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
    /// See [`RequestLine::malformed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<&'static str>,
    /// Bytes of the body so far. Absent for an informational response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<FieldLine<'a>>,
}

impl ResponseLine<'_> {
    fn to_static(&self) -> ResponseLine<'static> {
        let Self {
            status,
            headers,
            complete,
            unknown,
            malformed,
            body_bytes,
            trailers,
        } = self;
        ResponseLine {
            status: *status,
            headers: owned_fields(headers),
            complete: *complete,
            unknown: *unknown,
            malformed: *malformed,
            body_bytes: *body_bytes,
            trailers: owned_fields(trailers),
        }
    }
}

/// The end of an exchange that was printed before it had ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EndLine<'a> {
    /// Id of the exchange.
    pub id: String,
    /// What the end adds to the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<EndResponseLine<'a>>,
    /// See [`ExchangeLine::first_byte_us`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// See [`ExchangeLine::first_event_us`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_us: Option<u64>,
    /// Microseconds from the first byte of the exchange to its end.
    pub duration_us: u64,
    /// How it ended.
    pub ended: &'static str,
    /// See [`ExchangeLine::grpc_status`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u32>,
    /// See [`ExchangeLine::grpc_message`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_message: Option<Printable<'a>>,
    /// See [`ExchangeLine::encoding`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

/// What the end of an exchange adds to its response.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EndResponseLine<'a> {
    /// Bytes of the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<FieldLine<'a>>,
}
