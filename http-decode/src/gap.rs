//! Gaps: bytes of a direction that are missing.
//!
//! A gap is a value, so that loss is never silent: it has a position, a span and a cause, and every decoder decides for
//! itself whether it can go on behind one.

use crate::timestamp::Timestamp;
use crate::{Direction, named_enum};

named_enum! {
    /// Why bytes are missing from a direction.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub enum GapCause {
        /// They were lost before they reached the caller: a full ring, an unreadable page.
        Lost => "lost",
        /// They lay over the caller's limit per call, which is a setting.
        OverLimit => "over_limit",
        /// They arrived, but so far ahead of a gap that a limit of this crate made them unusable.
        Dropped => "dropped",
        /// The kernel sent them from a file (`SSL_sendfile`): they never were in the process's memory.
        Sendfile => "sendfile",
        /// The call that moved them could not be captured.
        NotCaptured => "not_captured",
        /// Their number or their content could not be read from the process's memory.
        Unreadable => "unreadable",
        /// They are of no interest, as [`Connection::skippable_until`](crate::Connection::skippable_until) said, so the
        /// caller left them out. That is no loss, so no line has it.
        Skipped => "skipped",
    }
}

/// The span of a gap of unknown length.
///
/// Positions stay in order although the number of bytes is unknown, and no gap looks shorter than it may be. A direction is
/// so divided into stretches: within one, positions count bytes. A gap that reaches from one stretch into another has no
/// known length, whether it was reported or was found between two chunks.
pub const STRETCH: u64 = 1 << 44;

/// Bytes that are missing: where, how many, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// The direction.
    pub direction: Direction,
    /// Position of the first missing byte.
    pub position: u64,
    /// The number of positions it takes up.
    pub span: u64,
    /// The cause.
    pub cause: GapCause,
    /// When the last of the bytes was read or written, if that is known.
    pub at: Option<Timestamp>,
}

impl Gap {
    /// Returns the number of missing bytes; `None` if it is not known.
    pub const fn bytes(&self) -> Option<u64> {
        match self.position.checked_add(self.span) {
            Some(end) if self.position / STRETCH == end / STRETCH => Some(self.span),
            Some(_) | None => None,
        }
    }

    /// Returns when the last of the bytes was read or written, if that is known; the byte before them was at `last_at`.
    pub(crate) fn ended_at(&self, last_at: Timestamp) -> Option<Timestamp> {
        // What lies over the limit of a call belongs to that call, whose first bytes came at `last_at`.
        self.at.or((self.cause == GapCause::OverLimit).then_some(last_at))
    }
}
