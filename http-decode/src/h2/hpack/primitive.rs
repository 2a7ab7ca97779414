//! Integers and strings of a header block (RFC 7541 section 5).
//!
//! A string that is longer than the rest of the block is an error, so that an announced length allocates nothing.

use std::ops::Range;

use super::error::Error;
use super::huffman;

/// The most bytes behind the first byte of an integer; five hold 32 bits.
const MAX_CONTINUATION: usize = 5;

/// The rest of a block.
pub(super) struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    pub(super) fn new(block: &'b [u8]) -> Self {
        Self(block)
    }

    /// Returns the next byte.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Reads an integer that begins in the low `prefix` bits of the next byte (section 5.1).
    #[inline]
    pub(super) fn integer(&mut self, prefix: u32) -> Result<u32, Error> {
        let (first, rest) = self.0.split_first().ok_or(Error::Truncated)?;
        self.0 = rest;
        let max = (1 << prefix) - 1;
        let value = u32::from(*first) & max;
        if value < max { Ok(value) } else { self.continuation(max) }
    }

    fn continuation(&mut self, prefix: u32) -> Result<u32, Error> {
        let mut value = u64::from(prefix);
        for (count, byte) in self.0.iter().take(MAX_CONTINUATION).enumerate() {
            value += u64::from(byte & 0x7f) << (7 * count);
            if byte & 0x80 == 0 {
                self.0 = self.0.get(count + 1..).unwrap_or_default();
                return u32::try_from(value).ok().ok_or(Error::IntegerOverflow);
            }
        }
        Err(if self.0.len() < MAX_CONTINUATION {
            Error::Truncated
        } else {
            Error::IntegerOverflow
        })
    }

    /// Reads a string (section 5.2).
    #[inline]
    pub(super) fn string(&mut self, scratch: &mut Scratch) -> Result<Text<'b>, Error> {
        let huffman = self.peek().is_some_and(|byte| byte & 0x80 != 0);
        let length = self.integer(7)? as usize;
        let block = self.0;
        let (string, rest) = block.split_at_checked(length).ok_or(Error::Truncated)?;
        self.0 = rest;
        if huffman {
            scratch.decode(block, length).map(Text::Decoded)
        } else {
            Ok(Text::Plain(string))
        }
    }
}

/// A string that was read.
pub(super) enum Text<'b> {
    /// It is in the block as it is.
    Plain(&'b [u8]),
    /// It was decoded to this range of the scratch buffer.
    Decoded(Range<usize>),
}

/// A buffer for the decoded strings of a field.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    used: usize,
}

impl Scratch {
    /// Bytes kept from one block to the next.
    pub(super) const MAX_KEPT_BYTES: usize = 4096;

    /// Drops the strings of the previous field.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Returns the octets of a string.
    #[inline]
    pub(super) fn get<'s>(&'s self, text: &Text<'s>) -> &'s [u8] {
        match text {
            Text::Plain(bytes) => bytes,
            Text::Decoded(range) => self.bytes.get(range.clone()).unwrap_or_default(),
        }
    }

    /// Shrinks the buffer after an unusually long string.
    pub(super) fn trim(&mut self) {
        if self.bytes.capacity() > Self::MAX_KEPT_BYTES {
            self.bytes.truncate(Self::MAX_KEPT_BYTES);
            self.bytes.shrink_to(Self::MAX_KEPT_BYTES);
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Decodes the string of `length` bytes that `block` begins with.
    fn decode(&mut self, block: &[u8], length: usize) -> Result<Range<usize>, Error> {
        let start = self.used;
        let wanted = start.saturating_add(huffman::max_decoded(length));
        if self.bytes.len() < wanted {
            self.bytes.reserve_exact(wanted - self.bytes.len());
            self.bytes.resize(wanted, 0);
        }
        let decoded = huffman::decode(block, length, self.bytes.get_mut(start..).unwrap_or_default())?;
        self.used = start + decoded;
        Ok(start..self.used)
    }
}
