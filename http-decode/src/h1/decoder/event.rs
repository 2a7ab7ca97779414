//! What the decoder of a direction reports.

use crate::chunk::Mark;
use crate::h1::body::BodyGap;
use crate::h1::head::ParsedHead;
use crate::{Fields, Reason, RequestHead, ResponseHead};

/// What was read.
#[derive(Debug)]
pub(crate) enum Event {
    /// A start line was found while resynchronising.
    StartLine {
        /// Whether bytes before it were lost or discarded.
        after_loss: bool,
    },
    /// A request head. [`Decoder::begin_body`](super::Decoder::begin_body) must follow.
    Request(ParsedHead<RequestHead>, Mark),
    /// Bytes where a request must begin that are not a request; the head has those parts that are clear. The decoder is out
    /// of sync.
    Unparsable(RequestHead, Mark),
    /// A response head. [`Decoder::begin_body`](super::Decoder::begin_body) must follow.
    Response(ParsedHead<ResponseHead>, Mark),
    /// Bytes of content.
    Content(u64),
    /// Bytes of content, then the end of the message with its trailers.
    End(u64, Fields),
    /// Bytes in which no message is known to begin.
    Discarded(u64),
    /// A message that could not be decoded further, and its position. The decoder is out of sync.
    Failed(Part, Reason, u64),
}

/// A part of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// The head, or blank lines before it.
    Head,
    /// What follows the head.
    Body,
}

/// What a direction lost in a gap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GapEffect {
    /// Heads may have been lost; no body was in progress.
    Heads,
    /// The body in progress lost bytes.
    Body(BodyGap),
}
