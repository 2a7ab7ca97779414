//! What may hide in frames of responses that were lost.

use crate::Timestamp;
use crate::context::Context;

/// Frames of responses that were lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostResponses {
    /// When the last that was heard before them came.
    pub(super) at: Timestamp,
    /// By when the last of them came.
    pub(super) until: Timestamp,
    /// When the first that was heard behind them came.
    pub(super) resumed_at: Option<Timestamp>,
}

impl LostResponses {
    /// Returns whether they may be of the response to a request that began then.
    pub(super) fn may_hide(self, began: Timestamp) -> bool {
        began <= self.until
    }

    /// Returns whether what is heard now may be behind the head of a response that was lost.
    pub(super) fn may_hide_head(self, began: Option<Timestamp>) -> bool {
        match (self.resumed_at, began) {
            (None, _) | (_, None) => true,
            (Some(resumed_at), Some(began)) => began <= resumed_at,
        }
    }
}

/// Notes that something of responses was heard.
pub(super) fn note_response(lost: &mut Option<LostResponses>, at: Timestamp) {
    if let Some(lost) = lost {
        lost.resumed_at.get_or_insert(at);
    }
}

/// Says until when a stream is kept of which frames may have been lost.
pub(super) fn gives_up_at(since: Timestamp, context: &Context) -> Timestamp {
    Timestamp(
        since
            .0
            .saturating_add(context.settings.hold_ns.saturating_mul(LOST_END_HOLDS)),
    )
}

/// How many times as long as an answered exchange one is kept whose response may have been lost.
const LOST_END_HOLDS: u64 = 10;
