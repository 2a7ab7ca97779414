//! How long a body is, and where it ends (RFC 9112 sections 6 and 7).
//!
//! In: a head, then bytes or holes. Out: counts of body bytes, framing left out, and the trailers. Refuses framing that
//! the RFC calls an error, and to go on behind a hole that may have held framing. No body byte is kept.

use super::head::{Has, Known, Versioned, parse_trailers};
use super::section::Section;
use crate::{Chunk, Fields, Limits, Protocol, Reason, RequestHead, ResponseHead};

/// A body in progress.
#[derive(Debug)]
pub(crate) enum Body {
    /// So many bytes are left.
    Length(u64),
    /// Transfer-Encoding ends with chunked.
    Chunked(Chunked),
    /// Everything up to the end of the connection.
    UntilClose,
}

/// What came of reading on.
#[derive(Debug)]
pub(crate) enum Read {
    /// So many bytes of content.
    Content(u64),
    /// Nothing, until there are more bytes.
    More,
    /// So many bytes of content with which the body has ended, and these trailers.
    End(u64, Fields),
}

/// What a hole did to a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Skip {
    /// It lay within content: so many bytes of it.
    Content(u64),
    /// It held the rest of the content, so many bytes, and nothing else.
    Rest(u64),
    /// It held the rest of the content, so many bytes, and more.
    Beyond(u64),
    /// It lay within content, which goes on: nobody knows how many bytes of it.
    Uncounted,
    /// It may have held framing.
    Unknown,
}

impl Body {
    /// Frames a request body (RFC 9112 section 6.3, rules 4 to 7).
    pub(crate) fn of_request(request: &Versioned<RequestHead>) -> Result<Self, Reason> {
        if !request.is_framed {
            return Err(Reason::MalformedBody);
        }
        let fields = &request.head.fields;
        match transfer_coding(fields, request.has, request.protocol)? {
            Coding::Chunked => Ok(Self::chunked()),
            // Rule 4: without chunked as the last coding the length of a request cannot be told.
            Coding::Other => Err(Reason::MalformedBody),
            Coding::None => Ok(Self::Length(content_length(fields, request.has)?.unwrap_or(0))),
        }
    }

    /// Frames the body of a final response that may have one (RFC 9112 section 6.3, rules 4 to 8).
    pub(crate) fn of_response(response: &Versioned<ResponseHead>) -> Result<Self, Reason> {
        if !response.is_framed {
            return Err(Reason::MalformedBody);
        }
        let fields = &response.head.fields;
        match transfer_coding(fields, response.has, response.protocol)? {
            Coding::Chunked => Ok(Self::chunked()),
            Coding::Other => Ok(Self::UntilClose),
            Coding::None => Ok(content_length(fields, response.has)?.map_or(Self::UntilClose, Self::Length)),
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<Read, Reason> {
        match self {
            Self::Length(0) => Ok(Read::End(0, Fields::default())),
            Self::Length(left) => Ok(match content(left, chunk) {
                // There is nothing more to wait for, not even the next byte.
                Read::Content(count) if *left == 0 => Read::End(count, Fields::default()),
                read @ (Read::Content(_) | Read::More | Read::End(..)) => read,
            }),
            Self::Chunked(chunked) => chunked.read(chunk, limits),
            Self::UntilClose => {
                let mut unlimited = u64::MAX;
                Ok(content(&mut unlimited, chunk))
            }
        }
    }

    /// Steps over a hole of `count` bytes, or of an unknown number of them.
    pub(crate) fn skip_gap(&mut self, count: Option<u64>) -> Skip {
        let Some(count) = count else {
            return match self {
                Self::UntilClose => Skip::Uncounted,
                Self::Length(_) | Self::Chunked(_) => Skip::Unknown,
            };
        };
        match self {
            Self::Length(left) if count < *left => {
                *left -= count;
                Skip::Content(count)
            }
            Self::Length(left) if count == *left => Skip::Rest(count),
            Self::Length(left) => Skip::Beyond(*left),
            Self::Chunked(Chunked {
                state: ChunkState::Data(left),
                ..
            }) if count <= *left => {
                *left -= count;
                Skip::Content(count)
            }
            Self::Chunked(_) => Skip::Unknown,
            Self::UntilClose => Skip::Content(count),
        }
    }

    /// Returns whether it is so many bytes long and no more.
    pub(crate) fn is_of_length(&self, length: usize) -> bool {
        matches!(self, Self::Length(left) if *left == length as u64)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Chunked(chunked) => chunked.trailers.held_bytes(),
            Self::Length(_) | Self::UntilClose => 0,
        }
    }

    fn chunked() -> Self {
        Self::Chunked(Chunked::default())
    }
}

/// A chunked body in progress (RFC 9112 section 7.1).
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: ChunkState,
    /// Bytes of the chunk-size line so far.
    line_bytes: usize,
    trailers: Section,
}

