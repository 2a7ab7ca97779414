//! What a line of output says: the contract, as types.
//!
//! In: strings and numbers that `compose` let through. Out: JSON in the contract's order, through serde. Refuses
//! nothing by itself: a [`Line`] made elsewhere is of no use, because sinks take it only as
//! [`Redacted`](super::Redacted). What does not apply is absent.

use serde::{Serialize, Serializer};

use crate::correlate::LibraryName;

/// One line of output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    /// A request with its response, or half of it.
    Exchange(Box<ExchangeLine>),
    /// The end of an exchange printed earlier.
    End(Box<EndLine>),
    /// A hole in what was captured.
    Loss(Box<LossLine>),
    /// A connection as a whole.
    Connection(Box<SummaryLine>),
    /// Something about the tracing itself.
    Health(Box<HealthLine>),
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exchange(line) => Tagged {
                v: VERSION,
                kind: "exchange",
                line,
            }
            .serialize(serializer),
            Self::End(line) => Tagged {
                v: VERSION,
                kind: "end",
                line,
            }
            .serialize(serializer),
            Self::Loss(line) => Tagged {
                v: VERSION,
                kind: "loss",
                line,
            }
            .serialize(serializer),
            Self::Connection(line) => Tagged {
                v: VERSION,
                kind: "connection",
                line,
            }
            .serialize(serializer),
            Self::Health(line) => Tagged {
                v: VERSION,
                kind: "health",
                line,
            }
            .serialize(serializer),
        }
    }
}

/// What every line begins with; serde's own tag would put the type before the version.
#[derive(Serialize)]
struct Tagged<T> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    line: T,
}

/// The contract's version.
const VERSION: u8 = 1;

/// A field's name and value; what is not known is null.
pub type FieldLine = (Option<Box<str>>, Option<Box<str>>);

/// A request with its response, or the half of it that was seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ExchangeLine {
    /// Unique within a run.
    pub id: String,
    /// The request's first byte, RFC 3339.
    pub time: String,
    /// The traced process.
    pub pid: u32,
    /// The thread that read or wrote the first byte.
    pub tid: u32,
    /// The traced process's short name.
    pub process: String,
    /// The TLS library.
    pub tls: LibraryName,
    /// The traced process's role.
    pub side: &'static str,
    /// The connection.
    pub connection: ConnectionLine,
    /// The protocol and its version.
    pub protocol: &'static str,
    /// HTTP/2 stream identifier, or the place in an HTTP/1 connection.
    pub stream: u64,
    /// The request, if seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestLine>,
    /// The responses before the final one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub informational: Vec<InformationalLine>,
    /// The final response, if seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseLine>,
    /// Microseconds from the request's first byte to the end of the response's head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_us: Option<u64>,
    /// Microseconds from the request's first byte to the response's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// The id under which the gateway's own log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Box<str>>,
    /// What gRPC says of the call.
    #[serde(flatten)]
    pub grpc: GrpcLine,
    /// `latin1` if a value here was not UTF-8, so that each of its characters stands for a byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

/// A connection, and how its addresses were learned or why they were not. An address is `IP:PORT`, `[IP]:PORT`,
/// `unix:PATH`, `unix:@NAME` in the abstract namespace, or `unix:` where a UNIX socket is bound to nothing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConnectionLine {
    /// Unique within a run.
    pub id: String,
    /// The traced process's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Its peer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// How the addresses were learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Whom the peer said it speaks for by the PROXY protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<ProxiedLine>,
    /// Inode of the network namespace they belong to, where it is not the tracer's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
}

/// Whom a connection is for, as its peer said by the PROXY protocol.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ProxiedLine {
    /// Where it comes from.
    pub source: String,
    /// Where it was meant to go.
    pub destination: String,
}

/// A request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RequestLine {
    /// Method token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Box<str>>,
    /// URI scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Box<str>>,
    /// Host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<Box<str>>,
    /// Path and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Box<str>>,
    /// The protocol an extended CONNECT asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_upgrade: Option<Box<str>>,
    /// Header fields in wire order.
    pub headers: Vec<FieldLine>,
    /// Whether the head is well-formed and every field of it is known.
    pub complete: bool,
    /// How many fields are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
    /// In what the head is not well-formed, if it is not: `method`, `spaces`, `start-line`, `pseudo-header`, `field`,
    /// `header-block`, `too-large` or `unfinished`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<&'static str>,
    /// Body bytes so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<FieldLine>,
}

