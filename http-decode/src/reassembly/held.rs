//! What a direction holds at a position: bytes, or a gap that was reported.

use crate::chunk::Chunk;
use crate::{GapCause, Timestamp};

/// An entry at a position.
#[derive(Debug)]
pub(super) enum Entry {
    /// Bytes that are not decoded yet.
    Held(Held),
    /// Bytes that will never arrive.
    Gap {
        span: u64,
        cause: GapCause,
        at: Option<Timestamp>,
    },
}

impl Entry {
    /// Returns the number of bytes that arrived.
    pub(super) fn arrived(&self) -> u64 {
        match self {
            Self::Held(held) => held.len() as u64,
            Self::Gap { .. } => 0,
        }
    }

    /// Returns the number of positions.
    pub(super) fn span(&self) -> u64 {
        match self {
            Self::Held(_) => self.arrived(),
            Self::Gap { span, .. } => *span,
        }
    }
}

/// Bytes that are held until they can be decoded.
#[derive(Debug)]
pub(crate) struct Held {
    at: Timestamp,
    origin: u32,
    call_start: bool,
    bytes: Box<[u8]>,
    /// The number of bytes that have been decoded.
    start: usize,
}

impl Held {
    /// Copies a chunk.
    pub(super) fn new(chunk: &Chunk<'_>) -> Self {
        Self {
            at: chunk.at,
            origin: chunk.origin,
            call_start: chunk.call_start,
            bytes: chunk.bytes.into(),
            start: 0,
        }
    }

    /// Returns the bytes that are left as a chunk at `position`.
    pub(crate) fn chunk(&self, position: u64) -> Chunk<'_> {
        let bytes = self.bytes.get(self.start..).unwrap_or_default();
        Chunk {
            position,
            at: self.at,
            origin: self.origin,
            call_start: self.call_start,
            bytes,
        }
    }

    /// Removes the first `count` bytes of those that are left.
    pub(super) fn advance(&mut self, count: usize) {
        if count > 0 {
            self.start += count;
            self.call_start = false;
        }
    }

    /// Returns the number of bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// Returns the number of bytes in memory.
    pub(super) fn allocated(&self) -> usize {
        self.bytes.len()
    }
}
