//! What the user wants masked beyond, or instead of, the rules that are always there.
//!
//! In: what was typed. Out: [`Rules`]. Refuses a name no field can have, and a pattern that does not compile or that
//! matches nothing at all: a rule that silently does nothing is a leak.

use std::str::FromStr;

use regex::bytes::Regex;

use super::{FingerprintKey, Glob, RuleError, secrets::Secrets};

/// What to mask, and how.
#[derive(Default)]
pub struct Rules {
    /// Fields and parameters to mask in addition.
    pub names: Vec<NameRule>,
    /// What to mask in addition in a value, a path or an authority.
    pub patterns: Vec<PatternRule>,
    /// The key with which masked values get a fingerprint.
    pub fingerprint: Option<FingerprintKey>,
    /// Turns the built-in rules off; `names` and `patterns` still hold.
    pub show: bool,
}

/// Names of fields and parameters; `*` stands for any run of characters.
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

/// A regular expression that matches something.
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

    /// Tells whether the user named this field or parameter.
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
    fn a_pattern_that_matches_nothing_at_all_is_an_error() {
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
