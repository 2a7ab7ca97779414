//! What is remembered of streams that are not open.
//!
//! In: streams whose exchange is out. Out: whether a stream is one of the latest of them. Refuses to grow.

use std::collections::VecDeque;

use crate::limits::MAX_FINISHED_STREAMS;

/// The latest streams whose exchange is out.
#[derive(Debug, Default)]
pub(super) struct FinishedStreams {
    latest: VecDeque<u32>,
    /// The highest of all: a stream above it, as that of most requests is, need not be looked for.
    highest: u32,
}

impl FinishedStreams {
    /// Adds a stream, in place of the one added first if there are too many.
    pub(super) fn insert(&mut self, stream: u32) {
        self.highest = self.highest.max(stream);
        remember(&mut self.latest, stream);
    }

    /// Returns whether `stream` is one of them.
    pub(super) fn contains(&self, stream: u32) -> bool {
        stream <= self.highest && self.latest.contains(&stream)
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.latest.capacity() * size_of::<u32>()
    }
}

/// Adds to a queue, which keeps the latest entries.
pub(super) fn remember<T>(latest: &mut VecDeque<T>, one: T) {
    if latest.len() >= MAX_FINISHED_STREAMS {
        latest.pop_front();
    }
    latest.push_back(one);
}
