//! A histogram with the buckets that the conventions advise.

/// Upper bounds of the buckets, in seconds.
pub(super) const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The same in microseconds, as durations are.
const BOUNDS_US: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000, 5_000_000,
    7_500_000, 10_000_000,
];

/// Counts of durations. The last is of those over all bounds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Histogram {
    pub(super) counts: [u64; 15],
    pub(super) sum_us: u64,
    pub(super) min_us: Option<u64>,
    pub(super) max_us: Option<u64>,
}

impl Histogram {
    /// Adds a duration.
    pub(super) fn add(&mut self, us: u64) {
        let bucket = BOUNDS_US.iter().take_while(|bound| us > **bound).count();
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum_us = self.sum_us.saturating_add(us);
        self.min_us = Some(self.min_us.map_or(us, |min| min.min(us)));
        self.max_us = Some(self.max_us.map_or(us, |max| max.max(us)));
    }
}

/// Returns seconds.
#[expect(clippy::cast_precision_loss, reason = "it is exact up to centuries")]
pub(super) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut histogram = Histogram::default();
        for us in [0, 5_000, 5_001, 10_000_000, 10_000_001] {
            histogram.add(us);
        }
        assert_eq!(histogram.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.min_us, histogram.max_us), (Some(0), Some(10_000_001)));
        for (bound, us) in BOUNDS.into_iter().zip(BOUNDS_US) {
            assert!((seconds(us) - bound).abs() < 1e-9);
        }
    }
}
