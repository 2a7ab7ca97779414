//! Moments: heads, as soon as they are complete, so that a caller can tell what a program did in which order.

use crate::{RequestHead, Side, Timestamp};

/// The head of a request or of a final response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moment {
    /// The [`ordinal`](crate::Exchange::ordinal) of its exchange, which is emitted later.
    pub ordinal: u64,
    /// The role of the traced process.
    pub side: Side,
    /// When its last byte was captured.
    pub at: Timestamp,
    /// The number the caller gave with the chunk that held its first byte.
    pub origin: u32,
    /// Which head it is.
    pub part: MomentPart,
}

/// Which head it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MomentPart {
    /// That of a request.
    Request {
        /// A copy of it.
        head: Box<RequestHead>,
        /// When its first byte was captured.
        began: Timestamp,
        /// Whether the connection was seen from its start.
        from_start: bool,
    },
    /// That of a final response.
    Response,
}
