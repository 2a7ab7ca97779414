//! The lines of output as types: the contract that `schema.json` describes.
//!
//! A sink writes the members in the order of the fields, which is that of the contract, after the version and the type; a
//! member that does not apply is absent. Sinks accept a line only as [`Redacted`](super::Redacted), so one that is made elsewhere cannot be printed.

use serde::Serialize;

use super::{Printable, Time, printable::plain_word};
use crate::correlate::LibraryName;

/// One line of output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line<'a> {
    /// A request with its response, or only one of them.
    Exchange(Box<ExchangeLine<'a>>),
    /// The end of an exchange that was printed before it had ended.
    End(Box<EndLine<'a>>),
    /// Bytes that are missing.
    Loss(Box<LossLine<'a>>),
    /// The summary of a connection.
    Connection(Box<SummaryLine<'a>>),
    /// The health of the tracer.
    Health(Box<HealthLine>),
    /// A hook that does not serve a process or a file: the health of the probes.
    Hooks(Box<HooksLine<'a>>),
}

/// Version of the contract.
pub const VERSION: u8 = 1;

/// Name and value of a field; `None` if unknown.
pub type FieldLine<'a> = (Option<Printable<'a>>, Option<Printable<'a>>);

/// A request with its response, or the one of them that was seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ExchangeLine<'a> {
    /// Unique within a run.
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
    /// Microseconds from the first byte of the request to the end of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// Value of `x-request-id`, under which the gateway logs the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Printable<'a>>,
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
}

/// A connection, and how its addresses were learned or why they were not.
///
/// An address is `IP:PORT`, `[IP]:PORT`, `unix:PATH`, `unix:@NAME` in the abstract namespace, or `unix:` for an unbound UNIX
/// socket.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConnectionLine<'a> {
    /// Unique within a run.
    pub id: Printable<'a>,
    /// Address of the traced process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<Printable<'a>>,
    /// Address of its peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Printable<'a>>,
    /// How the addresses were learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// Why the addresses are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Addresses in the PROXY protocol header of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<ProxiedLine>,
    /// Inode of the network namespace of the addresses, if it is not that of the tracer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
}

/// The addresses in a PROXY protocol header.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ProxiedLine {
    /// Where the connection comes from.
    pub source: String,
    /// Where it was meant to go.
    pub destination: String,
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

/// The end of an exchange that was printed before it had ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EndLine<'a> {
    /// Id of the exchange.
    pub id: String,
    /// What the end adds to the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<EndResponseLine<'a>>,
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

/// Bytes that are missing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LossLine<'a> {
    /// When it was noticed, RFC 3339.
    pub time: Time,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// The connection.
    pub connection: ConnectionLine<'a>,
    /// Direction of the bytes: `read` or `write`.
    pub direction: &'static str,
    /// Position of the first missing byte.
    pub position: u64,
    /// Number of missing bytes, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why, by [`GapCause::name`](http_decode::GapCause::name).
    pub cause: &'static str,
}

/// The health of a ring, a table or the output.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HealthLine {
    /// When it was noticed, RFC 3339.
    pub time: Time,
    /// `ring` (the fullest), `table` (a BPF map) or `output`.
    pub subject: &'static str,
    /// Name of the table, by what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// `nearly_full` over nine tenths, `dropped` if something was dropped, `fine` after it recovered.
    pub state: &'static str,
    /// Bytes in the ring, entries in the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Bytes or entries that it has room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Records, entries or lines dropped since the previous line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// A hook that does not serve a process, or is wrong for a file; printed as health.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HooksLine<'a> {
    /// When it was noticed, RFC 3339.
    pub time: Time,
    /// `hooks`.
    pub subject: &'static str,
    /// Kind of the hook: `tap` or `lift`.
    pub name: &'static str,
    /// `refused`.
    pub state: &'static str,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// TLS library.
    pub tls: LibraryName,
    /// Path of its file, as the process sees it.
    pub path: Printable<'a>,
    /// Why, by [`RefusalCause::name`](crate::event::RefusalCause::name).
    pub cause: &'static str,
}

/// The summary of a connection, at its end or at the end of the run. A member that is absent is unknown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SummaryLine<'a> {
    /// Id of the connection.
    pub id: Printable<'a>,
    /// When the connection or the run ended, RFC 3339.
    pub time: Time,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// TLS library of the process.
    pub tls: LibraryName,
    /// The connection, as in its exchange lines.
    pub connection: ConnectionLine<'a>,
    /// When its socket was established, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Time>,
    /// Protocol version by its name in OpenSSL, else its number in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<Printable<'a>>,
    /// Cipher suite by its name in the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Printable<'a>>,
    /// Application protocol that was negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Printable<'a>>,
    /// Server name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Printable<'a>>,
    /// Duration of the handshake in microseconds, waiting included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// Smoothed round-trip time at the end, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// Retransmitted segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u32>,
    /// Bytes of ciphertext received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Bytes of ciphertext sent and acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// Bytes of plaintext read since it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// Bytes of plaintext written since it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
    /// Exchanges seen on it, printed or not.
    pub exchanges: u64,
    /// How its socket was closed: `fin`, `reset` or `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// Which end closed it: `local` is the traced process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<&'static str>,
    /// True if it was open when the run ended, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// `latin1` if a value of the line was not UTF-8: each character of every value then stands for one byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}
