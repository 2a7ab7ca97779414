//! `--sample`: a fraction of the exchanges.

use std::str::FromStr;

use super::misplaced::{Misplaced, end_of, rest_from};

/// A fraction of all exchanges, above 0 and at most 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::filter) struct Fraction {
    /// How many are kept of [`of`](Self::of).
    pub(in crate::filter) kept: u32,
    /// At least as many as are kept.
    pub(in crate::filter) of: u32,
}

impl FromStr for Fraction {
    type Err = Misplaced;

    fn from_str(given: &str) -> Result<Self, Misplaced> {
        let wrong = |place: &str| Misplaced::new("sample", given, place, "wanted a fraction such as 1/100, at most 1");
        let (kept, of) = given
            .split_once('/')
            .ok_or_else(|| wrong(rest_from(given, |character| character.is_ascii_digit())))?;
        let [kept_count, of_count] = [kept, of].map(|text| parse(text).map_err(wrong));
        let fraction = Self {
            kept: kept_count?,
            of: of_count?,
        };
        if fraction.kept > fraction.of {
            return Err(wrong(of));
        }
        Ok(fraction)
    }
}

/// Parses a number above 0, or returns where it is wrong.
fn parse(text: &str) -> Result<u32, &str> {
    let rest = rest_from(text, |character| character.is_ascii_digit());
    if !rest.is_empty() || text.is_empty() {
        return Err(if rest.is_empty() { end_of(text) } else { rest });
    }
    text.parse().ok().filter(|number| *number > 0).ok_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_above_0_and_at_most_1() {
        for (given, kept, of) in [
            ("1/100", 1, 100),
            ("3/4", 3, 4),
            ("1/1", 1, 1),
            ("4294967295/4294967295", u32::MAX, u32::MAX),
        ] {
            assert_eq!(given.parse::<Fraction>().unwrap(), Fraction { kept, of }, "{given}");
        }
    }

    #[test]
    fn another_fraction_is_marked_where_it_is_wrong() {
        for (given, column) in [
            ("", 0),
            ("1", 1),
            ("0.01", 1),
            ("1%", 1),
            ("0/5", 0),
            ("1/0", 2),
            ("/5", 0),
            ("1/", 2),
            ("1/x", 2),
            ("1/1x0", 3),
            ("-1/5", 0),
            ("1/4294967296", 2),
            ("5/4", 2),
        ] {
            let error = given.parse::<Fraction>().unwrap_err().to_string();
            let mark = format!("\n    {given}\n    {:column$}^\n", "");
            assert!(error.contains(&mark), "{given}: {error}");
        }
    }
}
