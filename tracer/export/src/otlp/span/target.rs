//! What a request asks for, and through whom: its URL, and what proxies say of the request that they got.

use tracer_observe::redact::{FieldLine, RequestLine};

/// The parts of the URL of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct RequestTarget<'a> {
    pub(crate) scheme: Option<&'a str>,
    pub(crate) authority: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) query: Option<&'a str>,
}

impl<'a> RequestTarget<'a> {
    /// Takes a request target apart (RFC 9112, 3.2).
    pub(crate) fn of(request: &'a RequestLine<'_>) -> Self {
        let own = Self {
            scheme: request.scheme.as_deref(),
            authority: request.authority.as_deref(),
            ..Self::default()
        };
        let Some(target) = request.path.as_deref() else {
            return own;
        };
        if target.starts_with('/') || target == "*" {
            return own.with_path(target);
        }
        match target.split_once("://") {
            Some((scheme, rest)) => {
                let length = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(length).unwrap_or((rest, ""));
                Self {
                    scheme: Some(scheme),
                    authority: Some(authority),
                    ..own
                }
                .with_path(path)
            }
            // The authority form of CONNECT.
            None => Self {
                authority: own.authority.or(Some(target)),
                ..own
            },
        }
    }

    fn with_path(self, target: &'a str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Self {
            path: Some(path),
            query,
            ..self
        }
    }

    /// Returns the URL, if all of it is known.
    pub(crate) fn url(&self) -> Option<String> {
        let (scheme, authority, path) = (self.scheme?, self.authority?, self.path?);
        // The target `*` is for the server as a whole.
        let path = if path == "*" { "" } else { path };
        let query = self.query.map(|query| format!("?{query}")).unwrap_or_default();
        Some(format!("{scheme}://{authority}{path}{query}"))
    }

    /// Returns the host and the port, that of the scheme if there is no other.
    pub(crate) fn host_and_port(&self) -> Option<(&'a str, Option<u16>)> {
        let (host, port) = host_and_port(self.authority?)?;
        let default = match self.scheme {
            Some("https") => Some(443),
            Some("http") => Some(80),
            Some(_) | None => None,
        };
        Some((host, port.or(default)))
    }
}

/// What the first proxy says of the request that it got, in `Forwarded` or in its older relatives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Forwarded<'a> {
    pub(crate) client: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) scheme: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    /// Reads the fields of a request.
    pub(crate) fn of(fields: &'a [FieldLine<'_>]) -> Self {
        let first = |name| {
            field(fields, name)
                .and_then(|list| list.split(',').next())
                .map(str::trim)
        };
        let parameter = |wanted: &str| {
            let parameters = first("forwarded")?
                .split(';')
                .filter_map(|parameter| parameter.split_once('='));
            let mut found = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.trim().trim_matches('"'))
        };
        let known = |value: &&str| !value.is_empty() && *value != "unknown" && !value.starts_with('_');
        Self {
            client: parameter("for")
                .or_else(|| first("x-forwarded-for"))
                .filter(known)
                .map(without_port),
            host: parameter("host").or_else(|| first("x-forwarded-host")).filter(known),
            scheme: parameter("proto").or_else(|| first("x-forwarded-proto")).filter(known),
        }
    }
}

/// Returns the value of the first field of a name, if it is known.
pub(crate) fn field<'a>(fields: &'a [FieldLine<'_>], wanted: &str) -> Option<&'a str> {
    let mut found = fields.iter().filter(|(name, _)| name.as_deref() == Some(wanted));
    found.next()?.1.as_deref()
}

/// Splits an authority into host and port. Brackets and user information are left out.
pub(crate) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
    };
    let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
    (!host.is_empty()).then_some((host, port))
}

/// Leaves out the port of an address, and the brackets that an IPv6 address needs before one.
fn without_port(address: &str) -> &str {
    match address.matches(':').count() {
        0 | 1 => host_and_port(address).map_or(address, |(host, _)| host),
        _ => address
            .strip_prefix('[')
            .and_then(|bracketed| bracketed.split_once(']'))
            .map_or(address, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> RequestLine<'_> {
        RequestLine {
            method: Some("GET".into()),
            scheme: Some("https".into()),
            authority: Some("a.test:8443".into()),
            path: Some(path.into()),
            protocol_upgrade: None,
            headers: Vec::new(),
            complete: true,
            unknown: None,
            malformed: None,
            body_bytes: None,
            trailers: Vec::new(),
        }
    }

    #[test]
    fn a_target_in_any_form_is_taken_apart() {
        for (path, url, host) in [
            ("/x?a=b?c", Some("https://a.test:8443/x?a=b?c"), ("a.test", Some(8443))),
            ("*", Some("https://a.test:8443"), ("a.test", Some(8443))),
            ("http://u@b.test?q", Some("http://u@b.test/?q"), ("b.test", Some(80))),
            ("c.test:1", None, ("a.test", Some(8443))),
        ] {
            let request = request(path);
            let target = RequestTarget::of(&request);
            assert_eq!(
                (target.url().as_deref(), target.host_and_port()),
                (url, Some(host)),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let unknown = RequestLine {
            scheme: None,
            path: None,
            ..request("")
        };
        let target = RequestTarget::of(&unknown);
        assert_eq!(
            (target.url(), target.path, target.host_and_port()),
            (None, None, Some(("a.test", Some(8443))))
        );
        assert_eq!(host_and_port(""), None);
        assert_eq!(host_and_port("[::1]:1"), Some(("::1", Some(1))));
    }

    #[test]
    fn the_first_proxy_names_the_client() {
        let of = |fields: &[(&'static str, &'static str)]| {
            let fields: Vec<FieldLine<'_>> = fields
                .iter()
                .map(|(name, value)| (Some((*name).into()), Some((*value).into())))
                .collect();
            let Forwarded { client, host, scheme } = Forwarded::of(&fields);
            [client, host, scheme].map(|word| word.unwrap_or_default().to_owned())
        };
        assert_eq!(
            of(&[
                ("x-forwarded-for", "192.0.2.1, 10.0.0.1"),
                ("x-forwarded-proto", "http")
            ]),
            ["192.0.2.1", "", "http"]
        );
        let rfc = r#"For="[2001:db8::1]:4711";Proto=https;host=b.test:1, for=x"#;
        assert_eq!(
            of(&[("forwarded", rfc), ("x-forwarded-for", "x")]),
            ["2001:db8::1", "b.test:1", "https"]
        );
        assert_eq!(of(&[("forwarded", "for=_hidden")]), ["", "", ""]);
        assert_eq!(of(&[("x-forwarded-for", "192.0.2.1:80")]), ["192.0.2.1", "", ""]);
        assert_eq!(of(&[("x-forwarded-for", "2001:db8::1")]), ["2001:db8::1", "", ""]);
    }
}
