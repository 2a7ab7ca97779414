//! What the user wants masked beyond, or instead of, the rules that are always there.
//!
//! In: [`Rules`], as typed. Out: [`Extra`], checked. Refuses a name no field can have, and a pattern that does not
//! compile or that matches nothing at all: a rule that silently does nothing is a leak.

use regex::bytes::Regex;

use super::{Error, FingerprintKey, Glob, describe_pattern, secrets::Secrets};

/// What to mask, and how.
#[derive(Default)]
pub struct Rules {
    /// Field and parameter names to mask in addition; `*` stands for any run of characters.
    pub names: Vec<String>,
    /// Regular expressions; what they match in a value, a path or an authority is masked in addition.
    pub patterns: Vec<String>,
    /// The key with which masked values get a fingerprint.
    pub fingerprint: Option<FingerprintKey>,
    /// Turns the built-in rules off; `names` and `patterns` still hold.
    pub show: bool,
}

/// The user's own names and patterns.
pub(super) struct Extra {
    names: Vec<Glob>,
    patterns: Vec<Regex>,
}

impl Extra {
    /// Checks the user's names and patterns.
    pub(super) fn new(names: &[String], patterns: &[String]) -> Result<Self, Error> {
        Ok(Self {
            names: names.iter().map(|name| parse_name(name)).collect::<Result<_, _>>()?,
            patterns: patterns
                .iter()
                .map(|pattern| parse_pattern(pattern))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Tells whether the user named this field or parameter.
    pub(super) fn names(&self, name: &[u8]) -> bool {
        self.names.iter().any(|glob| glob.matches(name))
    }

    /// Marks what the user's patterns match.
    pub(super) fn mark(&self, value: &[u8], secrets: &mut Secrets) {
        for pattern in &self.patterns {
            for found in pattern.find_iter(value) {
                secrets.mark(found.range());
            }
        }
    }
}

fn parse_name(name: &str) -> Result<Glob, Error> {
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"=&?;,\"".contains(&byte))
    {
        return Err(Error::Name(name.to_owned()));
    }
    Ok(Glob::new(name))
}

fn parse_pattern(pattern: &str) -> Result<Regex, Error> {
    let refused = |error| Error::Pattern {
        pattern: pattern.to_owned(),
        reason: describe_pattern(&error),
    };
    let regex = Regex::new(pattern).map_err(refused)?;
    if regex.is_match(b"") {
        return Err(Error::EmptyMatch(pattern.to_owned()));
    }
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(names: &[&str], patterns: &[&str]) -> Option<Error> {
        let owned = |given: &[&str]| given.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Extra::new(&owned(names), &owned(patterns)).err()
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_an_error() {
        assert!(matches!(refused(&[], &["fine", "("]), Some(Error::Pattern { .. })));
    }

    #[test]
    fn a_pattern_that_matches_nothing_at_all_is_an_error() {
        assert!(matches!(refused(&[], &["x*"]), Some(Error::EmptyMatch(_))));
    }

    #[test]
    fn a_name_no_field_can_have_is_an_error() {
        for name in ["", "two words", "a=b", "caf\u{e9}"] {
            assert!(matches!(refused(&[name], &[]), Some(Error::Name(_))), "{name}");
        }
        assert!(refused(&["X-Tenant*", "user[pin]"], &[]).is_none());
    }
}
