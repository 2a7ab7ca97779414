//! Heads that are not well-formed, as far as they can be read.
//!
//! A line of a section that is no field costs that line and no other: it is left out and counted. What would frame the
//! body is never guessed: a line that is left out and might have done so, to whoever reads it otherwise, leaves the
//! framing open. A request line that is none leaves the method and the target, if these are clear.

use std::borrow::Cow;

use super::{Has, Versioned, head_of_request, protocol, status_of};
use crate::detect::{is_target, is_tchar};
use crate::h1::method::{self, Place};
use crate::h1::section::{Whole, may_frame};
use crate::{Field, Fields, Limits, Malformed, Protocol, Reason, RequestHead, ResponseHead, Unredacted, head};

/// What a request section came to.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A head.
    Head(Versioned<RequestHead>),
    /// No head: what is clear of its first line.
    Refused(RequestHead),
}

/// Reads a request section that is not well-formed, or was cut.
pub(super) fn request(whole: &Whole<'_>, place: Place, limits: &Limits) -> Parsed {
    let mut lines = lines(whole.bytes);
    let Some(first) = lines.next() else {
        let malformed = if whole.cut.is_some() {
            Malformed::TooLarge
        } else {
            Malformed::StartLine
        };
        return Parsed::Refused(refused(None, None, malformed));
    };
    let line = match request_line(first) {
        RequestLine::Whole(line) => line,
        RequestLine::None { .. } => return Parsed::Refused(refused_line(first, place, Malformed::StartLine)),
    };
    let section = Section::read(lines, Strictness::Request, whole, limits);
    let mut head = head_of_request(line.method, line.target, section.fields);
    head.unknown = section.left_out;
    head.malformed = section.malformed.then_some(Malformed::Field);
    if head.malformed.is_none() && !line.is_exact {
        head.malformed = Some(Malformed::Spaces);
    }
    Parsed::Head(Versioned {
        head,
        protocol: protocol(Some(line.minor)),
        has: section.has,
        is_cut: section.is_cut,
        is_framed: !section.may_frame,
    })
}

/// Reads a response section that is not well-formed, or was cut; without a status there is nothing to say of it.
pub(super) fn response(whole: &Whole<'_>, limits: &Limits) -> Result<Versioned<ResponseHead>, Reason> {
    let mut lines = lines(whole.bytes);
    let first = lines.next().ok_or(Reason::HeadTooLarge)?;
    let (status, is_exact) = status_line(first).ok_or(Reason::MalformedHead)?;
    let section = Section::read(lines, Strictness::Response, whole, limits);
    let malformed = if section.malformed {
        Some(Malformed::Field)
    } else {
        (!is_exact).then_some(Malformed::StartLine)
    };
    let head = ResponseHead {
        status: Some(status),
        fields: section.fields,
        unknown: section.left_out,
        malformed,
    };
    Ok(Versioned {
        head,
        protocol: if first.starts_with(b"HTTP/1.0") {
            Protocol::Http10
        } else {
            Protocol::Http11
        },
        has: section.has,
        is_cut: section.is_cut,
        is_framed: !section.may_frame,
    })
}

/// Reads what came of a head that had not ended when it was answered.
pub(crate) fn unfinished(bytes: &[u8], place: Place) -> RequestHead {
    let whole_line = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
    let line = whole_line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    match line.map(request_line) {
        Some(RequestLine::Whole(line)) => {
            let head = head_of_request(line.method, line.target, Fields::default());
            let mut head = RequestHead {
                unknown: 1,
                malformed: Some(Malformed::Unfinished),
                ..head
            };
            method::hide(&mut head, place);
            head
        }
        Some(RequestLine::None { .. }) => refused_line(line.unwrap_or_default(), place, Malformed::StartLine),
        // Of a line that goes on, only the method is whole.
        None => {
            let method = bytes
                .split(|byte| *byte == b' ')
                .next()
                .filter(|word| word.len() < bytes.len());
            let method = method.and_then(token).filter(|method| method::is_known(method));
            refused(method, None, Malformed::Unfinished)
        }
    }
}

/// Returns how far a whole first line of a connection resembles a request line, with any token as its method.
pub(crate) fn is_request_line(line: &[u8]) -> bool {
    matches!(request_line(line), RequestLine::Whole(line) if line.method.len() <= method::MAX_METHOD)
}

/// A request line (RFC 9112 section 3).
enum RequestLine<'a> {
    Whole(Line<'a>),
    /// None, of which these parts are clear.
    None {
        method: Option<&'a str>,
        target: Option<&'a [u8]>,
    },
}

struct Line<'a> {
    method: &'a str,
    target: &'a [u8],
    minor: u8,
    /// Whether its parts are parted by one space each.
    is_exact: bool,
}

