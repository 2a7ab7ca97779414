//! `--header`: the name of a field, and a pattern for its value.

use std::str::FromStr;

use regex::Regex;

use super::misplaced::{Misplaced, end_of, rest_from};
use crate::redact::{ExchangeLine, FieldLine};

/// The name of a field, and a pattern for its value.
#[derive(Clone, Debug)]
pub(in crate::filter) struct FieldPattern {
    name: String,
    value: Option<Regex>,
}

/// The name or the pattern of a field is not valid.
#[derive(Debug, thiserror::Error)]
pub(in crate::filter) enum FieldPatternError {
    /// The name is not a token.
    #[error(transparent)]
    Name(#[from] Misplaced),
    /// The pattern is not a regular expression.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
}

impl FromStr for FieldPattern {
    type Err = FieldPatternError;

    /// Parses `NAME`, `NAME=REGEX` or `NAME: REGEX`. No name has `=`, and a colon only before the name of a pseudo-header field,
    /// so the first of either ends it.
    fn from_str(given: &str) -> Result<Self, FieldPatternError> {
        let begin = usize::from(given.starts_with(':'));
        let end = given
            .char_indices()
            .find(|(at, character)| *at >= begin && matches!(character, '=' | ':'));
        let (name, pattern) = match end {
            Some((at, separator)) => {
                let (name, rest) = given.split_at_checked(at).unwrap_or((given, ""));
                let pattern = rest.strip_prefix(separator).unwrap_or(rest);
                let is_colon = separator == ':';
                (
                    name,
                    Some(if is_colon {
                        pattern.trim_start_matches([' ', '\t'])
                    } else {
                        pattern
                    }),
                )
            }
            None => (given, None),
        };
        let token = name.strip_prefix(':').unwrap_or(name);
        let rest = rest_from(token, is_token);
        if token.is_empty() || !rest.is_empty() {
            let place = if token.is_empty() { end_of(name) } else { rest };
            let reason = "no header field has such a name; wanted NAME, NAME=REGEX or 'NAME: REGEX'";
            return Err(Misplaced::new("header", given, place, reason).into());
        }
        Ok(Self {
            name: name.to_owned(),
            value: pattern.map(Regex::new).transpose()?,
        })
    }
}

impl FieldPattern {
    /// Returns whether a field of the request or of the response matches.
    pub(in crate::filter) fn is_in(&self, exchange: &ExchangeLine<'_>) -> bool {
        let request = exchange
            .request
            .iter()
            .flat_map(|request| request.headers.iter().chain(&request.trailers));
        let response = exchange
            .response
            .iter()
            .flat_map(|response| response.headers.iter().chain(&response.trailers));
        request.chain(response).any(|field| self.matches(field))
    }

    fn matches(&self, (name, value): &FieldLine<'_>) -> bool {
        name.as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.name))
            && self
                .value
                .as_ref()
                .is_none_or(|regex| value.as_deref().is_some_and(|value| regex.is_match(value)))
    }
}

/// Returns whether a character is part of a token (RFC 9110 section 5.6.2).
const fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '!' | '#'..='\'' | '*' | '+' | '-' | '.' | '^'..='`' | '|' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_follows_an_equals_sign_or_a_colon() {
        for (given, name, pattern) in [
            ("x-tenant", "x-tenant", None),
            ("x-tenant=", "x-tenant", Some("")),
            ("x-tenant=^acme", "x-tenant", Some("^acme")),
            ("x-tenant=a:b", "x-tenant", Some("a:b")),
            ("x-tenant= a", "x-tenant", Some(" a")),
            ("x-tenant:^acme", "x-tenant", Some("^acme")),
            ("x-tenant: \t^acme ", "x-tenant", Some("^acme ")),
            ("x-tenant: a=b:c", "x-tenant", Some("a=b:c")),
            (":path=x", ":path", Some("x")),
            (":path", ":path", None),
        ] {
            let parsed: FieldPattern = given.parse().unwrap();
            assert_eq!(
                (&*parsed.name, parsed.value.as_ref().map(Regex::as_str)),
                (name, pattern),
                "{given}"
            );
        }
    }

    #[test]
    fn a_name_that_is_no_token_is_marked() {
        for (given, column) in [
            ("", 0),
            ("=x", 0),
            (":", 1),
            (": x", 1),
            ("two words", 3),
            ("\u{e9}a: x", 0),
        ] {
            let error = given.parse::<FieldPattern>().unwrap_err();
            assert!(matches!(error, FieldPatternError::Name(_)), "{given}");
            let mark = format!("\n    {given}\n    {:column$}^\n", "");
            assert!(error.to_string().contains(&mark), "{given}: {error}");
        }
    }

    #[test]
    fn a_pattern_must_compile() {
        for given in ["a=(", "a: ("] {
            let error = given.parse::<FieldPattern>().unwrap_err();
            assert!(matches!(error, FieldPatternError::Pattern(_)), "{given}");
        }
    }
}
