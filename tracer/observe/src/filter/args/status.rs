//! `--status`: statuses, classes and ranges of them.

use std::str::FromStr;

use super::misplaced::{Misplaced, end_of, rest_from};

/// Ranges of statuses, of which one must match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Statuses(Vec<Range>);

/// A range of statuses: the first and the last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Range(u16, u16);

impl Statuses {
    /// Returns whether `status` is in one of the ranges.
    pub(crate) fn contains(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|Range(first, last)| (first..=last).contains(&&status))
    }
}

impl FromStr for Statuses {
    type Err = Misplaced;

    fn from_str(given: &str) -> Result<Self, Misplaced> {
        let items = given.split(',').map(str::trim);
        let ranges: Result<_, _> = items.map(parse_item).collect();
        ranges
            .map(Self)
            .map_err(|Wrong { at, reason }| Misplaced::new("status", given, at, reason))
    }
}

/// Why an item of the list is wrong, and the part of it that begins there.
struct Wrong<'a> {
    at: &'a str,
    reason: &'static str,
}

impl<'a> Wrong<'a> {
    const fn new(at: &'a str) -> Self {
        let reason = "wanted a status such as 404, a class from 1xx to 5xx, or a range such as 400-499";
        Self { at, reason }
    }
}

fn parse_item(item: &str) -> Result<Range, Wrong<'_>> {
    if let Some((first, last)) = item.split_once('-') {
        let range = Range(parse_status(first)?, parse_status(last)?);
        let is_empty = range.0 > range.1;
        let reason = "the range ends before it begins";
        return if is_empty {
            Err(Wrong { at: last, reason })
        } else {
            Ok(range)
        };
    }
    match item.as_bytes() {
        [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
            let first = u16::from(class - b'0') * 100;
            Ok(Range(first, first + 99))
        }
        [_, b'x' | b'X', b'x' | b'X'] => Err(Wrong::new(item)),
        _ => parse_status(item).map(|status| Range(status, status)),
    }
}

/// Parses three digits. Some servers use statuses beyond the classes of RFC 9110 section 15.
fn parse_status(text: &str) -> Result<u16, Wrong<'_>> {
    let rest = rest_from(text, |character| character.is_ascii_digit());
    if !rest.is_empty() {
        return Err(Wrong::new(rest));
    }
    if let Some(rest) = text.get(3..).filter(|rest| !rest.is_empty()) {
        return Err(Wrong::new(rest));
    }
    let status = text.parse().map_err(|_short| Wrong::new(end_of(text)))?;
    match (text.len(), status) {
        (3, 100..) => Ok(status),
        (3, _) => Err(Wrong::new(text)),
        _ => Err(Wrong::new(end_of(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_a_class_or_a_range() {
        for (given, ranges) in [
            ("404", &[Range(404, 404)][..]),
            ("5xx", &[Range(500, 599)]),
            ("1XX", &[Range(100, 199)]),
            ("400-499", &[Range(400, 499)]),
            ("999", &[Range(999, 999)]),
            ("5xx,404", &[Range(500, 599), Range(404, 404)]),
            ("404, 200-204", &[Range(404, 404), Range(200, 204)]),
        ] {
            assert_eq!(given.parse::<Statuses>().unwrap(), Statuses(ranges.to_vec()), "{given}");
        }
    }

    #[test]
    fn another_status_is_marked_where_it_is_wrong() {
        for (given, column) in [
            ("", 0),
            ("x", 0),
            ("99", 2),
            ("xx", 0),
            ("0xx", 0),
            ("6xx", 0),
            ("50xx", 2),
            ("500-400", 4),
            ("1000", 3),
            ("099", 0),
            ("+20", 0),
            ("4xx-5xx", 1),
            ("5xx,", 4),
            (",5xx", 0),
            ("5xx,,404", 4),
            ("5xx,abc", 4),
            ("404,  50", 8),
        ] {
            let error = given.parse::<Statuses>().unwrap_err().to_string();
            let mark = format!("\n    {given}\n    {:column$}^\n", "");
            assert!(error.contains(&mark), "{given}: {error}");
        }
    }
}
