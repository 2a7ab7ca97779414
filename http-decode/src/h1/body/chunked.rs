//! The chunked transfer coding (RFC 9112 section 7.1).

use super::read::{Read, take_content};
use crate::h1::head::parse_trailers;
use crate::h1::section::Section;
use crate::{Chunk, Limits, Reason};

/// A chunked body in progress (RFC 9112 section 7.1).
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: ChunkState,
    /// The length of the chunk-size line so far.
    line_bytes: usize,
    trailers: Section,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default)]
enum ChunkState {
    /// The first digit of a chunk size.
    #[default]
    Start,
    /// A further digit of a chunk size, or what follows it.
    Size(u64),
    /// Chunk extensions, up to the end of the line.
    Extension(u64),
    /// Chunk data, of which this number of bytes is left.
    Data(u64),
    /// The carriage return behind the data.
    DataEnd,
    /// The line feed behind the data.
    DataLineFeed,
    /// The trailer section.
    Trailers,
}

impl Chunked {
    /// Steps over `count` missing bytes if they are all chunk data, and returns whether they are.
    pub(super) fn skip_data(&mut self, count: u64) -> bool {
        match &mut self.state {
            ChunkState::Data(left) if count <= *left => {
                *left -= count;
                true
            }
            ChunkState::Start
            | ChunkState::Size(_)
            | ChunkState::Extension(_)
            | ChunkState::Data(_)
            | ChunkState::DataEnd
            | ChunkState::DataLineFeed
            | ChunkState::Trailers => false,
        }
    }

    /// Returns how many bytes of chunk data are left; `None` if the next byte is framing.
    pub(super) fn data_left(&self) -> Option<u64> {
        match self.state {
            ChunkState::Data(left) => Some(left),
            ChunkState::Start
            | ChunkState::Size(_)
            | ChunkState::Extension(_)
            | ChunkState::DataEnd
            | ChunkState::DataLineFeed
            | ChunkState::Trailers => None,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.trailers.held_bytes()
    }

    /// Reads up to the next event.
    pub(super) fn read(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<Read, Reason> {
        loop {
            match &mut self.state {
                ChunkState::Trailers => return self.read_trailers(chunk, limits),
                ChunkState::Data(0) => self.state = ChunkState::DataEnd,
                ChunkState::Data(left) => return Ok(take_content(left, chunk)),
                ChunkState::Start | ChunkState::Size(_) | ChunkState::Extension(_) => {
                    if !self.read_line(chunk, limits)? {
                        return Ok(Read::NeedMore);
                    }
                }
                ChunkState::DataEnd | ChunkState::DataLineFeed => {
                    if !self.read_data_end(chunk)? {
                        return Ok(Read::NeedMore);
                    }
                }
            }
        }
    }

    /// Reads the next byte of a chunk-size line, or all of its extensions; `false` if there is none.
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

    /// Reads the line end behind chunk data; a lone line feed is accepted (RFC 9112 section 2.2).
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
            None => Ok(Read::NeedMore),
        }
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

fn append_digit(size: u64, byte: u8) -> Option<u64> {
    size.checked_mul(16)?.checked_add(digit(byte)?)
}
