//! `--rate-limit`: a number of exchanges per second, minute or hour.

use std::{str::FromStr, time::Duration};

use super::misplaced::{Misplaced, end_of, rest_from};
use crate::limits::MAX_RATE;

/// A number of exchanges in a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::filter) struct Rate {
    /// From 1 to [`MAX_RATE`].
    pub(in crate::filter) count: usize,
    /// The time.
    pub(in crate::filter) period: Duration,
}

impl FromStr for Rate {
    type Err = Misplaced;

    fn from_str(given: &str) -> Result<Self, Misplaced> {
        let wrong = |place: &str| {
            let reason = format!("wanted a rate such as 100/s, 10/m or 10/h, from 1 to {MAX_RATE}");
            Misplaced::new("rate", given, place, reason)
        };
        let rest = rest_from(given, |character| character.is_ascii_digit());
        let count = given.strip_suffix(rest).unwrap_or(given);
        let unit = rest.strip_prefix('/').ok_or_else(|| wrong(rest))?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            // The first character is right, so the second is wrong.
            _ if unit.starts_with(['s', 'm', 'h']) => return Err(wrong(unit.get(1..).unwrap_or_else(|| end_of(unit)))),
            _ => return Err(wrong(unit)),
        };
        Ok(Self {
            count: count
                .parse()
                .ok()
                .filter(|count| (1..=MAX_RATE).contains(count))
                .ok_or_else(|| wrong(count))?,
            period: Duration::from_secs(seconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_per_second_minute_or_hour() {
        for (given, count, seconds) in [("100/s", 100, 1), ("1/m", 1, 60), ("100000/h", MAX_RATE, 3600)] {
            let period = Duration::from_secs(seconds);
            assert_eq!(given.parse::<Rate>().unwrap(), Rate { count, period }, "{given}");
        }
    }

    #[test]
    fn another_rate_is_marked_where_it_is_wrong() {
        for (given, column) in [
            ("", 0),
            ("100", 3),
            ("100s", 3),
            ("100/", 4),
            ("100/x", 4),
            ("100/sec", 5),
            ("/s", 0),
            ("0/s", 0),
            ("-1/s", 0),
            ("1.5/s", 1),
            ("100001/s", 0),
            ("99999999999999999999/s", 0),
        ] {
            let error = given.parse::<Rate>().unwrap_err().to_string();
            let mark = format!("\n    {given}\n    {:column$}^\n", "");
            assert!(error.contains(&mark), "{given}: {error}");
        }
    }
}
