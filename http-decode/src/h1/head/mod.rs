//! Parsing heads and trailer sections of HTTP/1 (RFC 9112 sections 3 to 5).
//!
//! httparse parses what is well-formed: white space before the first field, white space before a colon in a request, control
//! characters, and versions other than 1.0 and 1.1 are rejected, as the RFC requires of a recipient. `lenient` parses the
//! rest, because servers and gateways may still have acted on it.

pub(crate) mod lenient;
mod parsed;
mod target;

use std::borrow::Cow;
use std::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

pub(crate) use self::parsed::{Parsed, ParsedHead};
use self::parsed::{head_of_request, protocol};
use super::method::HeadStart;
use super::section::WholeSection;
use crate::{Chunk, Fields, Limits, Reason, RequestHead, ResponseHead};

/// Parses a request head that is whole at the beginning of `chunk`. Otherwise, or if the head is unusual, reads nothing and
/// returns `None`.
pub(crate) fn read_request(chunk: &mut Chunk<'_>, limits: &Limits) -> Option<ParsedHead<RequestHead>> {
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

/// Parses a response head in the same way.
pub(crate) fn read_response(chunk: &mut Chunk<'_>, limits: &Limits) -> Option<ParsedHead<ResponseHead>> {
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

/// Parses a request section, well-formed or not.
pub(crate) fn read_whole_request(whole: &WholeSection<'_>, start: HeadStart, limits: &Limits) -> Parsed {
    match parse_request(whole, limits) {
        Ok(request) if whole.cut.is_none() => Parsed::Head(request),
        Ok(_) | Err(_) => lenient::request(whole, start, limits),
    }
}

/// Parses a response section, well-formed or not.
pub(crate) fn read_whole_response(
    whole: &WholeSection<'_>,
    limits: &Limits,
) -> Result<ParsedHead<ResponseHead>, Reason> {
    match parse_response(whole, limits) {
        Ok(response) if whole.cut.is_none() => Ok(response),
        Ok(_) | Err(_) => lenient::response(whole, limits),
    }
}

/// Parses a well-formed request head.
pub(crate) fn parse_request(whole: &WholeSection<'_>, limits: &Limits) -> Result<ParsedHead<RequestHead>, Reason> {
    let bytes = unfold(whole, Start::Line)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    let mut request = httparse::Request::new(&mut headers);
    whole_or_malformed(request.parse(&bytes), bytes.len())?;
    Ok(request_head(&request, &bytes))
}

/// Parses a well-formed response head.
pub(crate) fn parse_response(whole: &WholeSection<'_>, limits: &Limits) -> Result<ParsedHead<ResponseHead>, Reason> {
    let bytes = unfold(whole, Start::Line)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    let mut response = httparse::Response::new(&mut headers);
    let mut config = ParserConfig::default();
    // RFC 9112 section 5.1: white space before the colon is removed from a response, not rejected.
    config.allow_spaces_after_header_name_in_responses(true);
    whole_or_malformed(config.parse_response(&mut response, &bytes), bytes.len())?;
    let status = status(&response).ok_or(Reason::MalformedHead)?;
    Ok(response_head(&response, status, &bytes))
}

fn request_head(request: &httparse::Request<'_, '_>, bytes: &[u8]) -> ParsedHead<RequestHead> {
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let fields = fields(request.headers, bytes);
    ParsedHead {
        head: head_of_request(method, target.as_bytes(), fields),
        protocol: protocol(request.version),
        is_cut: false,
        is_framed: true,
    }
}

fn status(response: &httparse::Response<'_, '_>) -> Option<u16> {
    response.code.filter(|code| (100..=999).contains(code))
}

fn response_head(response: &httparse::Response<'_, '_>, status: u16, bytes: &[u8]) -> ParsedHead<ResponseHead> {
    let fields = fields(response.headers, bytes);
    ParsedHead {
        head: ResponseHead {
            status: Some(status),
            fields,
            unknown: 0,
            malformed: None,
        },
        protocol: protocol(response.version),
        is_cut: false,
        is_framed: true,
    }
}

/// Parses a trailer section.
pub(crate) fn parse_trailers(whole: &WholeSection<'_>, limits: &Limits) -> Result<Fields, Reason> {
    let bytes = unfold(whole, Start::Field)?;
    let mut headers = vec![EMPTY_HEADER; room_for(whole, limits)];
    match httparse::parse_headers(&bytes, &mut headers) {
        Ok(Status::Complete((_, parsed))) => Ok(fields(parsed, &bytes)),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::HeadTooLarge),
        Ok(Status::Partial) | Err(_) => Err(Reason::MalformedBody),
    }
}

/// Fields that a head parsed in place may have; hardly any head has more.
const USUAL_FIELDS: usize = 64;

/// The first line of a section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    /// A start line.
    Line,
    /// A field.
    Field,
}

/// Replaces each line end that is followed by white space, and the white space, by one space (RFC 9112 section 5.2).
///
/// A message whose first field line begins with white space is rejected, as section 2.2 allows: there is nothing to continue.
fn unfold<'a>(whole: &WholeSection<'a>, start: Start) -> Result<Cow<'a, [u8]>, Reason> {
    if !whole.is_folded {
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

/// Returns the number of fields that a section may have: no more than lines.
fn room_for(whole: &WholeSection<'_>, limits: &Limits) -> usize {
    whole.lines.min(limits.max_fields)
}

fn whole_or_malformed(parsed: httparse::Result<usize>, length: usize) -> Result<(), Reason> {
    match parsed {
        Ok(Status::Complete(count)) if count == length => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::HeadTooLarge),
        Ok(Status::Complete(_) | Status::Partial) | Err(_) => Err(Reason::MalformedHead),
    }
}

/// Copies the fields of a section, whose names and values are parts of its bytes. httparse has removed the optional white
/// space (RFC 9110 section 5.6.3) from both ends of the values.
fn fields(headers: &[Header<'_>], bytes: &[u8]) -> Fields {
    let base = bytes.as_ptr().addr();
    let range = |part: &[u8]| {
        let start = part.as_ptr().addr().wrapping_sub(base);
        start..start.wrapping_add(part.len())
    };
    let begin = headers.first().map_or(0, |first| range(first.name.as_bytes()).start);
    let end = headers.last().map_or(begin, |last| match last.value {
        [] => range(last.name.as_bytes()).end,
        value => range(value).end,
    });
    let parts = headers.iter().map(|header| [header.name.as_bytes(), header.value]);
    let text = bytes.get(begin..end).unwrap_or_default();
    Fields::of_text(text, parts)
}

#[cfg(test)]
mod tests;
