//! Lines that are to be written, in one buffer.

use std::collections::VecDeque;

/// Maximum memory that is kept for lines that are written.
const KEPT_BYTES: usize = 1024 * 1024;

/// Lines, one after the other, and the length of each.
#[derive(Debug, Default)]
pub(super) struct Queued {
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: VecDeque<usize>,
}

impl Queued {
    pub(super) fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lengths.push_back(line.len());
    }

    /// Removes all lines, and keeps the memory that usual batches take.
    pub(super) fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
        self.bytes.clear();
        self.lengths.clear();
    }
}
