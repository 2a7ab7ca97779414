//! The latest finished streams, so that a late frame of one of them does not begin an exchange.

use std::collections::VecDeque;

use crate::limits::MAX_FINISHED_STREAMS;

/// The latest streams whose exchange has been emitted.
#[derive(Debug, Default)]
pub(super) struct FinishedStreams {
    latest: VecDeque<u32>,
    /// The highest of all. Most requests are on a higher stream, which need not be searched for.
    highest: u32,
}

impl FinishedStreams {
    /// Adds a stream. At the limit it replaces the oldest one.
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

/// Adds an entry to a queue that keeps the latest entries.
pub(super) fn remember<T>(latest: &mut VecDeque<T>, one: T) {
    if latest.len() >= MAX_FINISHED_STREAMS {
        latest.pop_front();
    }
    latest.push_back(one);
}
