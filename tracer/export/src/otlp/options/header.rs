//! Header fields of requests to a collector, and the names of those that spans have.

use std::{collections::BTreeSet, str::FromStr};

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// A header field of requests to a collector. Its value is likely a secret: `Debug` does not show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl Header {
    fn new(name: &str, value: &[u8]) -> Result<Self, HeaderError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| HeaderError::Name)?;
        let mut value = HeaderValue::from_bytes(value).map_err(|_invalid| HeaderError::Value)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(given: &str) -> Result<Self, HeaderError> {
        let (name, value) = given.split_once('=').ok_or(HeaderError::Form)?;
        Self::new(name.trim(), value.trim().as_bytes())
    }
}

/// Parses the value of `OTEL_EXPORTER_OTLP_HEADERS`: a list of `NAME=VALUE`, percent-encoded.
pub(crate) fn parse_headers(list: &str) -> Result<Vec<Header>, HeaderError> {
    pairs(list)
        .map(|pair| {
            let (name, value) = pair.ok_or(HeaderError::Form)?;
            Header::new(name, &percent_decode_str(value).collect::<Vec<_>>())
        })
        .collect()
}

/// Returns the pairs of a list of `NAME=VALUE`, `None` for what is none.
pub(crate) fn pairs(list: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    members.map(|member| {
        let (name, value) = member.split_once('=')?;
        Some((name.trim(), value.trim())).filter(|(name, _)| !name.is_empty())
    })
}

/// Why a header field is not valid. Its value is not shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("wanted NAME=VALUE")]
    Form,
    #[error("the name is not that of a header field")]
    Name,
    #[error("the value is not that of a header field")]
    Value,
}

/// The header fields that are attributes of spans.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Captured {
    #[default]
    None,
    /// Those with these names, in lower case.
    Named(BTreeSet<String>),
    All,
}

impl Captured {
    /// Returns whether a field of this name is captured.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Named(names) => names.contains(name),
            Self::All => true,
        }
    }
}

impl FromStr for Captured {
    type Err = HeaderError;

    fn from_str(given: &str) -> Result<Self, HeaderError> {
        if given == "all" {
            return Ok(Self::All);
        }
        let name = |name: &str| HeaderName::from_bytes(name.trim().as_bytes()).map(|name| name.as_str().to_owned());
        let names = given.split(',').map(name).collect::<Result<_, _>>();
        names.map(Self::Named).map_err(|_invalid| HeaderError::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_which_debug_hides() {
        let header: Header = "Authorization = Bearer a=b".parse().unwrap();
        assert_eq!(
            (header.name.as_str(), header.value.as_bytes()),
            ("authorization", &b"Bearer a=b"[..])
        );
        assert!(!format!("{header:?}").contains("Bearer"));
        for (given, error) in [
            ("x", HeaderError::Form),
            ("=x", HeaderError::Name),
            ("a b=x", HeaderError::Name),
            ("a=\u{1}", HeaderError::Value),
        ] {
            assert_eq!(given.parse::<Header>(), Err(error));
        }
    }

    #[test]
    fn headers_of_the_environment_are_percent_encoded() {
        let headers = parse_headers(" api-key=a%20b, ,x=1=2").unwrap();
        let values: Vec<_> = headers.iter().map(|header| header.value.as_bytes()).collect();
        assert_eq!(values, [&b"a b"[..], b"1=2"]);
        assert_eq!(parse_headers("a"), Err(HeaderError::Form));
        assert_eq!(parse_headers("a=%0a"), Err(HeaderError::Value));
    }

    #[test]
    fn headers_are_captured_by_name_or_all() {
        let named: Captured = "X-Tenant,accept".parse().unwrap();
        assert!(named.has("x-tenant") && named.has("accept") && !named.has("host"));
        assert!("all".parse::<Captured>().unwrap().has("host") && !Captured::default().has("host"));
        for given in ["", "a,", "a b"] {
            assert_eq!(given.parse::<Captured>(), Err(HeaderError::Name));
        }
    }
}
