//! The limit on the rate of exchanges, by the clock of the records.

use std::{collections::VecDeque, time::Duration};

use super::args::Rate;

/// Lets at most a number of exchanges pass in any period, and counts the others.
#[derive(Debug)]
pub(super) struct RateLimit {
    rate: Rate,
    /// When the last exchanges passed, at most as many as may pass in a period.
    passed_ns: VecDeque<u64>,
    /// The latest time that was given.
    latest_ns: u64,
    /// The number of exchanges that were left out.
    pub(super) left_out: u64,
}

impl RateLimit {
    pub(super) const fn new(rate: Rate) -> Self {
        Self {
            rate,
            passed_ns: VecDeque::new(),
            latest_ns: 0,
            left_out: 0,
        }
    }

    /// Returns whether an exchange passes at `at_ns`, and counts it if not. A time before an earlier one, of a record that
    /// was late, counts as the latter.
    pub(super) fn passes(&mut self, at_ns: u64) -> bool {
        self.latest_ns = self.latest_ns.max(at_ns);
        let Rate { count, period } = self.rate;
        if self.passed_ns.len() >= count {
            let elapsed = self.passed_ns.front().map(|first_ns| self.latest_ns - first_ns);
            if elapsed.is_some_and(|nanos| Duration::from_nanos(nanos) < period) {
                self.left_out += 1;
                return false;
            }
            self.passed_ns.pop_front();
        }
        self.passed_ns.push_back(self.latest_ns);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limit(count: usize) -> RateLimit {
        let period = Duration::from_secs(1);
        RateLimit::new(Rate { count, period })
    }

    proptest! {
        #[test]
        fn no_period_has_more_than_the_rate_and_the_others_are_counted(
            count in 1_usize..6, steps in vec(-1_000_000_i64..400_000_000, 0..60),
        ) {
            let mut limit = limit(count);
            let mut now_ns = 10 * SECOND;
            let mut passed = Vec::new();
            let mut latest_ns = 0;
            for step in &steps {
                now_ns = now_ns.saturating_add_signed(*step);
                latest_ns = latest_ns.max(now_ns);
                if limit.passes(now_ns) {
                    passed.push(latest_ns);
                } else {
                    // It is left out only if the period that ends with it is full.
                    let recent = passed.iter().filter(|at_ns| latest_ns - **at_ns < SECOND).count();
                    prop_assert_eq!(recent, count);
                }
            }
            for from_ns in &passed {
                let within = passed.iter().filter(|at_ns| (*from_ns..from_ns + SECOND).contains(at_ns)).count();
                prop_assert!(within <= count);
            }
            prop_assert_eq!(passed.len() + usize::try_from(limit.left_out).unwrap(), steps.len());
            prop_assert!(limit.passed_ns.len() <= count);
        }
    }

    #[test]
    fn a_period_ends_when_it_is_over() {
        let mut limit = limit(2);
        let passed: Vec<_> = [1, 2, 3, SECOND, SECOND + 1, SECOND + 1, SECOND + 2]
            .into_iter()
            .filter(|at_ns| limit.passes(*at_ns))
            .collect();
        assert_eq!((passed, limit.left_out), (vec![1, 2, SECOND + 1, SECOND + 2], 3));
    }
}
