//! Guessing what bytes are by their first line.
//!
//! A start line counts once it is complete, so that bytes that merely begin like one are not taken for it.

use crate::grammar::{is_target, is_tchar};
use crate::h1::method::MAX_METHOD;
use crate::h1::start_line::is_request_line;
use crate::h2::PREFACE;

/// What bytes begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guess {
    /// A complete HTTP/1 request line.
    Request,
    /// A complete HTTP/1 status line.
    Response,
    /// The client connection preface of HTTP/2.
    Http2,
    /// Possibly one of these: more bytes are needed.
    NeedMore,
    /// None of these.
    Neither,
}

/// Guesses what the first bytes of a connection are. There, any token may be a method.
pub(crate) fn guess_first(bytes: &[u8]) -> Guess {
    match guess(bytes) {
        Guess::Neither => {}
        known @ (Guess::Request | Guess::Response | Guess::Http2 | Guess::NeedMore) => return known,
    }
    let beginning = bytes.get(..=MAX_METHOD).unwrap_or(bytes);
    match first_line(bytes) {
        Some(line) if is_request_line(line) => Guess::Request,
        None if may_begin_request(beginning) && (beginning.len() <= MAX_METHOD || beginning.contains(&b' ')) => {
            Guess::NeedMore
        }
        Some(_) | None => Guess::Neither,
    }
}

/// Guesses what `bytes` are.
pub(crate) fn guess(bytes: &[u8]) -> Guess {
    // The preface looks like a request line by design (RFC 9113 section 3.4), so it comes first.
    if bytes.starts_with(PREFACE) {
        return Guess::Http2;
    }
    if PREFACE.starts_with(bytes) {
        return Guess::NeedMore;
    }
    match (match_request_line(bytes), match_status_line(bytes)) {
        (Match::Complete, _) => Guess::Request,
        (_, Match::Complete) => Guess::Response,
        (Match::No, Match::No) => Guess::Neither,
        (_, _) => Guess::NeedMore,
    }
}

/// Returns whether bytes begin with the client connection preface of HTTP/2, or could with more bytes.
pub(crate) fn is_preface(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFACE) || PREFACE.starts_with(bytes)
}

/// How bytes compare with a line of a certain form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Match {
    /// They begin with such a line.
    Complete,
    /// They could with more bytes.
    Partial,
    /// They do not.
    No,
}

/// Compares `bytes` with `METHOD SP target SP HTTP/1.x`, where the method is three or more capitals or hyphens.
///
/// RFC 9110 allows any token as a method, but every registered method has this form, and prose does not.
pub(crate) fn match_request_line(bytes: &[u8]) -> Match {
    let method = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-')
        .count();
    let Some(&after) = bytes.get(method) else {
        return if method <= LONGEST_METHOD {
            Match::Partial
        } else {
            Match::No
        };
    };
    if after != b' ' || !(SHORTEST_METHOD..=LONGEST_METHOD).contains(&method) {
        return Match::No;
    }
    let rest = bytes.get(method + 1..).unwrap_or_default();
    if rest.first().is_some_and(|byte| !is_target(*byte)) {
        return Match::No;
    }
    let Some(line) = first_line(rest) else {
        return Match::Partial;
    };
    let target = line
        .strip_suffix(b" HTTP/1.1")
        .or_else(|| line.strip_suffix(b" HTTP/1.0"));
    if target.is_some_and(|target| !target.is_empty() && target.iter().all(|byte| is_target(*byte))) {
        Match::Complete
    } else {
        Match::No
    }
}

/// Compares `bytes` with `HTTP/1.x SP three digits`, then a space or the end of the line.
pub(crate) fn match_status_line(bytes: &[u8]) -> Match {
    for (index, &byte) in bytes.iter().take(STATUS_LINE.len()).enumerate() {
        let fits = match STATUS_LINE.get(index) {
            Some(b'x') => matches!(byte, b'0' | b'1'),
            Some(b'1') if index > 6 => matches!(byte, b'1'..=b'9'),
            Some(b'd') => byte.is_ascii_digit(),
            Some(b'~') => matches!(byte, b' ' | b'\r' | b'\n'),
            literal => literal == Some(&byte),
        };
        if !fits {
            return Match::No;
        }
    }
    let whole = bytes.len() >= STATUS_LINE.len() && memchr::memchr(b'\n', bytes).is_some();
    if whole { Match::Complete } else { Match::Partial }
}

/// Returns whether bytes where a head must begin could begin a request line: a token (RFC 9110 section 5.6.2).
pub(crate) fn may_begin_request(bytes: &[u8]) -> bool {
    let token = bytes.iter().take_while(|byte| is_tchar(**byte)).count();
    bytes.get(token).is_none_or(|&after| token > 0 && after == b' ')
}

/// Returns whether bytes where a head must begin could begin a status line.
pub(crate) fn may_begin_response(bytes: &[u8]) -> bool {
    let begins = |literal: &[u8]| {
        bytes
            .iter()
            .zip(literal)
            .all(|(byte, literal)| byte.eq_ignore_ascii_case(literal))
    };
    begins(b"HTTP/") || begins(b"ICY ")
}

fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes.get(..memchr::memchr(b'\n', bytes)?)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The pattern of a status line: `x` is 0 or 1, the `1` of the status is 1 to 9, `d` is a digit, `~` follows the status.
const STATUS_LINE: &[u8] = b"HTTP/1.x 1dd~";
/// Every registered method is within these lengths.
const SHORTEST_METHOD: usize = 3;
const LONGEST_METHOD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_line_counts_when_it_is_complete() {
        for (line, whole) in [
            (&b"GET / HTTP/1.1\r\n"[..], Guess::Request),
            (b"M-SEARCH * HTTP/1.0\n", Guess::Request),
            (b"HTTP/1.1 200 OK\r\n", Guess::Response),
            (b"HTTP/1.0 404\r\n", Guess::Response),
            (PREFACE, Guess::Http2),
        ] {
            for length in 0..line.len() {
                assert_eq!(guess(&line[..length]), Guess::NeedMore, "{length} bytes of {line:?}");
            }
            assert_eq!(guess(line), whole);
        }
    }

    #[test]
    fn bytes_that_resemble_a_start_line_are_neither() {
        for line in [
            &b"get / HTTP/1.1\r\n"[..],
            b"GE / HTTP/1.1\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"GET /a b HTTP/1.1\r\n",
            b"GET / HTTP/2.0\r\n",
            b"PRI * HTTP/2.0\r\nX",
            b"HTTP/1.1 OK\r\n",
            b"HTTP/1.1 0",
            b"HTTP/1.1 2000\r\n",
            b"HTTP/2 200\r\n",
            b"{\"a\":1}",
            b"\x00\x00\x12\x04",
        ] {
            assert_eq!(guess(line), Guess::Neither, "{line:?}");
        }
    }
}
