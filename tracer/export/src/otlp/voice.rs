//! Tells the user about a collector that does not take records, but not each time.

use std::time::Instant;

use crate::limits::QUIET;

/// Tells what is wrong with one collector.
pub(super) struct Voice {
    say: fn(&str),
    /// What is sent where.
    what: String,
    told: Option<Instant>,
    /// Whether trouble was told last.
    is_troubled: bool,
}

impl Voice {
    pub(super) const fn new(say: fn(&str), what: String) -> Self {
        Self {
            say,
            what,
            told: None,
            is_troubled: false,
        }
    }

    /// Reports why records are not accepted, unless that was reported lately.
    pub(super) fn trouble(&mut self, reason: &str) {
        if self.told.is_none_or(|told| told.elapsed() >= QUIET) {
            (self.say)(&format!("{}: {reason}", self.what));
            self.told = Some(Instant::now());
            self.is_troubled = true;
        }
    }

    /// Tells that records are taken, if the user believes that they are not.
    pub(super) fn fine(&mut self) {
        if std::mem::take(&mut self.is_troubled) {
            (self.say)(&format!("{}: works again", self.what));
        }
    }
}
