//! Heads and trailer sections of HTTP/1 (RFC 9112 sections 3 to 5).
//!
//! In: a whole [`section`](super::section). Out: a head. Refuses what the RFC tells a recipient to refuse: white space
//! before the first field, white space before a colon in a request, control characters, versions other than 1.0 and 1.1.

pub(crate) mod damaged;

use std::borrow::Cow;
use std::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use damaged::Parsed;

use super::method::Place;
use super::section::Whole;
use crate::{Chunk, Fields, Limits, NeverIndexed, Protocol, Reason, RequestHead, ResponseHead, Unredacted, head};

/// A head, and what else it tells the decoder.
#[derive(Debug)]
pub(crate) struct Versioned<T> {
    /// The head.
    pub(crate) head: T,
    /// Its version.
    pub(crate) protocol: Protocol,
    /// Which of the fields that concern the decoder it has.
    pub(crate) has: Has,
    /// Whether fields were left out because there were too many.
    pub(crate) is_cut: bool,
    /// Whether nothing was left out that may frame the body.
    pub(crate) is_framed: bool,
}

/// Fields that concern the decoder, found while a head is read, so that nobody looks for those that are not there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Has(u8);

/// A field that concerns the decoder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    Expect = 1,
    Upgrade = 2,
    ContentLength = 4,
    TransferEncoding = 8,
}

impl Has {
    pub(crate) fn see(&mut self, name: &str) {
        let (known, its_name) = match name.len() {
            6 => (Known::Expect, "expect"),
            7 => (Known::Upgrade, "upgrade"),
            14 => (Known::ContentLength, "content-length"),
            17 => (Known::TransferEncoding, "transfer-encoding"),
            _ => return,
        };
        if name.eq_ignore_ascii_case(its_name) {
            self.0 |= known as u8;
        }
    }

    pub(crate) const fn any(self, known: Known) -> bool {
        self.0 & known as u8 != 0
    }
}

/// Reads a request head that lies whole at the beginning of `chunk`; `None`, with nothing read, if that is not so, or if
/// it needs a closer look.
pub(crate) fn read_request(chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Versioned<RequestHead>> {
    let mut headers = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let headers = headers.get_mut(..limits.max_fields.min(USUAL_FIELDS))?;
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(chunk.bytes, headers) {
        Ok(Status::Complete(length)) if length <= limits.max_head_bytes => {
            let bytes = chunk.bytes;
            chunk.advance(length);
            Some(request_head(&request, bytes))
        }
        Ok(_) | Err(_) => None,
    }
}

/// Reads a response head in the same way.
pub(crate) fn read_response(chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Versioned<ResponseHead>> {
    let mut headers = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let headers = headers.get_mut(..limits.max_fields.min(USUAL_FIELDS))?;
    let mut response = httparse::Response::new(&mut []);
    let bytes = chunk.bytes;
    match ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, headers) {
        Ok(Status::Complete(length)) if length <= limits.max_head_bytes => {
            let status = status(&response)?;
            chunk.advance(length);
            Some(response_head(&response, status, bytes))
        }
        Ok(_) | Err(_) => None,
    }
}

/// Reads a request section, well-formed or not.
pub(crate) fn read_whole_request(whole: &Whole<'_>, place: Place, limits: &Limits) -> Parsed {
    match parse_request(whole, limits) {
        Ok(request) if whole.cut.is_none() => Parsed::Head(request),
        Ok(_) | Err(_) => damaged::request(whole, place, limits),
    }
}

/// Reads a response section, well-formed or not.
pub(crate) fn read_whole_response(whole: &Whole<'_>, limits: &Limits) -> Result<Versioned<ResponseHead>, Reason> {
    match parse_response(whole, limits) {
        Ok(response) if whole.cut.is_none() => Ok(response),
        Ok(_) | Err(_) => damaged::response(whole, limits),
    }
}

/// Parses a request head.
pub(crate) fn parse_request(whole: &Whole<'_>, limits: &Limits) -> Result<Versioned<RequestHead>, Reason> {
    let bytes = unfold(whole, Start::Line)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    let mut request = httparse::Request::new(&mut headers);
    whole_or_malformed(request.parse(&bytes), bytes.len())?;
    Ok(request_head(&request, &bytes))
}

/// Parses a response head.
pub(crate) fn parse_response(whole: &Whole<'_>, limits: &Limits) -> Result<Versioned<ResponseHead>, Reason> {
    let bytes = unfold(whole, Start::Line)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    let mut response = httparse::Response::new(&mut headers);
    let mut config = ParserConfig::default();
    // RFC 9112 section 5.1: white space before the colon is removed from a response, not refused.
    config.allow_spaces_after_header_name_in_responses(true);
    whole_or_malformed(config.parse_response(&mut response, &bytes), bytes.len())?;
    let status = status(&response).ok_or(Reason::MalformedHead)?;
    Ok(response_head(&response, status, &bytes))
}

fn request_head(request: &httparse::Request<'_, '_>, bytes: &[u8]) -> Versioned<RequestHead> {
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let (fields, has) = fields(request.headers, bytes);
    Versioned {
        head: head_of_request(method, target.as_bytes(), fields),
        protocol: protocol(request.version),
        has,
        is_cut: false,
        is_framed: true,
    }
}

#[inline]
fn head_of_request(method: &str, target: &[u8], fields: Fields) -> RequestHead {
    let target = split_target(method, target);
    RequestHead {
        method: Some(head::method(method)),
        scheme: Some(head::scheme(target.scheme.unwrap_or("https"))),
        target_authority: target.authority.map(Unredacted::new),
        path: target.path.map(Unredacted::new),
        protocol_upgrade: None,
        never_indexed: NeverIndexed::default(),
        fields,
        unknown: 0,
        malformed: None,
    }
}

fn status(response: &httparse::Response<'_, '_>) -> Option<u16> {
    response.code.filter(|code| (100..=999).contains(code))
}

fn response_head(response: &httparse::Response<'_, '_>, status: u16, bytes: &[u8]) -> Versioned<ResponseHead> {
    let (fields, has) = fields(response.headers, bytes);
    Versioned {
        head: ResponseHead {
            status: Some(status),
            fields,
            unknown: 0,
            malformed: None,
        },
        protocol: protocol(response.version),
        has,
        is_cut: false,
        is_framed: true,
    }
}

/// Parses a trailer section.
pub(crate) fn parse_trailers(whole: &Whole<'_>, limits: &Limits) -> Result<Fields, Reason> {
    let bytes = unfold(whole, Start::Field)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    match httparse::parse_headers(&bytes, &mut headers) {
        Ok(Status::Complete((_, parsed))) => Ok(fields(parsed, &bytes).0),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::HeadTooLarge),
        Ok(Status::Partial) | Err(_) => Err(Reason::MalformedBody),
    }
}

