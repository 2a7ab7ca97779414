//! Detects that the kernel's loss counters grew.

/// The last two readings of the sum of all loss counters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossTracker {
    last: u64,
    before_last: u64,
}

impl LossTracker {
    /// Records a reading. Returns whether it differs from the reading before the last one: each loss is reported twice,
    /// because a program counts a loss before it advances the connection's position, and the first reading may fall in
    /// between.
    pub(super) const fn update(&mut self, lost: u64) -> bool {
        let has_changed = lost != self.before_last;
        self.before_last = self.last;
        self.last = lost;
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_reported_by_two_updates() {
        let mut tracker = LossTracker::default();
        let changed: Vec<bool> = [0, 5, 5, 5, 9, 9, 9].map(|lost| tracker.update(lost)).into();
        assert_eq!(changed, [false, true, true, false, true, true, false]);
    }
}
