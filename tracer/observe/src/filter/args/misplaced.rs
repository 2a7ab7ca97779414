//! Errors in the values of flags, with the place marked as the errors of regular expressions mark it.

use std::borrow::Cow;

/// A value that cannot be parsed, and where.
#[derive(Debug, thiserror::Error)]
#[error("{what} parse error:\n    {given}\n    {:column$}^\nerror: {reason}", "")]
pub(crate) struct Misplaced {
    what: &'static str,
    given: String,
    /// Characters before the place.
    column: usize,
    reason: Cow<'static, str>,
}

impl Misplaced {
    /// Creates an error at the beginning of `part`, which must be a slice of `given`.
    pub(super) fn new(what: &'static str, given: &str, part: &str, reason: impl Into<Cow<'static, str>>) -> Self {
        let offset = part.as_ptr().addr().saturating_sub(given.as_ptr().addr());
        let column = given.char_indices().take_while(|(at, _)| *at < offset).count();
        Self {
            what,
            // A control character would move what follows away from its column.
            given: given.replace(char::is_control, "\u{fffd}"),
            column,
            reason: reason.into(),
        }
    }
}

/// Returns the part of `text` that begins with the first character that is not accepted; the end if all are.
pub(super) fn rest_from(text: &str, accepted: impl Fn(char) -> bool) -> &str {
    text.trim_start_matches(accepted)
}

/// Returns the end of `text`.
pub(super) fn end_of(text: &str) -> &str {
    text.get(text.len()..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_marked_below_its_character() {
        let given = "caf\u{e9}\n,x";
        let (_, part) = given.split_at(given.len() - 1);
        assert_eq!(
            Misplaced::new("word", given, part, "no x").to_string(),
            "word parse error:\n    caf\u{e9}\u{fffd},x\n          ^\nerror: no x"
        );
    }

    #[test]
    fn the_end_is_a_place() {
        let given = "ab";
        assert_eq!(
            Misplaced::new("word", given, end_of(given), "too short").to_string(),
            "word parse error:\n    ab\n      ^\nerror: too short"
        );
        assert_eq!(
            (rest_from("12x3", |c| c.is_ascii_digit()), rest_from("1", |_| true)),
            ("x3", "")
        );
    }
}
