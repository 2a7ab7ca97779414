//! Durations, of which any quantile is known within 1/64 of its value.

use std::collections::BTreeMap;

/// Counts of values in buckets. A value below 128 has a bucket of its own; from there on, each power of two is divided into 64
/// buckets of equal width, so that no bucket is wider than 1/64 of its least value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// Counts by the number of the bucket. Only buckets with values take memory.
    counts: BTreeMap<u64, u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// Adds a value. One over [`MAX_VALUE`] counts as that.
    pub(crate) fn add(&mut self, value: u64) {
        let value = value.min(MAX_VALUE);
        *self.counts.entry(bucket(value)).or_default() += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    /// Adds the values of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// Returns the number of values.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the greatest value, if there is any.
    pub(super) fn max(&self) -> Option<u64> {
        (self.total > 0).then_some(self.max)
    }

    /// Returns a value that `percent` of the values do not exceed, and that exceeds the least such one by less than 1/64.
    pub(crate) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (u128::from(self.total) * u128::from(percent)).div_ceil(100).max(1);
        let mut below = 0;
        let bucket = self.counts.iter().find(|(_, count)| {
            below += u128::from(**count);
            below >= rank
        });
        bucket.map(|(number, _)| greatest(*number).min(self.max))
    }
}

/// Returns the number of the bucket of a value.
const fn bucket(value: u64) -> u64 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(7);
    shift as u64 * 64 + (value >> shift)
}

/// Returns the greatest value of a bucket.
const fn greatest(bucket: u64) -> u64 {
    let shift = (bucket / 64).saturating_sub(1);
    let first = (bucket - shift * 64) << shift;
    first + ((1 << shift) - 1)
}

/// In microseconds, some thirteen days. It bounds the number of buckets at 2,304.
const MAX_VALUE: u64 = (1 << 40) - 1;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::Strategy, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// Generates values of all magnitudes.
    fn value() -> impl Strategy<Value = u64> {
        (0_u32..40, 0..=MAX_VALUE).prop_map(|(shift, value)| value >> shift)
    }

    proptest! {
        #[test]
        fn a_bucket_is_narrower_than_a_64th_of_its_values(value in value()) {
            let greatest = greatest(bucket(value));
            prop_assert!(greatest >= value && (greatest - value) * 64 < value.max(1), "{} of {}", greatest, value);
            prop_assert_eq!(bucket(greatest), bucket(value));
            prop_assert_eq!(bucket(greatest + 1), bucket(value) + 1);
        }

        #[test]
        fn a_percentile_is_that_of_the_sorted_values(mut values in vec(value(), 1..200), percent in 1_u64..=100) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.add(*value);
            }
            values.sort_unstable();
            let rank = (values.len() * usize::try_from(percent).unwrap()).div_ceil(100);
            let (exact, found) = (values[rank - 1], histogram.percentile(percent).unwrap());
            prop_assert!(found >= exact && (found - exact) * 64 < exact.max(1), "{} is not {}", found, exact);
            prop_assert_eq!(histogram.max(), values.last().copied());
        }
    }

    #[test]
    fn merged_values_are_those_of_both() {
        let (mut both, mut other) = (Histogram::default(), Histogram::default());
        for value in [1, 2] {
            both.add(value);
        }
        for value in [2, 9] {
            other.add(value);
        }
        both.merge(&other);
        assert_eq!((both.total(), both.max()), (4, Some(9)));
        assert_eq!(
            [25, 50, 75, 100].map(|percent| both.percentile(percent)),
            [1, 2, 2, 9].map(Some)
        );
    }

    #[test]
    fn nothing_has_no_percentile() {
        let empty = Histogram::default();
        assert_eq!((empty.percentile(50), empty.max(), empty.total()), (None, None, 0));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let mut histogram = Histogram::default();
        histogram.add(u64::MAX);
        assert_eq!(histogram.percentile(50), Some(MAX_VALUE));
        assert_eq!(bucket(MAX_VALUE) + 1, 34 * 64 + 64);
    }
}
