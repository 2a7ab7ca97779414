//! What kind of bytes these are, judged by their first line.
//!
//! In: the first bytes of a call, or of a connection. Out: a [`Guess`]. Refuses to guess early: a start line counts
//! when it is whole, and what merely resembles one is `Neither`.

use crate::h1::{LONGEST_METHOD, is_request_line};

/// What the bytes look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guess {
    /// They begin with a whole HTTP/1 request line.
    Request,
    /// They begin with a whole HTTP/1 status line.
    Response,
    /// They begin with the connection preface of HTTP/2.
    Http2,
    /// They could still become any of these.
    NotYet,
    /// They are none of these.
    Neither,
}

/// Judges `bytes` where it is known that a connection begins: any method will do.
pub(crate) fn guess_first(bytes: &[u8]) -> Guess {
    match guess(bytes) {
        Guess::Neither => {}
        known @ (Guess::Request | Guess::Response | Guess::Http2 | Guess::NotYet) => return known,
    }
    let beginning = bytes.get(..=LONGEST_METHOD).unwrap_or(bytes);
    match first_line(bytes) {
        Some(line) if is_request_line(line) => Guess::Request,
        None if may_begin_request(beginning) && (beginning.len() <= LONGEST_METHOD || beginning.contains(&b' ')) => {
            Guess::NotYet
        }
        Some(_) | None => Guess::Neither,
    }
}

/// Judges `bytes`.
pub(crate) fn guess(bytes: &[u8]) -> Guess {
    // The preface is made to look like a request (RFC 9113 section 3.4), so it is asked for first.
    if bytes.starts_with(PREFACE) {
        return Guess::Http2;
    }
    if PREFACE.starts_with(bytes) {
        return Guess::NotYet;
    }
    match (request_line(bytes), status_line(bytes)) {
        (Likeness::Whole, _) => Guess::Request,
        (_, Likeness::Whole) => Guess::Response,
        (Likeness::No, Likeness::No) => Guess::Neither,
        (_, _) => Guess::NotYet,
    }
}

/// Returns whether bytes are, or could become, the connection preface of HTTP/2.
pub(crate) fn is_preface(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFACE) || PREFACE.starts_with(bytes)
}

/// How far bytes resemble a line of a certain form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Likeness {
    /// They are such a line, to its end.
    Whole,
    /// They could become one.
    Part,
    /// They cannot.
    No,
}

/// Compares `bytes` with `METHOD SP target SP HTTP/1.x`, the method being three or more capitals or hyphens.
///
/// RFC 9110 allows any token as a method; every registered one has this form, and a looser one would match prose.
pub(crate) fn request_line(bytes: &[u8]) -> Likeness {
    let method = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-')
        .count();
    let Some(&after) = bytes.get(method) else {
        return if method <= MAX_METHOD {
            Likeness::Part
        } else {
            Likeness::No
        };
    };
    if after != b' ' || !(MIN_METHOD..=MAX_METHOD).contains(&method) {
        return Likeness::No;
    }
    let rest = bytes.get(method + 1..).unwrap_or_default();
    if rest.first().is_some_and(|byte| !is_target(*byte)) {
        return Likeness::No;
    }
    let Some(line) = first_line(rest) else {
        return Likeness::Part;
    };
    let target = line
        .strip_suffix(b" HTTP/1.1")
        .or_else(|| line.strip_suffix(b" HTTP/1.0"));
    if target.is_some_and(|target| !target.is_empty() && target.iter().all(|byte| is_target(*byte))) {
        Likeness::Whole
    } else {
        Likeness::No
    }
}

/// Compares `bytes` with `HTTP/1.x SP three digits`, then a space or the end of the line.
pub(crate) fn status_line(bytes: &[u8]) -> Likeness {
    for (index, &byte) in bytes.iter().take(STATUS_LINE.len()).enumerate() {
        let fits = match STATUS_LINE.get(index) {
            Some(b'x') => matches!(byte, b'0' | b'1'),
            Some(b'1') if index > 6 => matches!(byte, b'1'..=b'9'),
            Some(b'd') => byte.is_ascii_digit(),
            Some(b'~') => matches!(byte, b' ' | b'\r' | b'\n'),
            literal => literal == Some(&byte),
        };
        if !fits {
            return Likeness::No;
        }
    }
    let whole = bytes.len() >= STATUS_LINE.len() && memchr::memchr(b'\n', bytes).is_some();
    if whole { Likeness::Whole } else { Likeness::Part }
}

/// Returns whether the first bytes of a head in step could begin a request line: a token (RFC 9110 section 5.6.2).
pub(crate) fn may_begin_request(bytes: &[u8]) -> bool {
    let token = bytes.iter().take_while(|byte| is_tchar(**byte)).count();
    bytes.get(token).is_none_or(|&after| token > 0 && after == b' ')
}

/// Returns whether the first bytes of a head in step could begin a status line.
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

pub(crate) const fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// Knows the characters of a token (RFC 9110 section 5.6.2).
pub(crate) const fn is_tchar(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `x` is 0 or 1, a `1` after the version is 1 to 9, `d` a digit, `~` the end of the code.
const STATUS_LINE: &[u8] = b"HTTP/1.x 1dd~";
const MIN_METHOD: usize = 3;
const MAX_METHOD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_line_counts_when_it_is_whole() {
        for (line, whole) in [
            (&b"GET / HTTP/1.1\r\n"[..], Guess::Request),
            (b"M-SEARCH * HTTP/1.0\n", Guess::Request),
            (b"HTTP/1.1 200 OK\r\n", Guess::Response),
            (b"HTTP/1.0 404\r\n", Guess::Response),
            (PREFACE, Guess::Http2),
        ] {
            for length in 0..line.len() {
                assert_eq!(guess(&line[..length]), Guess::NotYet, "{length} bytes of {line:?}");
            }
            assert_eq!(guess(line), whole);
        }
    }

    #[test]
    fn what_merely_resembles_a_start_line_is_neither() {
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
