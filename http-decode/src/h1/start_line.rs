//! Request lines and status lines, parsed leniently (RFC 9112 sections 3 and 4).
//!
//! The parser for well-formed heads is httparse. These functions are for what it rejects, and return the parts that are
//! clear all the same.

use super::method;
use crate::grammar::{is_target, is_tchar};

/// A request line.
pub(crate) enum RequestLine<'a> {
    /// It has all its parts.
    Whole(Line<'a>),
    /// It is not a request line; these parts are clear.
    Unparsable {
        method: Option<&'a str>,
        target: Option<&'a [u8]>,
    },
}

/// The parts of a request line.
pub(crate) struct Line<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) minor: u8,
    /// Whether exactly one space is between its parts.
    pub(crate) is_exact: bool,
}

/// Returns whether a whole line is a request line, whatever token its method is.
pub(crate) fn is_request_line(line: &[u8]) -> bool {
    matches!(request_line(line), RequestLine::Whole(line) if line.method.len() <= method::MAX_METHOD)
}

/// Splits a request line at white space, which RFC 9112 section 3 allows beside single spaces.
pub(crate) fn request_line(line: &[u8]) -> RequestLine<'_> {
    let nothing = RequestLine::Unparsable {
        method: None,
        target: None,
    };
    let length = line.iter().take_while(|byte| is_tchar(**byte)).count();
    if line.get(length) != Some(&b' ') {
        return nothing;
    }
    let Some(method) = line.get(..length).and_then(token) else {
        return nothing;
    };
    let rest = line.get(length..).unwrap_or_default();
    let mut words = rest
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let (target, version, more) = (words.next(), words.next(), words.next());
    let target = target.filter(|target| target.iter().all(|byte| is_target(*byte)));
    match (target, version, more) {
        (Some(target), Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor]), None) if minor.is_ascii_digit() => {
            let is_exact = line.len() == length + target.len() + " HTTP/1.1 ".len();
            RequestLine::Whole(Line {
                method,
                target,
                minor: minor - b'0',
                is_exact,
            })
        }
        (target, Some(version), None) if names_http(version) => RequestLine::Unparsable {
            method: Some(method),
            target: target.filter(|target| is_clear(target)),
        },
        (target, None, None) if method::is_known(method) => RequestLine::Unparsable {
            method: Some(method),
            target: target.filter(|target| is_clear(target)),
        },
        _ => RequestLine::Unparsable {
            method: method::is_known(method).then_some(method),
            target: None,
        },
    }
}

/// Parses a status line, and returns the status and whether the line is well-formed; `ICY 200 OK` is not.
pub(crate) fn status_line(line: &[u8]) -> Option<(u16, bool)> {
    let (version, rest) = line.split_at_checked(line.iter().position(|byte| *byte == b' ')?)?;
    if !names_http(version) && !version.eq_ignore_ascii_case(b"ICY") {
        return None;
    }
    let code = rest.trim_ascii_start();
    let (code, behind) = code.split_at_checked(3)?;
    if behind.first().is_some_and(|byte| *byte != b' ') {
        return None;
    }
    let status = status_of(code)?;
    let is_exact = matches!(version, b"HTTP/1.1" | b"HTTP/1.0") && rest.len() == code.len() + behind.len() + 1;
    Some((status, is_exact && behind.iter().all(|byte| is_text(*byte))))
}

/// Returns `bytes` as text if they are a token.
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = !bytes.is_empty() && bytes.iter().all(|byte| is_tchar(*byte));
    std::str::from_utf8(bytes).ok().filter(|_| is_token)
}

/// Returns whether `byte` may be in a reason phrase or in a field value.
pub(crate) const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Returns whether a target shows by its beginning that it is one.
fn is_clear(target: &[u8]) -> bool {
    target.starts_with(b"/") || target == b"*" || target.starts_with(b"http://") || target.starts_with(b"https://")
}

fn names_http(version: &[u8]) -> bool {
    version.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
}

fn status_of(code: &[u8]) -> Option<u16> {
    let digits = code.iter().all(u8::is_ascii_digit);
    let code = std::str::from_utf8(code).ok().filter(|_| digits)?;
    code.parse().ok().filter(|code| (100..=999).contains(code))
}
