//! Heads and trailer sections of HTTP/1 (RFC 9112 sections 3 to 5).
//!
//! In: a whole [`section`](super::section). Out: a head. Refuses what the RFC tells a recipient to refuse: white space
//! before the first field, white space before a colon in a request, control characters, versions other than 1.0 and 1.1.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use super::section::Whole;
use crate::{Field, Fields, Limits, NeverIndexed, Protocol, Reason, RequestHead, ResponseHead, Unredacted, head};

/// A head, and the protocol version it names.
#[derive(Debug)]
pub(crate) struct Versioned<T> {
    /// The head.
    pub(crate) head: T,
    /// Its version.
    pub(crate) protocol: Protocol,
}

/// Parses a request head.
pub(crate) fn parse_request(whole: &Whole<'_>, limits: &Limits) -> Result<Versioned<RequestHead>, Reason> {
    let bytes = unfold(whole, Start::Line)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    let mut request = httparse::Request::new(&mut headers);
    whole_or_malformed(request.parse(&bytes), bytes.len())?;
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let target = split_target(method, target);
    let fields = fields(request.headers);
    let head = RequestHead {
        method: Some(head::method(method)),
        scheme: Some(head::scheme(target.scheme.unwrap_or("https"))),
        authority: target
            .authority
            .map(|host| Unredacted::new(host.as_bytes()))
            .or_else(|| host(&fields)),
        path: target.path.map(|path| Unredacted::new(path.as_bytes())),
        protocol_upgrade: None,
        never_indexed: NeverIndexed::default(),
        fields,
        unknown: 0,
    };
    Ok(Versioned {
        head,
        protocol: protocol(request.version),
    })
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
    let status = response
        .code
        .filter(|code| (100..=999).contains(code))
        .ok_or(Reason::MalformedHead)?;
    let head = ResponseHead {
        status: Some(status),
        fields: fields(response.headers),
        unknown: 0,
    };
    Ok(Versioned {
        head,
        protocol: protocol(response.version),
    })
}

/// Parses a trailer section.
pub(crate) fn parse_trailers(whole: &Whole<'_>, limits: &Limits) -> Result<Fields, Reason> {
    let bytes = unfold(whole, Start::Field)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    match httparse::parse_headers(&bytes, &mut headers) {
        Ok(Status::Complete((_, parsed))) => Ok(fields(parsed)),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::HeadTooLarge),
        Ok(Status::Partial) | Err(_) => Err(Reason::MalformedBody),
    }
}

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

fn fields(headers: &[Header<'_>]) -> Fields {
    let (names, values) = headers.iter().fold((0, 0), |(names, values), header| {
        (names + header.name.len(), values + header.value.len())
    });
    let mut fields = Fields::with_capacity(headers.len(), names, values);
    fields.extend(headers.iter().map(|header| Field {
        name: Some(header.name),
        value: Some(Unredacted::borrowed(trim(header.value))),
        never_indexed: false,
    }));
    fields
}

/// Takes optional white space (RFC 9110 section 5.6.3) off both ends.
fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
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
    authority: Option<&'a str>,
    path: Option<&'a str>,
}

/// Tells the four forms of RFC 9112 section 3.2 apart.
fn split_target<'a>(method: &str, target: &'a str) -> Target<'a> {
    if method == "CONNECT" {
        return Target {
            scheme: None,
            authority: Some(target),
            path: None,
        };
    }
    let absolute = target.split_once("://").filter(|(scheme, _)| is_scheme(scheme));
    let Some((scheme, rest)) = absolute else {
        return Target {
            scheme: None,
            authority: None,
            path: Some(target),
        };
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // Section 3.2.4: OPTIONS with an empty path is about the server; section 3.2.1: otherwise empty means "/".
    let path = match path {
        "" if method == "OPTIONS" => "*",
        "" => "/",
        path => path,
    };
    Target {
        scheme: Some(scheme),
        authority: Some(authority),
        path: Some(path),
    }
}

/// Knows a scheme by RFC 3986 section 3.1.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Takes the authority from Host, unless there are several that differ (RFC 9112 section 3.2: an invalid request).
pub(crate) fn host(fields: &Fields) -> Option<Unredacted> {
    let mut hosts = fields.all("host");
    let first = hosts.next()?.value?;
    let same = hosts.all(|other| other.value == Some(first));
    (same && !first.is_empty()).then(|| Unredacted::new(first.expose()))
}

#[cfg(test)]
mod tests;
