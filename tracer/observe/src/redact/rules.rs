//! The user's rules, in addition to the built-in ones or instead of them.
//!
//! A name that no field can have and a pattern that cannot mask anything are errors: a rule that silently does nothing is a
//! leak.

use std::str::FromStr;

use regex::bytes::Regex;

use super::{FingerprintKey, Glob, RuleError, secrets::Secrets};

/// What is masked, and how.
#[derive(Clone, Default)]
pub struct Rules {
    /// Names of fields and parameters whose values are masked too.
    pub names: Vec<NameRule>,
    /// Patterns whose matches in any value, path or authority are masked too.
    pub patterns: Vec<PatternRule>,
    /// The key for the fingerprints in masks; without one, masks have none.
    pub fingerprint: Option<FingerprintKey>,
    /// Turns off the built-in rules, but not `names` and `patterns`.
    pub show: bool,
}

/// A name of fields and parameters, in which `*` matches any number of characters.
#[derive(Clone, Debug)]
pub struct NameRule(Glob);

impl FromStr for NameRule {
    type Err = RuleError;

    fn from_str(name: &str) -> Result<Self, RuleError> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"=&?;,\"".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(RuleError::Name);
        }
        Ok(Self(Glob::new(name)))
    }
}

/// A regular expression that does not match the empty string.
#[derive(Clone, Debug)]
pub struct PatternRule(Regex);

impl FromStr for PatternRule {
    type Err = RuleError;

    fn from_str(pattern: &str) -> Result<Self, RuleError> {
        let regex = Regex::new(pattern)?;
        if regex.is_match(b"") {
            return Err(RuleError::EmptyMatch);
        }
        Ok(Self(regex))
    }
}

/// The user's own names and patterns.
pub(super) struct Extra {
    names: Vec<NameRule>,
    patterns: Vec<PatternRule>,
}

impl Extra {
    pub(super) const fn new(names: Vec<NameRule>, patterns: Vec<PatternRule>) -> Self {
        Self { names, patterns }
    }

    /// Returns whether the user named this field or parameter.
    pub(super) fn names(&self, name: &[u8]) -> bool {
        self.names.iter().any(|NameRule(glob)| glob.matches(name))
    }

    /// Marks what the user's patterns match.
    pub(super) fn mark(&self, value: &[u8], secrets: &mut Secrets) {
        for PatternRule(pattern) in &self.patterns {
            for found in pattern.find_iter(value) {
                secrets.mark(found.range());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_does_not_compile_is_an_error() {
        assert!(matches!("(".parse::<PatternRule>(), Err(RuleError::Pattern(_))));
    }

    #[test]
    fn a_pattern_that_matches_the_empty_string_is_an_error() {
        assert!(matches!("x*".parse::<PatternRule>(), Err(RuleError::EmptyMatch)));
    }

    #[test]
    fn a_name_no_field_can_have_is_an_error() {
        for name in ["", "two words", "a=b", "caf\u{e9}"] {
            assert!(matches!(name.parse::<NameRule>(), Err(RuleError::Name)), "{name}");
        }
        for name in ["X-Tenant*", "user[pin]"] {
            name.parse::<NameRule>().unwrap();
        }
    }
}
