//! Times as they are printed.

use std::{
    fmt::{self, Display, Formatter},
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

/// A time as RFC 3339 has it, in UTC and with nanoseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Time {
    text: [u8; 30],
    /// Since 1970.
    since: Duration,
}

impl Time {
    /// Formats a time. A damaged tape can have one before 1970 or after 9999, which RFC 3339 cannot represent; it is clamped.
    pub fn new(time: SystemTime) -> Self {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .min(LATEST);
        let (seconds, nanos) = (since.as_secs(), u64::from(since.subsec_nanos()));
        let (year, month, day) = date(seconds / DAY);
        let [[y0, y1], [y2, y3], [m0, m1], [d0, d1]] = [year / 100, year, month, day].map(two_digits);
        let time = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
        let [[h0, h1], [n0, n1], [s0, s1]] = time.map(two_digits);
        let [_, f0] = two_digits(nanos / 100_000_000);
        let [[f1, f2], [f3, f4], [f5, f6], [f7, f8]] = [1_000_000, 10_000, 100, 1].map(|unit| two_digits(nanos / unit));
        let text = [
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', f0, f1, f2, f3,
            f4, f5, f6, f7, f8, b'Z',
        ];
        Self { text, since }
    }

    /// Formats a time, of which all but the fraction of the second is often that of `last`, the one formatted before.
    pub(super) fn after(last: &mut Option<(u64, Self)>, time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        match last {
            Some((
                seconds,
                Self {
                    text: [second @ .., _, _, _, _, _, _, _, _, _, _],
                    since: _,
                },
            )) if *seconds == since.as_secs() => {
                let mut text = [b'Z'; 30];
                let (begin, fraction) = text.split_at_mut(second.len());
                begin.copy_from_slice(second);
                let mut rest = since.subsec_nanos();
                for digit in fraction.iter_mut().rev().skip(1) {
                    *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                    rest /= 10;
                }
                Self { text, since }
            }
            _ => {
                let formatted = Self::new(time);
                *last = (since.as_secs() < LATEST.as_secs()).then_some((since.as_secs(), formatted));
                formatted
            }
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the duration since 1970.
    pub const fn since_epoch(&self) -> Duration {
        self.since
    }

    /// Returns the time whose text has the date and the time of day of a zone that is `seconds` ahead of UTC.
    pub(crate) fn shifted(&self, seconds: i32) -> Self {
        let offset = Duration::from_secs(seconds.unsigned_abs().into());
        let since = if seconds < 0 {
            self.since.saturating_sub(offset)
        } else {
            self.since.saturating_add(offset)
        };
        Self::new(SystemTime::UNIX_EPOCH + since.min(LATEST))
    }
}

impl Display for Time {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            serializer.serialize_bytes(&self.text)
        }
    }
}

/// Returns year, month and day of a day counted from 1970 in the Gregorian calendar.
const fn date(day: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day is the last of its year, and in eras of 400 years.
    let day = day + DAYS_BEFORE_1970;
    let (era, day) = (day / DAYS_OF_ERA, day % DAYS_OF_ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + later, month, day - first + 1)
}

/// Returns the last two digits.
fn two_digits(value: u64) -> [u8; 2] {
    let value = u8::try_from(value % 100).unwrap_or_default();
    [b'0' + value / 10, b'0' + value % 10]
}

/// The last second of 9999.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Days of 400 years.
const DAYS_OF_ERA: u64 = 146_097;

/// Days from 1 March of the year 0 to 1970.
const DAYS_BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::{prelude::any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_formatted_as_rfc_3339(seconds in 0_u64..253_402_300_799, nanos in 0_u32..1_000_000_000) {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
            let wanted = humantime::format_rfc3339_nanos(time).to_string();
            prop_assert_eq!(Time::new(time).to_string(), wanted);
        }

        #[test]
        fn a_time_after_another_is_formatted_as_alone(
            seconds in proptest::collection::vec((0_u64..3, any::<bool>()), 1..6), nanos in 0_u32..1_000_000_000,
        ) {
            let mut last = None;
            for (seconds, latest) in seconds {
                let seconds = if latest { LATEST.as_secs() - 1 + seconds } else { seconds };
                let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
                prop_assert_eq!(Time::after(&mut last, time), Time::new(time));
            }
        }

        #[test]
        fn every_day_is_that_of_the_calendar(day in any::<u16>()) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(day) * DAY);
            let wanted = humantime::format_rfc3339_nanos(time).to_string();
            prop_assert_eq!(Time::new(time).to_string(), wanted);
        }
    }

    #[test]
    fn a_shifted_time_has_the_date_and_the_time_of_day_of_the_zone() {
        let time = Time::new(SystemTime::UNIX_EPOCH + Duration::new(1_795_247_100, 5));
        assert_eq!(time.as_str(), "2026-11-21T07:45:00.000000005Z");
        assert_eq!(time.shifted(20_700).as_str(), "2026-11-21T13:30:00.000000005Z");
        assert_eq!(time.shifted(-28_800).as_str(), "2026-11-20T23:45:00.000000005Z");
        let first = Time::new(SystemTime::UNIX_EPOCH);
        assert_eq!(first.shifted(-1), first);
        assert_eq!(
            Time::new(SystemTime::UNIX_EPOCH + LATEST).shifted(i32::MAX).since,
            LATEST
        );
    }

    #[test]
    fn a_time_out_of_range_is_clamped() {
        let late = SystemTime::UNIX_EPOCH + LATEST;
        for (time, text) in [
            (
                SystemTime::UNIX_EPOCH - Duration::from_secs(1),
                "1970-01-01T00:00:00.000000000Z",
            ),
            (late, "9999-12-31T23:59:59.000000000Z"),
            (late + Duration::from_nanos(1), "9999-12-31T23:59:59.000000000Z"),
        ] {
            assert_eq!(Time::new(time).as_str(), text);
        }
    }
}