/// Parts a request line at white space, as section 3 allows beside one space.
fn request_line(line: &[u8]) -> RequestLine<'_> {
    let nothing = RequestLine::None {
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
        (target, Some(version), None) if names_http(version) => RequestLine::None {
            method: Some(method),
            target: target.filter(|target| is_clear(target)),
        },
        (target, None, None) if method::is_known(method) => RequestLine::None {
            method: Some(method),
            target: target.filter(|target| is_clear(target)),
        },
        _ => RequestLine::None {
            method: method::is_known(method).then_some(method),
            target: None,
        },
    }
}

/// Reads a status line; false if it is one only to a reader that is not strict (`ICY 200 OK`).
fn status_line(line: &[u8]) -> Option<(u16, bool)> {
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
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    Some((status, is_exact && behind.iter().all(is_text)))
}

fn refused_line(line: &[u8], place: Place, malformed: Malformed) -> RequestHead {
    let RequestLine::None { method, target } = request_line(line) else {
        return refused(None, None, malformed);
    };
    let method = method.filter(|method| method::is_shown(method, place));
    // Without a method that is clear, nothing else is.
    refused(method, target.filter(|_| method.is_some()), malformed)
}

fn refused(method: Option<&str>, target: Option<&[u8]>, malformed: Malformed) -> RequestHead {
    let head = head_of_request(
        method.unwrap_or_default(),
        target.unwrap_or_default(),
        Fields::default(),
    );
    RequestHead {
        method: method.map(head::method),
        path: head.path.filter(|_| target.is_some()),
        unknown: 1,
        malformed: Some(malformed),
        ..head
    }
}

/// Returns whether a target is one by its beginning, and not any word.
fn is_clear(target: &[u8]) -> bool {
    target.starts_with(b"/") || target == b"*" || target.starts_with(b"http://") || target.starts_with(b"https://")
}

fn names_http(version: &[u8]) -> bool {
    version.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
}

fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = !bytes.is_empty() && bytes.iter().all(|byte| is_tchar(*byte));
    std::str::from_utf8(bytes).ok().filter(|_| is_token)
}

/// Whose grammar holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Strictness {
    Request,
    /// White space before the colon is removed from a response, not refused (RFC 9112 section 5.1).
    Response,
}

/// The fields of a section.
#[derive(Default)]
struct Section {
    fields: Fields,
    has: Has,
    /// How many were left out.
    left_out: u32,
    malformed: bool,
    is_cut: bool,
    /// Whether one of those may frame the body.
    may_frame: bool,
}

impl Section {
    fn read<'a>(
        lines: impl Iterator<Item = &'a [u8]> + 'a,
        strictness: Strictness,
        whole: &Whole<'_>,
        limits: &Limits,
    ) -> Self {
        let mut section = Self {
            left_out: whole.cut.map_or(0, |cut| cut.fields),
            may_frame: whole.cut.is_some_and(|cut| cut.may_frame),
            is_cut: whole.cut.is_some_and(|cut| cut.fields > 0),
            ..Self::default()
        };
        for line in unfolded(lines) {
            section.take(&line, strictness, limits);
        }
        section
    }

    fn take(&mut self, line: &[u8], strictness: Strictness, limits: &Limits) {
        let field = field(line, strictness);
        let fits = self.fields.len() < limits.max_fields;
        if let Some((name, value)) = field
            && fits
        {
            self.has.see(name);
            self.fields.push(Field {
                name: Some(name),
                value: Some(Unredacted::borrowed(value)),
                never_indexed: false,
            });
            return;
        }
        self.left_out = self.left_out.saturating_add(1);
        self.may_frame |= may_frame(line);
        self.malformed |= field.is_none();
        self.is_cut |= !fits;
    }
}

/// Parts a section into its lines, without their ends, up to the empty one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// Joins each line that begins with white space to the one before it (RFC 9112 section 5.2).
fn unfolded<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Cow<'a, [u8]>> {
    let mut joined: Vec<Cow<'a, [u8]>> = Vec::new();
    for line in lines {
        match joined.last_mut() {
            Some(last) if matches!(line.first(), Some(b' ' | b'\t')) => {
                let last = last.to_mut();
                last.truncate(last.trim_ascii_end().len());
                last.push(b' ');
                last.extend_from_slice(line.trim_ascii_start());
            }
            Some(_) | None => joined.push(Cow::Borrowed(line)),
        }
    }
    joined
}

/// Reads a field line (RFC 9112 section 5).
fn field(line: &[u8], strictness: Strictness) -> Option<(&str, &[u8])> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let name = match strictness {
        Strictness::Request => name,
        Strictness::Response => name.trim_ascii_end(),
    };
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let name = token(name)?;
    value.iter().all(is_text).then_some((name, value))
}
