//! A request with its response: what this crate puts out.
//!
//! In: heads, body counts and trailers from the decoders. Out: [`Output`]s for the caller. Refuses to complete what
//! was not seen: a missing half is `None`, an unknown body length is `None`.

use crate::{Fields, RequestHead, ResponseHead};

/// Nanoseconds on the caller's monotonic clock; this crate never reads one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub u64);

/// Which way bytes go, as the traced process sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// The traced process reads them.
    Read,
    /// The traced process writes them.
    Write,
}

impl Direction {
    /// Gives the opposite one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }
}

/// The role of the traced process on a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// It asks.
    Client,
    /// It answers.
    Server,
}

/// The protocol an exchange was spoken in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ended {
    /// The response came to the end its framing announced.
    Complete,
    /// One side gave the stream up (`RST_STREAM`).
    Reset,
    /// The connection ended first.
    Closed,
    /// The connection or stream became a tunnel: 101, or 2xx to CONNECT.
    Upgraded,
    /// The end fell into a hole: it came, but when and how is not known.
    Lost,
}

/// A request head and what followed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The head.
    pub head: RequestHead,
    /// Body bytes so far, framing not counted; `None` once a hole made it uncertain.
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    pub trailers: Fields,
}

/// A final response head and what followed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The head.
    pub head: ResponseHead,
    /// Body bytes so far, framing not counted; `None` once a hole made it uncertain.
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    pub trailers: Fields,
}

/// A request with its response, or the half of it that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exchange {
    /// Counts the exchanges of this connection from 1, in the order their first bytes came.
    pub ordinal: u64,
    /// The protocol.
    pub protocol: Protocol,
    /// HTTP/2 stream identifier; for HTTP/1 the same as `ordinal`.
    pub stream: u64,
    /// The role of the traced process.
    pub side: Side,
    /// The number the caller gave with the chunk that held the first byte.
    pub origin: u32,
    /// The request, unless it was not seen.
    pub request: Option<Request>,
    /// 1xx responses before the final one, 101 excepted.
    pub informational: Vec<ResponseHead>,
    /// The final response, unless it was not seen.
    pub response: Option<Response>,
    /// First byte of the request, or of the response when there is no request.
    pub began: Timestamp,
    /// End of the final response's head.
    pub head_at: Option<Timestamp>,
    /// End of the response, when it has ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it goes on.
    pub ended: Option<Ended>,
}

/// The end of an exchange that was put out before it had ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// Which exchange.
    pub ordinal: u64,
    /// Its beginning, once more, so that a duration can be told.
    pub began: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub ended: Ended,
    /// Response body bytes in all; `None` when uncertain, or when there was no response.
    pub body_bytes: Option<u64>,
    /// Response trailer fields.
    pub trailers: Fields,
}

/// Why bytes are missing from a direction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GapCause {
    /// They were captured by nobody: a full ring, an unreadable page.
    Lost,
    /// They lay over the caller's limit per call, which is a setting.
    OverLimit,
    /// They came, but so far ahead of a hole that a limit here made them unusable.
    Dropped,
    /// The kernel sent them from a file (`SSL_sendfile`): they never were in the process's memory.
    Sendfile,
    /// The call that moved them could not be captured.
    NotCaptured,
    /// How many they are, or what they are, could not be read from the process's memory.
    Unreadable,
}

/// What a position goes up by where an unknown number of bytes passed, so that positions stay in order and no hole looks
/// shorter than it may be. A direction is so divided into stretches: within one, positions count bytes, and a hole that
/// goes from one to another has no known length, whoever reports it or fails to.
pub const STRETCH: u64 = 1 << 44;

/// A hole: where, how long, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// The direction it is in.
    pub direction: Direction,
    /// Position of the first missing byte.
    pub position: u64,
    /// How many positions it takes up.
    pub span: u64,
    /// Why.
    pub cause: GapCause,
    /// When the last of them passed, if that was seen.
    pub at: Option<Timestamp>,
}

impl Gap {
    /// Counts the missing bytes; `None` where their number is not known.
    pub const fn bytes(&self) -> Option<u64> {
        bytes_between(self.position, self.span)
    }
}

/// Counts the bytes of a hole; `None` where it leads from one stretch to another.
pub(crate) const fn bytes_between(position: u64, span: u64) -> Option<u64> {
    match position.checked_add(span) {
        Some(end) if position / STRETCH == end / STRETCH => Some(span),
        Some(_) | None => None,
    }
}

/// Why bytes were not decoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Neither direction began, or went on, like HTTP.
    NotHttp,
    /// No HTTP was recognised, on a connection whose beginning was not seen or of which bytes were lost.
    Unrecognised,
    /// A client of HTTP/2 began anew, as when the server refused its early data: what it had asked before was not received.
    Restarted,
    /// Bytes of HTTP/2 were not frames (RFC 9113 sections 4 and 6), or could not be told from others after a loss.
    MalformedFrame,
    /// A head was longer, or had more fields, than the limits allow.
    HeadTooLarge,
    /// A head was not well-formed.
    MalformedHead,
    /// A body's framing was not well-formed (RFC 9112 sections 6 and 7).
    MalformedBody,
    /// More requests were unanswered than the limits allow.
    TooManyPending,
    /// A head of HTTP/2 joined late does not tell whether it is of a request or of a response, nor did anything else.
    UnknownSide,
}

/// What a connection has to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// An exchange, when its response has ended, when it was held long enough, or when the connection ended.
    Exchange(Box<Exchange>),
    /// The end of an exchange put out earlier with `ended: None`.
    End(Box<End>),
    /// Bytes that will never come.
    Gap(Gap),
    /// Bytes that came and were not decoded: in which direction, from which position on, and why.
    Undecoded(Direction, u64, Reason),
}
