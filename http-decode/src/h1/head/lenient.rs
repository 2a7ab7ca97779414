//! Heads that are not well-formed or were cut, parsed as far as they can be.
//!
//! A line that is not a field is left out and counted; the other fields stay. The length of the body is never guessed: if
//! a line that was left out may frame it, for a recipient that parses it differently, then the framing is unknown. A section
//! whose first line is not a request line yields the method and the target, if they are clear.

use std::borrow::Cow;

use super::parsed::{Parsed, ParsedHead, head_of_request, protocol};
use crate::h1::method::{self, HeadStart};
use crate::h1::section::{WholeSection, may_frame};
use crate::h1::start_line::{RequestLine, is_text, request_line, status_line, token};
use crate::{Field, Fields, Limits, Malformed, Protocol, Reason, RequestHead, ResponseHead, Unredacted, head};

/// Parses a request section.
pub(super) fn request(whole: &WholeSection<'_>, start: HeadStart, limits: &Limits) -> Parsed {
    let mut lines = lines(whole.bytes);
    let Some(first) = lines.next() else {
        let malformed = if whole.cut.is_some() {
            Malformed::TooLarge
        } else {
            Malformed::StartLine
        };
        return Parsed::Unparsable(unparsable(None, None, malformed));
    };
    let line = match request_line(first) {
        RequestLine::Whole(line) => line,
        RequestLine::Unparsable { .. } => {
            return Parsed::Unparsable(unparsable_line(first, start, Malformed::StartLine));
        }
    };
    let section = FieldSection::parse(lines, Strictness::Request, whole, limits);
    let mut head = head_of_request(line.method, line.target, section.fields);
    head.unknown = section.left_out;
    head.malformed = section.is_malformed.then_some(Malformed::Field);
    if head.malformed.is_none() && !line.is_exact {
        head.malformed = Some(Malformed::Spaces);
    }
    Parsed::Head(ParsedHead {
        head,
        protocol: protocol(Some(line.minor)),
        is_cut: section.is_cut,
        is_framed: !section.may_frame,
    })
}

/// Parses a response section; without a status nothing in it is of use.
pub(super) fn response(whole: &WholeSection<'_>, limits: &Limits) -> Result<ParsedHead<ResponseHead>, Reason> {
    let mut lines = lines(whole.bytes);
    let first = lines.next().ok_or(Reason::HeadTooLarge)?;
    let (status, is_exact) = status_line(first).ok_or(Reason::MalformedHead)?;
    let section = FieldSection::parse(lines, Strictness::Response, whole, limits);
    let malformed = if section.is_malformed {
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
    Ok(ParsedHead {
        head,
        protocol: if first.starts_with(b"HTTP/1.0") {
            Protocol::Http10
        } else {
            Protocol::Http11
        },
        is_cut: section.is_cut,
        is_framed: !section.may_frame,
    })
}

/// Parses the bytes of a request head that had not ended when it was answered.
pub(crate) fn unfinished(bytes: &[u8], start: HeadStart) -> RequestHead {
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
            method::hide_unclear(&mut head, start);
            head
        }
        Some(RequestLine::Unparsable { .. }) => unparsable_line(line.unwrap_or_default(), start, Malformed::StartLine),
        // Of an unfinished line, only the method is complete.
        None => {
            let method = bytes
                .split(|byte| *byte == b' ')
                .next()
                .filter(|word| word.len() < bytes.len());
            let method = method.and_then(token).filter(|method| method::is_known(method));
            unparsable(method, None, Malformed::Unfinished)
        }
    }
}

fn unparsable_line(line: &[u8], start: HeadStart, malformed: Malformed) -> RequestHead {
    let RequestLine::Unparsable { method, target } = request_line(line) else {
        return unparsable(None, None, malformed);
    };
    let method = method.filter(|method| method::is_shown(method, start));
    // If the method is not clear, neither is the target.
    unparsable(method, target.filter(|_| method.is_some()), malformed)
}

fn unparsable(method: Option<&str>, target: Option<&[u8]>, malformed: Malformed) -> RequestHead {
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

/// Whose field grammar applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Strictness {
    Request,
    /// White space before the colon is removed from a response, not rejected (RFC 9112 section 5.1).
    Response,
}

/// The fields of a section.
#[derive(Default)]
struct FieldSection {
    fields: Fields,
    /// The number of fields that were left out.
    left_out: u32,
    is_malformed: bool,
    is_cut: bool,
    /// Whether one of the fields that were left out may frame the body.
    may_frame: bool,
}

impl FieldSection {
    fn parse<'a>(
        lines: impl Iterator<Item = &'a [u8]> + 'a,
        strictness: Strictness,
        whole: &WholeSection<'_>,
        limits: &Limits,
    ) -> Self {
        let mut section = Self {
            left_out: whole.cut.map_or(0, |cut| cut.fields),
            may_frame: whole.cut.is_some_and(|cut| cut.may_frame),
            is_cut: whole.cut.is_some_and(|cut| cut.fields > 0),
            ..Self::default()
        };
        for line in unfolded(lines) {
            section.add(&line, strictness, limits);
        }
        section
    }

    fn add(&mut self, line: &[u8], strictness: Strictness, limits: &Limits) {
        let field = parse_field(line, strictness);
        let fits = self.fields.len() < limits.max_fields;
        if let Some((name, value)) = field
            && fits
        {
            self.fields.push(Field {
                name: Some(name),
                value: Some(Unredacted::borrowed(value)),
                never_indexed: false,
            });
            return;
        }
        self.left_out = self.left_out.saturating_add(1);
        self.may_frame |= may_frame(line);
        self.is_malformed |= field.is_none();
        self.is_cut |= !fits;
    }
}

/// Splits a section into lines, without their ends, up to the empty one.
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

/// Parses a field line (RFC 9112 section 5).
fn parse_field(line: &[u8], strictness: Strictness) -> Option<(&str, &[u8])> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let name = match strictness {
        Strictness::Request => name,
        Strictness::Response => name.trim_ascii_end(),
    };
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    let name = token(name)?;
    value.iter().all(|byte| is_text(*byte)).then_some((name, value))
}
