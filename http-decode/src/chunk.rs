//! Captured bytes, as the caller hands them over.

use crate::Timestamp;

/// Bytes of one direction, as they were captured.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Position of the first byte, counted from 0 where tracing of the connection began. A gap of unknown length takes up
    /// [`STRETCH`](crate::STRETCH).
    pub position: u64,
    /// When they were captured.
    pub at: Timestamp,
    /// A number of the caller's, such as a thread identifier; an exchange that begins here carries it.
    pub origin: u32,
    /// Whether the first byte is the first one of a read or write call. After a loss, decoding resumes only there.
    pub call_start: bool,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Chunk<'_> {
    /// Removes the first `count` bytes.
    pub(crate) fn advance(&mut self, count: usize) {
        if count > 0 {
            self.bytes = self.bytes.get(count..).unwrap_or_default();
            self.position = self.position.saturating_add(count as u64);
            self.call_start = false;
        }
    }

    /// Removes all bytes, and returns how many they were.
    pub(crate) fn discard(&mut self) -> u64 {
        let count = self.bytes.len();
        self.advance(count);
        count as u64
    }
}

/// Where a message began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    /// Position of its first byte.
    pub(crate) position: u64,
    /// When that byte was captured.
    pub(crate) at: Timestamp,
    /// The caller's number for the chunk that held it.
    pub(crate) origin: u32,
}

impl Mark {
    /// Marks the first byte of `chunk`.
    pub(crate) const fn of(chunk: &Chunk<'_>) -> Self {
        Self {
            position: chunk.position,
            at: chunk.at,
            origin: chunk.origin,
        }
    }
}
