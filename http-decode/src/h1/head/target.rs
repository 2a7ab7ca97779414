//! Request targets (RFC 9112 section 3.2).

/// The parts of a request target.
pub(super) struct Target<'a> {
    pub(super) scheme: Option<&'a str>,
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: Option<&'a [u8]>,
}

/// Splits a target in one of the four forms of section 3.2.
pub(super) fn split_target<'a>(method: &str, target: &'a [u8]) -> Target<'a> {
    if method == "CONNECT" {
        return Target {
            scheme: None,
            authority: Some(target),
            path: None,
        };
    }
    let absolute = if target.starts_with(b"/") {
        None
    } else {
        split_scheme(target)
    };
    let Some((scheme, rest)) = absolute else {
        return Target {
            scheme: None,
            authority: None,
            path: Some(target),
        };
    };
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    // Section 3.2.4: OPTIONS with an empty path is about the server; section 3.2.1: otherwise empty means "/".
    let path: &[u8] = match path {
        [] if method == "OPTIONS" => b"*",
        [] => b"/",
        path => path,
    };
    Target {
        scheme: Some(scheme),
        authority: Some(authority),
        path: Some(path),
    }
}

/// Splits a target in absolute form behind its scheme.
fn split_scheme(target: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr::memmem::find(target, b"://")?;
    let scheme = target.get(..end).and_then(|scheme| std::str::from_utf8(scheme).ok())?;
    is_scheme(scheme).then_some((scheme, target.get(end + 3..).unwrap_or_default()))
}

/// Returns whether `scheme` is well-formed (RFC 3986 section 3.1).
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split_into_their_parts() {
        for (method, target, scheme, authority, path) in [
            ("GET", "/a?b", None, None, Some("/a?b")),
            ("GET", "//a/b", None, None, Some("//a/b")),
            ("GET", "/to?u=http://b/c", None, None, Some("/to?u=http://b/c")),
            ("GET", "http://a:1/b?c", Some("http"), Some("a:1"), Some("/b?c")),
            ("GET", "http://a?c", Some("http"), Some("a"), Some("?c")),
            ("OPTIONS", "*", None, None, Some("*")),
            ("CONNECT", "a:443", None, Some("a:443"), None),
        ] {
            let parts = split_target(method, target.as_bytes());
            assert_eq!(
                (parts.scheme, parts.authority, parts.path),
                (scheme, authority.map(str::as_bytes), path.map(str::as_bytes)),
                "{method} {target}"
            );
        }
    }
}
