//! When a file is rotated, and what becomes of it.

use std::{str::FromStr, time::Duration};

use super::{compression::Compression, keep::Keep, size};

/// One occasion on which a file is rotated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rotate {
    /// Before it would be larger than this many bytes.
    Size(u64),
    /// When the first line comes after this time.
    Every(Duration),
}

impl FromStr for Rotate {
    type Err = String;

    /// Parses a size such as `100MiB`, or a time such as `1h`.
    fn from_str(word: &str) -> Result<Self, String> {
        let wanted = || "wanted a size such as 100MiB, or a time such as 1h".to_owned();
        if size::has_unit(word) {
            return size::parse(word).map(Self::Size).ok_or_else(wanted);
        }
        match humantime::parse_duration(word) {
            Ok(every) if every >= Duration::from_secs(1) => Ok(Self::Every(every)),
            Ok(_) | Err(_) => Err(wanted()),
        }
    }
}

/// What to do with a file that grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rotation {
    /// On each of these occasions it is rotated.
    pub(crate) when: Vec<Rotate>,
    /// Which rotated files are kept.
    pub(crate) keep: Keep,
    /// How rotated files are compressed.
    pub(crate) compression: Option<Compression>,
    /// Whether it is said which files are removed.
    pub(crate) verbose: bool,
}

impl Rotation {
    pub(super) const fn is_wanted(&self) -> bool {
        !self.when.is_empty()
    }

    /// Returns whether a file of this size and age is rotated before so many bytes are added to it.
    pub(super) fn is_due(&self, size: u64, coming: u64, age: Duration) -> bool {
        size > 0
            && self.when.iter().any(|rotate| match rotate {
                Rotate::Size(bound) => size.saturating_add(coming) > *bound,
                Rotate::Every(every) => age >= *every,
            })
    }

    /// Returns how many bytes a file of this size has room for.
    pub(super) fn room(&self, size: u64) -> u64 {
        let rooms = self.when.iter().filter_map(|rotate| match rotate {
            Rotate::Size(bound) => Some(bound.saturating_sub(size)),
            Rotate::Every(_) => None,
        });
        rooms.min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_binary_unit_and_a_time_has_any() {
        for (word, rotate) in [
            ("100MiB", Rotate::Size(100 << 20)),
            ("1KiB", Rotate::Size(1 << 10)),
            ("2GiB", Rotate::Size(2 << 30)),
            ("1h", Rotate::Every(Duration::from_hours(1))),
            ("1day", Rotate::Every(Duration::from_hours(24))),
        ] {
            assert_eq!(word.parse(), Ok(rotate));
        }
        for word in [
            "",
            "100",
            "0MiB",
            "-1MiB",
            "1.5MiB",
            "100MB",
            "0s",
            "1ms",
            "18446744073709551615GiB",
            "daily",
        ] {
            Rotate::from_str(word).unwrap_err();
        }
    }

    #[test]
    fn an_empty_file_is_never_rotated() {
        let rotation = Rotation {
            when: vec![Rotate::Size(10), Rotate::Every(Duration::from_mins(1))],
            ..Rotation::default()
        };
        let (short, long) = (Duration::ZERO, Duration::from_mins(2));
        let due = [(0, 11, long), (1, 9, short), (1, 10, short), (1, 1, long)];
        let due = due.map(|(size, coming, age)| rotation.is_due(size, coming, age));
        assert_eq!(due, [false, false, true, true]);
    }
}
