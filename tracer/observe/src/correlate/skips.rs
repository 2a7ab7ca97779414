//! Announces which bytes of a connection need not be captured, as its decoder finds out.

use http_decode::Direction;

use super::Correlator;
use crate::{event::ConnKey, skip::Skip};

impl Correlator {
    /// Returns what was announced since [`Self::clear_skips`].
    pub fn skips(&self) -> &[Skip] {
        &self.skips
    }

    /// Forgets what was announced.
    pub fn clear_skips(&mut self) {
        self.skips.clear();
    }

    /// Announces what need not be captured of the bytes that follow in a direction, if they are many.
    pub(super) fn announce_skip(&mut self, key: ConnKey, direction: Direction) {
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        let Some(until) = tracked.decoder.skippable_until(direction) else {
            return;
        };
        if tracked.note_skippable(direction, until) {
            self.skips.push(Skip {
                key,
                until: tracked.skippable,
            });
        }
    }
}
