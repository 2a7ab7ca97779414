//! The channel down: which bytes of a connection need not be captured.

use crate::event::ConnKey;

/// The announcement that bytes of a connection are of no interest. It replaces the one before.
///
/// Whoever captures may leave them out from any position on, and report how many they were. A replayed tape gives the same
/// announcements, which nobody needs there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Skip {
    /// The connection.
    pub key: ConnKey,
    /// Positions up to which the bytes that were not seen yet are of no interest: read, written.
    pub until: [u64; 2],
}
