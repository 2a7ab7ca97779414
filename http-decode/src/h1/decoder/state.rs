//! Where the decoder of a direction is within a message.

use crate::h1::body::Body;
use crate::h1::body_or_head::BodyOrHead;
use crate::h1::resync::StartLineSearch;
use crate::h1::section::Section;

/// What the next byte belongs to.
#[derive(Debug)]
pub(super) enum State {
    /// Unknown: the decoder is out of sync and searches for a start line.
    Resync(StartLineSearch),
    /// A head.
    Head(Section),
    /// Undecided: the decoder pauses behind a head.
    Pause,
    /// The body of a response to a request of unknown method, or the next head if that method was HEAD.
    UnknownMethod(Body),
    /// The body that was announced, or the next head in its place.
    BodyOrHead(Box<BodyOrHead>),
    /// A body.
    Body(Body),
}

impl Default for State {
    fn default() -> Self {
        Self::Resync(StartLineSearch::default())
    }
}

/// What is known of a direction where decoding begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sync {
    /// The next byte is the first of the connection.
    ConnectionStart,
    /// A head seems to begin with the next byte.
    Head,
    /// Nothing.
    Unknown,
    /// Bytes were lost.
    Lost,
}