/// A response before the final one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct InformationalLine {
    /// Status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Header fields in wire order.
    pub headers: Vec<FieldLine>,
    /// False when a field is not known, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// How many fields are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
    /// In what the head is not well-formed, if it is not: `method`, `spaces`, `start-line`, `pseudo-header`, `field`,
    /// `header-block`, `too-large` or `unfinished`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<&'static str>,
}

/// A final response.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ResponseLine {
    /// Status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Header fields in wire order.
    pub headers: Vec<FieldLine>,
    /// Whether the head is well-formed and every field of it is known.
    pub complete: bool,
    /// How many fields are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<u32>,
    /// In what the head is not well-formed, if it is not: `method`, `spaces`, `start-line`, `pseudo-header`, `field`,
    /// `header-block`, `too-large` or `unfinished`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<&'static str>,
    /// Body bytes so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<FieldLine>,
}

/// The end of an exchange printed earlier.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EndLine {
    /// The exchange's id.
    pub id: String,
    /// What its response came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<EndResponseLine>,
    /// Microseconds from the exchange's first byte to its end.
    pub duration_us: u64,
    /// How it ended.
    pub ended: &'static str,
    /// What gRPC says of the call's end.
    #[serde(flatten)]
    pub grpc: GrpcLine,
    /// `latin1` if a value here was not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

/// What gRPC says of a call, in fields or trailers.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct GrpcLine {
    /// How long the caller waits, as sent: digits and a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_timeout: Option<Box<str>>,
    /// How the call ended; 0 is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u32>,
    /// What the server adds to that, percent-encoded as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_message: Option<Box<str>>,
}

/// What only the end of a response tells.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EndResponseLine {
    /// Body bytes in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<FieldLine>,
}

/// A hole in what was captured.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LossLine {
    /// When it was noticed, RFC 3339.
    pub time: String,
    /// The traced process.
    pub pid: u32,
    /// The traced process's short name.
    pub process: String,
    /// The connection.
    pub connection: ConnectionLine,
    /// Which way the missing bytes went.
    pub direction: &'static str,
    /// Position of the first missing byte.
    pub position: u64,
    /// How many are missing, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why: `lost`, `over_limit`, `dropped`, `sendfile` (they went from a file to the kernel), `not_captured` (the call that
    /// moved them could not be followed) or `unreadable` (so was their number).
    pub cause: &'static str,
}

/// Something about the tracing itself that its user should know. A member that does not apply is absent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HealthLine {
    /// When, RFC 3339.
    pub time: String,
    /// What of: `ring`, the fullest of them; `table`, one of the programs in the kernel; `output`.
    pub subject: &'static str,
    /// Which table, by what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// `nearly_full` from nine tenths on; `dropped` when it refused something; `fine` when that is over.
    pub state: &'static str,
    /// Bytes in a ring, entries in a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// How many it has room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// What it refused since the line before: records of a ring, entries of a table, lines of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// A connection as a whole: at its end, or at the end of the run while it is open. A member that is absent is not known.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SummaryLine {
    /// The connection's id.
    pub id: String,
    /// When it ended, or the run did, RFC 3339.
    pub time: String,
    /// The traced process.
    pub pid: u32,
    /// The traced process's short name.
    pub process: String,
    /// The TLS library.
    pub tls: LibraryName,
    /// The connection, as in the lines of its exchanges.
    pub connection: ConnectionLine,
    /// When its socket was established, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
    /// The protocol version as OpenSSL names it, or its number in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<Box<str>>,
    /// The cipher suite as the library names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Box<str>>,
    /// The application protocol that was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Box<str>>,
    /// The server name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Box<str>>,
    /// Microseconds that the handshake took, waiting included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// Smoothed round-trip time at the end, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// Segments sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u32>,
    /// Bytes received, ciphertext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Bytes sent and acknowledged, ciphertext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// Bytes read since it was first seen, plaintext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// Bytes written since it was first seen, plaintext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
    /// Exchanges that were seen on it, printed or not.
    pub exchanges: u64,
    /// How it ended: `fin`, `reset` or `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// Which end did that: `local` is the traced process's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<&'static str>,
    /// True if it was still open when the run ended, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// `latin1` if a value here was not UTF-8, so that each of its characters stands for a byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}
