//! Framing of bodies (RFC 9112 sections 6 and 7): how long a body is, and where it ends.
//!
//! Content is counted and not kept. Framing that the RFC calls an error is an error here, and so is a gap that may have held
//! framing, since what follows it could be content or the next message.

mod chunked;
mod read;

use self::chunked::Chunked;
pub(crate) use self::read::Read;
use self::read::take_content;
use super::head::ParsedHead;
use crate::{Chunk, Fields, Limits, Protocol, Reason, RequestHead, ResponseHead};

/// A body in progress.
#[derive(Debug)]
pub(crate) enum Body {
    /// The number of bytes that are left.
    Length(u64),
    /// The last transfer coding is chunked.
    Chunked(Chunked),
    /// Everything up to the end of the connection.
    UntilClose,
}

/// What a body lost in a gap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyGap {
    /// Content of this length; more content follows.
    Content(u64),
    /// The rest of the content, of this length, and nothing behind the body.
    RestOfContent(u64),
    /// The rest of the content, of this length, and bytes behind the body.
    PastEnd(u64),
    /// Content of unknown length; more content follows.
    UnknownContent,
    /// Possibly framing, so that the end of the body is unknown.
    MaybeFraming,
}

impl Body {
    /// Frames a request body (RFC 9112 section 6.3, rules 4 to 7).
    pub(crate) fn of_request(request: &ParsedHead<RequestHead>) -> Result<Self, Reason> {
        if !request.is_framed {
            return Err(Reason::MalformedBody);
        }
        let fields = &request.head.fields;
        match transfer_coding(fields, request.protocol)? {
            Coding::Chunked => Ok(Self::chunked()),
            // Rule 4: unless chunked is the last coding, the length of a request body is unknown.
            Coding::Other => Err(Reason::MalformedBody),
            Coding::None => Ok(Self::Length(content_length(fields)?.unwrap_or(0))),
        }
    }

    /// Frames the body of a final response that may have one (RFC 9112 section 6.3, rules 4 to 8).
    pub(crate) fn of_response(response: &ParsedHead<ResponseHead>) -> Result<Self, Reason> {
        if !response.is_framed {
            return Err(Reason::MalformedBody);
        }
        let fields = &response.head.fields;
        match transfer_coding(fields, response.protocol)? {
            Coding::Chunked => Ok(Self::chunked()),
            Coding::Other => Ok(Self::UntilClose),
            Coding::None => Ok(content_length(fields)?.map_or(Self::UntilClose, Self::Length)),
        }
    }

    /// Reads up to the next event.
    pub(crate) fn read(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<Read, Reason> {
        match self {
            Self::Length(0) => Ok(Read::End(0, Fields::default())),
            Self::Length(left) => Ok(match take_content(left, chunk) {
                // The body ends here, without waiting for the next byte.
                Read::Content(count) if *left == 0 => Read::End(count, Fields::default()),
                read @ (Read::Content(_) | Read::NeedMore | Read::End(..)) => read,
            }),
            Self::Chunked(chunked) => chunked.read(chunk, limits),
            Self::UntilClose => {
                let mut unlimited = u64::MAX;
                Ok(take_content(&mut unlimited, chunk))
            }
        }
    }

    /// Steps over a gap of `count` bytes, or of an unknown number of them.
    pub(crate) fn skip_gap(&mut self, count: Option<u64>) -> BodyGap {
        let Some(count) = count else {
            return match self {
                Self::UntilClose => BodyGap::UnknownContent,
                Self::Length(_) | Self::Chunked(_) => BodyGap::MaybeFraming,
            };
        };
        match self {
            Self::Length(left) if count < *left => {
                *left -= count;
                BodyGap::Content(count)
            }
            Self::Length(left) if count == *left => BodyGap::RestOfContent(count),
            Self::Length(left) => BodyGap::PastEnd(*left),
            Self::Chunked(chunked) => {
                if chunked.skip_data(count) {
                    BodyGap::Content(count)
                } else {
                    BodyGap::MaybeFraming
                }
            }
            Self::UntilClose => BodyGap::Content(count),
        }
    }

    /// Returns how many bytes of content follow, up to the next framing; `None` if the next byte is framing.
    pub(crate) fn content_left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(chunked) => chunked.data_left(),
            Self::UntilClose => Some(u64::MAX),
        }
    }

    /// Returns whether exactly `length` bytes are left.
    pub(crate) fn is_of_length(&self, length: usize) -> bool {
        matches!(self, Self::Length(left) if *left == length as u64)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Chunked(chunked) => chunked.held_bytes(),
            Self::Length(_) | Self::UntilClose => 0,
        }
    }

    fn chunked() -> Self {
        Self::Chunked(Chunked::default())
    }
}

/// The last transfer coding.
enum Coding {
    None,
    Chunked,
    Other,
}

/// Finds the last transfer coding. In HTTP/1.0, Transfer-Encoding is a framing error (RFC 9112 section 6.1).
fn transfer_coding(fields: &Fields, protocol: Protocol) -> Result<Coding, Reason> {
    let Some(last) = elements(fields, "transfer-encoding").last() else {
        return Ok(Coding::None);
    };
    if protocol == Protocol::Http10 {
        return Err(Reason::MalformedBody);
    }
    Ok(if last.eq_ignore_ascii_case(b"chunked") {
        Coding::Chunked
    } else {
        Coding::Other
    })
}

/// Parses Content-Length. A list of equal values counts as one value; any other list is an error (RFC 9112 section 6.3, rule 5).
fn content_length(fields: &Fields) -> Result<Option<u64>, Reason> {
    if !fields.contains("content-length") {
        return Ok(None);
    }
    let mut length = None;
    for element in elements(fields, "content-length") {
        let value = parse_length(element).ok_or(Reason::MalformedBody)?;
        if length.is_some_and(|length| length != value) {
            return Err(Reason::MalformedBody);
        }
        length = Some(value);
    }
    length.map(Some).ok_or(Reason::MalformedBody)
}

/// Iterates over the list elements in all fields of a name, except empty ones (RFC 9110 section 5.6.1).
fn elements<'a>(fields: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .values(name)
        .flat_map(|value| value.expose().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

fn parse_length(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests;
