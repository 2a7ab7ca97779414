//! Patterns that values must match.
//!
//! Most of them say which characters a value may have, as `^[0-9a-f]{8,}$` does. A table decides these for a third of what a
//! search costs, and ids, which are new with each request, are not remembered.

use regex::bytes::Regex;
use regex_syntax::hir::{Class, HirKind, Look};

/// A pattern that values must match.
#[derive(Debug)]
pub(super) enum Pattern {
    /// A value is a run of characters of a set.
    Run(Run),
    /// Anything else.
    Other(Regex),
}

/// A run of characters of a set, from the begin of a value to its end.
#[derive(Debug)]
pub(super) struct Run {
    is_in: Box<[bool; 256]>,
    fewest: usize,
    most: usize,
}

impl Pattern {
    pub(super) fn new(regex: &Regex) -> Self {
        Run::of(regex.as_str()).map_or_else(|| Self::Other(regex.clone()), Self::Run)
    }

    #[inline]
    pub(super) fn is_match(&self, value: &[u8]) -> bool {
        match self {
            Self::Run(run) => run.is_match(value),
            Self::Other(regex) => regex.is_match(value),
        }
    }
}

impl Run {
    /// Returns the run that a pattern is; `None` if it is anything else.
    fn of(pattern: &str) -> Option<Self> {
        let parsed = regex_syntax::parse(pattern).ok()?;
        let HirKind::Concat(parts) = parsed.kind() else {
            return None;
        };
        let [begin, repeated, end] = &parts[..] else {
            return None;
        };
        let HirKind::Repetition(repetition) = repeated.kind() else {
            return None;
        };
        let HirKind::Class(class) = repetition.sub.kind() else {
            return None;
        };
        let is_whole = *begin.kind() == HirKind::Look(Look::Start) && *end.kind() == HirKind::Look(Look::End);
        let most = match repetition.max {
            Some(most) => usize::try_from(most).ok()?,
            None => usize::MAX,
        };
        Some(Self {
            is_in: Box::new(set(class).filter(|_| is_whole)?),
            fewest: usize::try_from(repetition.min).ok()?,
            most,
        })
    }

    #[inline]
    fn is_match(&self, value: &[u8]) -> bool {
        let is_in = |byte: &u8| self.is_in.get(usize::from(*byte)).is_some_and(|is_in| *is_in);
        (self.fewest..=self.most).contains(&value.len()) && value.iter().all(is_in)
    }
}

/// Returns the bytes of a class; `None` if it has characters of several bytes.
fn set(class: &Class) -> Option<[bool; 256]> {
    let ranges = match class {
        Class::Unicode(class) => {
            let ranges = class.ranges().iter();
            let ascii = ranges.map(|range| [range.start(), range.end()].map(|character| u8::try_from(character).ok()));
            ascii.collect::<Vec<_>>()
        }
        Class::Bytes(class) => {
            let ranges = class.ranges().iter();
            ranges.map(|range| [Some(range.start()), Some(range.end())]).collect()
        }
    };
    let mut set = [false; 256];
    for range in ranges {
        let [Some(first), Some(last)] = range else {
            return None;
        };
        // Beyond ASCII, a character has more bytes than one.
        if !last.is_ascii() {
            return None;
        }
        set.get_mut(usize::from(first)..=usize::from(last))?.fill(true);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest, sample::select};

    use super::*;

    /// Patterns, and whether a table decides them.
    const PATTERNS: [(&str, bool); 16] = [
        ("^[0-9a-f]{8,}$", true),
        ("^[0-9a-fA-F.:, ]+$", true),
        ("^[a-c]*$", true),
        ("^[ab]{2,3}$", true),
        ("^[^a]+$", false),
        ("^(?-u)[a-c\\n]+$", true),
        ("(?i)^[a-c]{1,}$", true),
        ("(?x) ^ [a-c]+ $ # all of it", true),
        ("(?m)^[a-c]+$", false),
        ("^[a-c]+", false),
        ("[a-c]+$", false),
        ("^[a-c\u{e9}]+$", false),
        ("^([a-c]+)$", false),
        ("^[a-c]+b$", false),
        ("^a+$", false),
        ("", false),
    ];

    #[test]
    fn a_run_of_ascii_characters_is_decided_by_a_table() {
        for (pattern, is_run) in PATTERNS {
            let found = Pattern::new(&Regex::new(pattern).unwrap());
            assert_eq!(matches!(found, Pattern::Run(_)), is_run, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_regular_expression_does(
            (pattern, _) in select(&PATTERNS[..]),
            value in vec(select(&b"abcABC09.:, \n\xc3\xa9"[..]), 0..12),
            other in vec(any::<u8>(), 0..4),
        ) {
            let regex = Regex::new(pattern).unwrap();
            for value in [&value, &other] {
                prop_assert_eq!(Pattern::new(&regex).is_match(value), regex.is_match(value));
            }
        }
    }
}