#[derive(Clone, Copy, Debug, Default)]
enum ChunkState {
    /// Before the first digit of a chunk size.
    #[default]
    Start,
    /// Between the digits of a chunk size.
    Size(u64),
    /// Behind the digits: extensions, up to the end of the line.
    Extension(u64),
    /// Chunk data, of which so many bytes are left.
    Data(u64),
    /// Behind the data, before the carriage return.
    DataEnd,
    /// Behind that carriage return.
    DataLineFeed,
    /// Behind the last chunk.
    Trailers,
}

impl Chunked {
    fn read(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<Read, Reason> {
        loop {
            match &mut self.state {
                ChunkState::Trailers => return self.read_trailers(chunk, limits),
                ChunkState::Data(0) => self.state = ChunkState::DataEnd,
                ChunkState::Data(left) => return Ok(content(left, chunk)),
                ChunkState::Start | ChunkState::Size(_) | ChunkState::Extension(_) => {
                    if !self.read_line(chunk, limits)? {
                        return Ok(Read::More);
                    }
                }
                ChunkState::DataEnd | ChunkState::DataLineFeed => {
                    if !self.read_data_end(chunk)? {
                        return Ok(Read::More);
                    }
                }
            }
        }
    }

    /// Reads the next byte of a chunk-size line, or all of its extensions; false when there is none.
    fn read_line(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<bool, Reason> {
        let Some(&byte) = chunk.bytes.first() else {
            return Ok(false);
        };
        let mut count = 1;
        self.state = match (self.state, byte) {
            (ChunkState::Start, _) => ChunkState::Size(digit(byte).ok_or(Reason::MalformedBody)?),
            (ChunkState::Size(size) | ChunkState::Extension(size), b'\n') => self.begin_chunk(size),
            (ChunkState::Size(size), b';' | b' ' | b'\t' | b'\r') => ChunkState::Extension(size),
            (ChunkState::Size(size), _) => ChunkState::Size(append_digit(size, byte).ok_or(Reason::MalformedBody)?),
            (state, _) => {
                count = memchr::memchr(b'\n', chunk.bytes).unwrap_or(chunk.bytes.len());
                state
            }
        };
        let in_line = matches!(self.state, ChunkState::Size(_) | ChunkState::Extension(_));
        self.line_bytes = if in_line {
            self.line_bytes.saturating_add(count)
        } else {
            0
        };
        if self.line_bytes > limits.max_chunk_line_bytes {
            return Err(Reason::MalformedBody);
        }
        chunk.advance(count);
        Ok(true)
    }

    fn begin_chunk(&mut self, size: u64) -> ChunkState {
        if size == 0 {
            self.trailers = Section::of_trailers();
            ChunkState::Trailers
        } else {
            ChunkState::Data(size)
        }
    }

    /// Reads the line end behind chunk data; a lone line feed is taken for one (RFC 9112 section 2.2).
    fn read_data_end(&mut self, chunk: &mut Chunk<'_>) -> Result<bool, Reason> {
        let Some(&byte) = chunk.bytes.first() else {
            return Ok(false);
        };
        self.state = match (self.state, byte) {
            (ChunkState::DataEnd, b'\r') => ChunkState::DataLineFeed,
            (_, b'\n') => ChunkState::Start,
            (_, _) => return Err(Reason::MalformedBody),
        };
        chunk.advance(1);
        Ok(true)
    }

    fn read_trailers(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<Read, Reason> {
        match self.trailers.read(chunk, limits)? {
            Some(whole) => Ok(Read::End(0, parse_trailers(&whole, limits)?)),
            None => Ok(Read::More),
        }
    }
}

/// What Transfer-Encoding says.
enum Coding {
    None,
    Chunked,
    Other,
}

/// Finds the last transfer coding. In HTTP/1.0 the field is a framing error (RFC 9112 section 6.1).
fn transfer_coding(fields: &Fields, has: Has, protocol: Protocol) -> Result<Coding, Reason> {
    if !has.any(Known::TransferEncoding) {
        return Ok(Coding::None);
    }
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

/// Reads Content-Length. Equal values in a list count as one, others are an error (RFC 9112 section 6.3, rule 5).
fn content_length(fields: &Fields, has: Has) -> Result<Option<u64>, Reason> {
    if !has.any(Known::ContentLength) {
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

/// Lists the elements of all fields of a name, empty ones left out (RFC 9110 section 5.6.1).
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

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

fn append_digit(size: u64, byte: u8) -> Option<u64> {
    size.checked_mul(16)?.checked_add(digit(byte)?)
}

fn content(left: &mut u64, chunk: &mut Chunk<'_>) -> Read {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.bytes.len());
    if count == 0 {
        return Read::More;
    }
    chunk.advance(count);
    *left -= count as u64;
    Read::Content(count as u64)
}

#[cfg(test)]
mod tests;
