//! Mistakes in a policy, with their place.

use std::{fmt, ops::Range};

/// A mistake in a policy: a text that is not TOML, a rule that is not complete, or a value that no rule can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Mistake {
    /// Number of the line, from 1 on.
    line: usize,
    /// Number of the character in it, from 1 on.
    column: usize,
    /// The line.
    text: String,
    reason: String,
}

impl Mistake {
    /// Creates an error at a range of bytes of a policy; at its end if the range is beyond.
    pub(super) fn new(policy: &str, range: &Range<usize>, reason: impl Into<String>) -> Self {
        let before = policy.get(..range.start).unwrap_or(policy);
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = policy.get(begin..).and_then(|rest| rest.lines().next());
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(begin..).unwrap_or_default().chars().count() + 1,
            // A control character would move what follows away from its column.
            text: line.unwrap_or_default().replace(char::is_control, "\u{fffd}"),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            text,
            reason,
        } = self;
        write!(
            f,
            "line {line}, column {column}:\n    {text}\n    {:before$}^\nerror: {reason}",
            "",
            before = column - 1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_marked_in_its_line() {
        let policy = "a = 1\nb\u{e9} = \"(\"\n";
        let at = policy.find('"').unwrap();
        assert_eq!(
            Mistake::new(policy, &(at..at + 3), "no").to_string(),
            "line 2, column 6:\n    b\u{e9} = \"(\"\n         ^\nerror: no"
        );
        let end = Mistake::new(policy, &(policy.len()..policy.len()), "short").to_string();
        assert_eq!(end, "line 3, column 1:\n    \n    ^\nerror: short");
    }
}
