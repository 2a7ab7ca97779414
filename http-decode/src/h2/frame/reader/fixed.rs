//! Fixed fields: frame headers, and the fields that payloads begin with. Chunks may end in the middle of them.

use crate::Chunk;

/// Fixed fields in progress: at most the nine bytes of a frame header.
#[derive(Debug, Default)]
pub(super) struct FixedFields {
    bytes: [u8; 9],
    pub(super) have: usize,
}

impl FixedFields {
    /// Returns all `length` bytes, at the front of the array, once they have arrived.
    pub(super) fn gather(&mut self, length: u32, chunk: &mut Chunk<'_>) -> Option<[u8; 9]> {
        let length = length as usize;
        if let (0, 9, Some(&bytes)) = (self.have, length, chunk.bytes.first_chunk()) {
            chunk.advance(length);
            return Some(bytes);
        }
        let count = length.saturating_sub(self.have).min(chunk.bytes.len());
        let places = self.bytes.iter_mut().skip(self.have);
        for (place, byte) in places.zip(chunk.bytes.iter().take(count)) {
            *place = *byte;
        }
        chunk.advance(count);
        self.have += count;
        if self.have < length {
            return None;
        }
        self.have = 0;
        Some(self.bytes)
    }
}

/// Parses the four bytes at `start`.
pub(super) fn word(bytes: &[u8; 9], start: usize) -> u32 {
    let word = bytes.get(start..).and_then(<[u8]>::first_chunk);
    word.copied().map(u32::from_be_bytes).unwrap_or_default()
}
