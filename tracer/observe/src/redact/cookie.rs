//! Secrets in Cookie and Set-Cookie (RFC 6265 section 4).
//!
//! Only the names of cookies and known attributes are printed. A piece that is not `name=value` may be the rest of a secret,
//! so it is masked as a whole.

use std::ops::Range;

use super::{members::Text, secrets::Secrets, shape, url::Search};

/// Marks the values of a Cookie field.
pub(super) fn mark_cookie(value: &[u8], secrets: &mut Secrets) {
    for piece in pieces(value) {
        mark_pair(value, piece, secrets);
    }
}

/// Marks the value and the unknown attributes of a Set-Cookie field.
pub(super) fn mark_set_cookie(value: &[u8], search: Search<'_>, secrets: &mut Secrets) {
    let mut pieces = pieces(value);
    if let Some(pair) = pieces.next() {
        mark_pair(value, pair, secrets);
    }
    for attribute in pieces {
        mark_attributes(value, attribute, search, secrets);
    }
}

/// Marks an attribute, and as a whole the cookies after a comma in it: some proxies join Set-Cookie fields, although RFC 9110
/// section 5.3 forbids it. Only a date contains a comma itself.
fn mark_attributes(value: &[u8], piece: Range<usize>, search: Search<'_>, secrets: &mut Secrets) {
    let bytes = value.get(piece.clone()).unwrap_or_default();
    let is_date = bytes.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"expires"));
    let commas = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b',')
        .map(|(at, _)| piece.start + at);
    let mut start = piece.start;
    let mut first = true;
    for end in commas.skip(usize::from(is_date)).chain([piece.end]) {
        let part = trimmed(value, start..end);
        if first {
            mark_attribute(value, part, search, secrets);
        } else {
            secrets.mark(part);
        }
        first = false;
        start = end + 1;
    }
}

fn mark_pair(value: &[u8], piece: Range<usize>, secrets: &mut Secrets) {
    let bytes = value.get(piece.clone()).unwrap_or_default();
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(equals) if is_pair(bytes, equals) && !shape::is_in(bytes.get(..equals).unwrap_or_default()) => {
            secrets.mark(trimmed(value, piece.start + equals + 1..piece.end));
        }
        _ => secrets.mark(piece),
    }
}

/// Returns whether `bytes` are a name and a value, and not base64 that ends in `=`.
fn is_pair(bytes: &[u8], equals: usize) -> bool {
    let (name, rest) = bytes.split_at_checked(equals).unwrap_or_default();
    let padding = rest.iter().all(|&byte| byte == b'=') && (rest.len() > 1 || is_base64_length(bytes.len()));
    is_cookie_name(name.trim_ascii()) && !padding
}

/// Returns whether a secret in base64 that ends in one `=` may have this length.
fn is_base64_length(length: usize) -> bool {
    length.is_multiple_of(4) && length >= SHORTEST_BASE64
}

fn is_cookie_name(name: &[u8]) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\\' | b'@'))
}

fn mark_attribute(value: &[u8], piece: Range<usize>, search: Search<'_>, secrets: &mut Secrets) {
    let bytes = value.get(piece.clone()).unwrap_or_default();
    let Some(equals) = bytes.iter().position(|&byte| byte == b'=') else {
        if !is_flag(bytes) {
            secrets.mark(piece);
        }
        return;
    };
    let (name, _) = bytes.split_at_checked(equals).unwrap_or_default();
    let range = trimmed(value, piece.start + equals + 1..piece.end);
    let content = value.get(range.clone()).unwrap_or_default();
    if !is_cookie_name(name.trim_ascii()) {
        secrets.mark(piece);
    } else if name.trim_ascii().eq_ignore_ascii_case(b"path") {
        let mut part = Secrets::default();
        search.mark(content, Text::Path, &mut part);
        secrets.append(range.start, part);
    } else if !is_known_attribute(name.trim_ascii(), content) {
        secrets.mark(range);
    }
}

fn is_flag(name: &[u8]) -> bool {
    matches!(
        &*name.to_ascii_lowercase(),
        b"" | b"httponly" | b"secure" | b"partitioned"
    )
}

/// Returns whether an attribute is known and its value is valid for it.
fn is_known_attribute(name: &[u8], content: &[u8]) -> bool {
    let every = |allowed: fn(&u8) -> bool| content.iter().all(allowed);
    match &*name.to_ascii_lowercase() {
        b"domain" => every(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')),
        b"max-age" => every(|byte| byte.is_ascii_digit() || *byte == b'-'),
        b"expires" => is_date(content),
        b"samesite" | b"priority" => {
            matches!(
                &*content.to_ascii_lowercase(),
                b"strict" | b"lax" | b"none" | b"low" | b"medium" | b"high"
            )
        }
        _ => false,
    }
}

/// Returns whether `content` consists of numbers and the words of dates (RFC 6265 section 5.1.1).
fn is_date(content: &[u8]) -> bool {
    let mut words = content
        .split(|byte| matches!(byte, b' ' | b',' | b':' | b'-' | b'+'))
        .filter(|word| !word.is_empty());
    content.len() <= LONGEST_DATE
        && words.all(|word| {
            let number = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
            let start = word.get(..3).unwrap_or_default();
            number
                || word.iter().all(u8::is_ascii_alphabetic) && DATES.iter().any(|date| start.eq_ignore_ascii_case(date))
        })
}

/// Splits at `;`, without the white space around the pieces.
fn pieces(value: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    value.split(|&byte| byte == b';').map(move |piece| {
        let range = start..start + piece.len();
        start = range.end + 1;
        trimmed(value, range)
    })
}

fn trimmed(value: &[u8], range: Range<usize>) -> Range<usize> {
    let bytes = value.get(range.clone()).unwrap_or_default();
    let start = range.start + bytes.len() - bytes.trim_ascii_start().len();
    start..start + bytes.trim_ascii().len()
}

/// The first three letters of the names of days, months and time zones.
const DATES: [&[u8]; 21] = [
    b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun", b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul",
    b"aug", b"sep", b"oct", b"nov", b"dec", b"gmt", b"utc",
];

/// Maximum length of a name: longer than any in use, and shorter than most tokens that could be mistaken for one.
const LONGEST_NAME: usize = 64;

/// Length of eight bytes in base64. What is shorter, with nothing after its `=`, is taken for a name.
const SHORTEST_BASE64: usize = 12;

/// Length of the longest date format of RFC 9110 section 5.6.7.
const LONGEST_DATE: usize = 33;
