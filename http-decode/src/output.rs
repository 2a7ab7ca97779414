//! What a connection emits: exchanges, their ends, gaps, and notices of bytes that were not decoded.

use crate::exchange::{End, Exchange};
use crate::{Direction, Gap};

/// Why bytes were not decoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Neither direction began, or went on, like HTTP.
    NotHttp,
    /// No HTTP was recognised, on a connection whose beginning was not seen or of which bytes were lost.
    Unrecognised,
    /// An HTTP/2 client started over, as when the server rejected its early data: its earlier requests were not received.
    Restarted,
    /// Bytes of an HTTP/2 connection are not frames (RFC 9113 sections 4 and 6).
    MalformedFrame,
    /// A head or trailer section was longer, or had more fields, than the limits allow. A head that could be cut is emitted.
    HeadTooLarge,
    /// A head was not well-formed.
    MalformedHead,
    /// The framing of a body was not well-formed (RFC 9112 sections 6 and 7).
    MalformedBody,
    /// More requests were unanswered than the limits allow.
    TooManyPending,
    /// A header block on an HTTP/2 connection joined late does not show whether it is a request or a response, and nothing
    /// else did.
    UnknownSide,
}

/// An output of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// An exchange: its response has ended, or it was held for long enough, or the connection ended.
    Exchange(Box<Exchange>),
    /// The end of an exchange emitted earlier with `ended: None`.
    End(Box<End>),
    /// Bytes that will never arrive.
    Gap(Gap),
    /// Bytes that arrived and were not decoded: the direction, the position of the first, and the reason.
    Undecoded(Direction, u64, Reason),
}