/// Fields of a head that is read where it lies: hardly any has more.
const USUAL_FIELDS: usize = 64;

/// What a section begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    Line,
    Field,
}

/// Replaces each line end that is followed by white space, and the white space, by one space (RFC 9112 section 5.2).
///
/// Before the first field there is nothing to continue: section 2.2 lets a recipient refuse such a message.
fn unfold<'a>(whole: &Whole<'a>, start: Start) -> Result<Cow<'a, [u8]>, Reason> {
    if !whole.folded {
        return Ok(Cow::Borrowed(whole.bytes));
    }
    let mut unfolded: Vec<u8> = Vec::with_capacity(whole.bytes.len());
    let first_field = usize::from(start == Start::Line);
    for (index, line) in whole.bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            unfolded.extend_from_slice(line);
        } else if index <= first_field {
            return Err(Reason::MalformedHead);
        } else {
            unfolded.truncate(unfolded.trim_ascii_end().len());
            unfolded.push(b' ');
            let content = line
                .iter()
                .position(|byte| !matches!(byte, b' ' | b'\t'))
                .unwrap_or(line.len());
            unfolded.extend_from_slice(line.get(content..).unwrap_or_default());
        }
    }
    Ok(Cow::Owned(unfolded))
}

/// A section of so many lines has no more fields than that.
fn room_for(whole: &Whole<'_>, limits: &Limits) -> usize {
    whole.lines.min(limits.max_fields)
}

fn whole_or_malformed(parsed: httparse::Result<usize>, length: usize) -> Result<(), Reason> {
    match parsed {
        Ok(Status::Complete(count)) if count == length => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::HeadTooLarge),
        Ok(Status::Complete(_) | Status::Partial) | Err(_) => Err(Reason::MalformedHead),
    }
}

/// Takes over the fields of a section, whose names and values are parts of its bytes; httparse has taken the optional
/// white space (RFC 9110 section 5.6.3) off both ends of the values.
fn fields(headers: &[Header<'_>], bytes: &[u8]) -> (Fields, Has) {
    let mut has = Has::default();
    let base = bytes.as_ptr().addr();
    let place = |part: &[u8]| {
        let start = part.as_ptr().addr().wrapping_sub(base);
        start..start.wrapping_add(part.len())
    };
    let begin = headers.first().map_or(0, |first| place(first.name.as_bytes()).start);
    let end = headers.last().map_or(begin, |last| match last.value {
        [] => place(last.name.as_bytes()).end,
        value => place(value).end,
    });
    let parts = headers.iter().map(|header| {
        has.see(header.name);
        [header.name.as_bytes(), header.value]
    });
    let text = bytes.get(begin..end).unwrap_or_default();
    (Fields::of_text(text, parts), has)
}

fn protocol(version: Option<u8>) -> Protocol {
    if version == Some(0) {
        Protocol::Http10
    } else {
        Protocol::Http11
    }
}

/// A request target in its parts.
struct Target<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
}

/// Tells the four forms of RFC 9112 section 3.2 apart.
fn split_target<'a>(method: &str, target: &'a [u8]) -> Target<'a> {
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

/// Parts a target in absolute form behind its scheme.
fn split_scheme(target: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr::memmem::find(target, b"://")?;
    let scheme = target.get(..end).and_then(|scheme| std::str::from_utf8(scheme).ok())?;
    is_scheme(scheme).then_some((scheme, target.get(end + 3..).unwrap_or_default()))
}

/// Reads three digits.
fn status_of(code: &[u8]) -> Option<u16> {
    let digits = code.iter().all(u8::is_ascii_digit);
    let code = std::str::from_utf8(code).ok().filter(|_| digits)?;
    code.parse().ok().filter(|code| (100..=999).contains(code))
}

/// Knows a scheme by RFC 3986 section 3.1.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests;
