//! The filter flags of the command line. A value that no exchange can match is an error.

use std::{str::FromStr, time::Duration};

use regex::Regex;

use crate::redact::{ExchangeLine, FieldLine, Glob};

/// Flags that select exchanges. An exchange must match all flags, and any value of a repeated one.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only exchanges in which the traced process answers (server) or asks (client)
    #[arg(long, value_name = "SIDE")]
    pub(super) side: Option<Side>,
    /// Only requests with this method
    #[arg(long = "method", value_name = "METHOD")]
    pub(super) methods: Vec<String>,
    /// Only requests to this host, port left out; `*` stands for any run of characters
    #[arg(long = "host", value_name = "GLOB", value_parser = parse_glob)]
    pub(super) hosts: Vec<Glob>,
    /// Only requests whose path and query, redacted, this regular expression matches
    #[arg(long = "path", value_name = "REGEX")]
    pub(super) paths: Vec<Regex>,
    /// Only responses with this status: 404, 5xx or 400-499
    #[arg(long = "status", value_name = "STATUS")]
    pub(super) statuses: Vec<Statuses>,
    /// Only exchanges with this header field, its value, redacted, matched by the regular expression
    #[arg(long = "header", value_name = "NAME[=REGEX]")]
    pub(super) headers: Vec<FieldPattern>,
    /// Only exchanges that take longer than this, such as 200ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) slower_than: Option<Duration>,
}

/// The role of the traced process.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Side {
    /// It answers.
    Server,
    /// It asks.
    Client,
}

impl Side {
    /// Returns [`ExchangeLine::side`] for this role.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Server => http_decode::Side::Server.name(),
            Self::Client => http_decode::Side::Client.name(),
        }
    }
}

/// A range of statuses: the first and the last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Statuses(u16, u16);

impl Statuses {
    /// Returns whether `status` is in the range.
    pub(super) fn contains(self, status: u16) -> bool {
        let Self(first, last) = self;
        (first..=last).contains(&status)
    }
}

/// The status, class or range is not valid.
#[derive(Debug, thiserror::Error)]
#[error("wanted a status such as 404, a class from 1xx to 5xx, or a range such as 400-499")]
pub(super) struct StatusError;

impl FromStr for Statuses {
    type Err = StatusError;

    fn from_str(given: &str) -> Result<Self, StatusError> {
        let range = match given.split_once('-') {
            Some((first, last)) => parse_status(first).zip(parse_status(last)),
            None => parse_status(given)
                .map(|status| (status, status))
                .or_else(|| parse_class(given)),
        };
        range
            .filter(|(first, last)| first <= last)
            .map_or(Err(StatusError), |(first, last)| Ok(Self(first, last)))
    }
}

/// Parses three digits. Some servers use statuses beyond the classes of RFC 9110 section 15.
fn parse_status(given: &str) -> Option<u16> {
    let digits = given.len() == 3 && given.bytes().all(|byte| byte.is_ascii_digit());
    given.parse().ok().filter(|status| digits && *status >= 100)
}

/// Parses a class of RFC 9110 section 15, such as `5xx`.
fn parse_class(given: &str) -> Option<(u16, u16)> {
    let class: u16 = given
        .strip_suffix("xx")
        .or_else(|| given.strip_suffix("XX"))?
        .parse()
        .ok()?;
    let first = class.checked_mul(100)?;
    (given.len() == 3 && (1..=5).contains(&class)).then_some((first, first + 99))
}

/// The name of a field, and a pattern for its value.
#[derive(Clone, Debug)]
pub(super) struct FieldPattern {
    name: String,
    value: Option<Regex>,
}

impl FromStr for FieldPattern {
    type Err = FieldPatternError;

    fn from_str(given: &str) -> Result<Self, FieldPatternError> {
        let (name, pattern) = given
            .split_once('=')
            .map_or((given, None), |(name, pattern)| (name, Some(pattern)));
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(FieldPatternError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            value: pattern.map(Regex::new).transpose()?,
        })
    }
}

/// The name or the pattern of a field is not valid.
#[derive(Debug, thiserror::Error)]
pub(super) enum FieldPatternError {
    /// The name is not a token.
    #[error("no header field has such a name; wanted NAME or NAME=REGEX")]
    Name,
    /// The pattern is not a regular expression.
    #[error(transparent)]
    Pattern(#[from] regex::Error),
}

impl FieldPattern {
    /// Returns whether a field of the request or of the response matches.
    pub(super) fn is_in(&self, exchange: &ExchangeLine<'_>) -> bool {
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

/// Returns whether a byte is part of a token (RFC 9110 section 5.6.2), or the colon before the name of a pseudo-header field.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~' | b':')
}

fn parse_glob(given: &str) -> Result<Glob, &'static str> {
    if given.is_empty() {
        return Err("no host has an empty name");
    }
    Ok(Glob::new(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_a_class_or_a_range() {
        for (given, first, last) in [
            ("404", 404, 404),
            ("5xx", 500, 599),
            ("400-499", 400, 499),
            ("999", 999, 999),
        ] {
            assert_eq!(given.parse::<Statuses>().unwrap(), Statuses(first, last), "{given}");
        }
    }

    #[test]
    fn other_statuses_are_an_error() {
        for given in [
            "", "x", "99", "xx", "0xx", "6xx", "50xx", "500-400", "1000", "+20", "4xx-5xx",
        ] {
            assert!(given.parse::<Statuses>().is_err(), "{given}");
        }
    }

    #[test]
    fn a_field_needs_a_name_and_a_pattern_that_compiles() {
        for given in ["", "=x", "two words", "a:\r"] {
            assert!(
                matches!(given.parse::<FieldPattern>(), Err(FieldPatternError::Name)),
                "{given}"
            );
        }
        assert!(matches!(
            "a=(".parse::<FieldPattern>(),
            Err(FieldPatternError::Pattern(_))
        ));
        "a=".parse::<FieldPattern>().unwrap();
    }
}
