//! Exchanges: a request with its response, as plain data.
//!
//! Nothing that was not seen is filled in: a missing half is `None`, and so is an uncertain body length.

use crate::{Fields, RequestHead, ResponseHead, ServerEvents, Side, Timestamp, named_enum};

named_enum! {
    /// The protocol of an exchange.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub enum Protocol {
        /// HTTP/1.0.
        Http10 => "http/1.0",
        /// HTTP/1.1.
        Http11 => "http/1.1",
        /// HTTP/2.
        Http2 => "http/2",
    }
}

named_enum! {
    /// How an exchange ended.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub enum Ended {
        /// The response came to the end its framing announced.
        Complete => "complete",
        /// One side reset the stream (`RST_STREAM`) or the connection.
        Reset => "reset",
        /// The connection ended first.
        Closed => "closed",
        /// The connection or stream became a tunnel: 101, or 2xx to CONNECT.
        Upgraded => "upgraded",
        /// The end was lost: whether it came, when and how is not known.
        Lost => "lost",
    }
}

/// A request head and what followed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The head.
    pub head: RequestHead,
    /// Body bytes so far, framing not counted; `None` once a gap made it uncertain.
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    pub trailers: Fields,
}

/// A final response head and what followed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The head.
    pub head: ResponseHead,
    /// Body bytes so far, framing not counted; `None` once a gap made it uncertain.
    pub body_bytes: Option<u64>,
    /// Trailer fields.
    pub trailers: Fields,
}

/// A request with its response, or the half of it that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exchange {
    /// The number of this exchange on its connection, counted from 1 in the order of the first bytes.
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
    /// When the content of the response came, if that is a stream of server-sent events.
    pub events: Option<ServerEvents>,
    /// End of the response, when it has ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it goes on.
    pub ended: Option<Ended>,
}

/// The end of an exchange that was emitted before it had ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// The exchange.
    pub ordinal: u64,
    /// When the exchange began, repeated so that its duration can be computed.
    pub began: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub ended: Ended,
    /// When the content of the response came, if that is a stream of server-sent events.
    pub events: Option<ServerEvents>,
    /// Response body bytes in all; `None` when uncertain, or when there was no response.
    pub body_bytes: Option<u64>,
    /// Response trailer fields.
    pub trailers: Fields,
}
