//! Lost frames of responses: which streams they may be of, and how long such a stream is kept.

use crate::Timestamp;
use crate::context::Context;

/// A range of lost frames of responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostResponses {
    /// When the last frame before them came.
    pub(super) at: Timestamp,
    /// By when the last of them came.
    pub(super) until: Timestamp,
    /// When the first frame behind them came.
    pub(super) resumed_at: Option<Timestamp>,
}

impl LostResponses {
    /// Returns whether they may be of the response to a request that began at `began`.
    pub(super) fn may_hide(self, began: Timestamp) -> bool {
        began <= self.until
    }

    /// Returns whether the head of the response to a request that began at `began` may be among them.
    pub(super) fn may_hide_head(self, began: Option<Timestamp>) -> bool {
        match (self.resumed_at, began) {
            (None, _) | (_, None) => true,
            (Some(resumed_at), Some(began)) => began <= resumed_at,
        }
    }
}

/// Notes that a frame of a response came at `at`.
pub(super) fn note_response(lost: &mut Option<LostResponses>, at: Timestamp) {
    if let Some(lost) = lost {
        lost.resumed_at.get_or_insert(at);
    }
}

/// Returns when a stream is given up whose end may have been lost at `since`.
pub(super) fn give_up_at(since: Timestamp, context: &Context) -> Timestamp {
    Timestamp(
        since
            .0
            .saturating_add(context.settings.hold_ns.saturating_mul(LOST_END_HOLDS)),
    )
}

/// The time that a stream is kept whose end may have been lost, in multiples of the hold of an exchange.
const LOST_END_HOLDS: u64 = 10;
