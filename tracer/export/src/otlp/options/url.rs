//! The URL of a collector.

use std::{
    fmt::{self, Display, Formatter},
    str::FromStr,
};

/// How requests are carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// Protobuf in the body of a POST.
    Http,
    /// gRPC.
    Grpc,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Security {
    Tls,
    Plain,
}

/// The URL of a collector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) protocol: Protocol,
    pub(crate) security: Security,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Empty, or begins with a slash and does not end with one.
    pub(crate) path: String,
}

impl Url {
    /// Returns host and port as they are in a URL.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }

    /// Returns the scheme of a request.
    pub(crate) const fn scheme(&self) -> &'static str {
        match self.security {
            Security::Tls => "https",
            Security::Plain => "http",
        }
    }
}

impl Display for Url {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let scheme = match (self.protocol, self.security) {
            (Protocol::Http, _) => self.scheme(),
            (Protocol::Grpc, Security::Plain) => "grpc",
            (Protocol::Grpc, Security::Tls) => "grpcs",
        };
        // The path of gRPC is the method that is called, which says nothing about the collector.
        let path = match self.protocol {
            Protocol::Http => &self.path,
            Protocol::Grpc => "",
        };
        write!(formatter, "{scheme}://{}{path}", self.authority())
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(given: &str) -> Result<Self, UrlError> {
        let wrong = |place: &str, reason| UrlError::new(given, place, reason);
        let (scheme, rest) = given.split_once("://").ok_or_else(|| wrong(given, SCHEMES))?;
        let (protocol, security, default_port) = match scheme {
            "http" => (Protocol::Http, Security::Plain, 80),
            "https" => (Protocol::Http, Security::Tls, 443),
            "grpc" => (Protocol::Grpc, Security::Plain, 4317),
            "grpcs" => (Protocol::Grpc, Security::Tls, 4317),
            _ => return Err(wrong(given, SCHEMES)),
        };
        let length = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(wrong(
                rest,
                "credentials are given with --otlp-header or OTEL_EXPORTER_OTLP_HEADERS",
            ));
        }
        if let Some(at) = rest.find(|c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '\\')) {
            return Err(wrong(
                rest.get(at..).unwrap_or(rest),
                "wanted a host, a port and a path",
            ));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong(rest, "wanted a host and a port"))?;
        let port = match port {
            Some(port) => port
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| wrong(port, "wanted a port from 1 to 65535"))?,
            None => default_port,
        };
        Ok(Self {
            protocol,
            security,
            host: host.to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

/// Splits an authority into host and port; returns `None` if there is no host.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
    };
    let port = match rest {
        "" => None,
        _ => Some(rest.strip_prefix(':')?),
    };
    (!host.is_empty()).then_some((host, port))
}

const SCHEMES: &str = "wanted http://HOST:4318, https://HOST:4318, grpc://HOST:4317 or grpcs://HOST:4317";

/// A URL that is not valid, with the place marked.
#[derive(Debug, thiserror::Error)]
#[error("URL parse error:\n    {given}\n    {:column$}^\nerror: {reason}", "")]
pub(crate) struct UrlError {
    given: String,
    /// Characters before the place.
    column: usize,
    reason: &'static str,
}

impl UrlError {
    /// Creates an error at the beginning of `part`, which must be a slice of `given`.
    fn new(given: &str, part: &str, reason: &'static str) -> Self {
        let offset = part.as_ptr().addr().saturating_sub(given.as_ptr().addr());
        Self {
            // A control character would move what follows away from its column.
            given: given.replace(char::is_control, "\u{fffd}"),
            column: given.char_indices().take_while(|(at, _)| *at < offset).count(),
            reason,
        }
    }

    /// Returns the reason.
    pub(crate) const fn reason(&self) -> &'static str {
        self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_how_requests_are_carried() {
        for (given, shown) in [
            ("http://host:4318", "http://host:4318"),
            ("http://host", "http://host:80"),
            ("https://host/", "https://host:443"),
            ("https://host:1/a/b/", "https://host:1/a/b"),
            ("grpc://[::1]:4317", "grpc://[::1]:4317"),
            ("grpcs://host", "grpcs://host:4317"),
        ] {
            assert_eq!(given.parse::<Url>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn another_url_is_marked_where_it_is_wrong() {
        for (given, column) in [
            ("", 0),
            ("host:4318", 0),
            ("ftp://host", 0),
            ("http://", 7),
            ("http://:1", 7),
            ("http://host:", 12),
            ("http://host:0", 12),
            ("http://host:65536", 12),
            ("http://user:word@host", 7),
            ("http://host/a?b", 13),
            ("http://ho st", 9),
            ("http://[::1", 7),
            ("http://[::1]x", 7),
        ] {
            let error = given.parse::<Url>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("\n    {given}\n    {:column$}^\n", "")),
                "{error}"
            );
        }
    }
}
