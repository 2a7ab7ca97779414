//! Fixed fields: frame headers, and what payloads begin with.
//!
//! In: chunks that may end in the middle of a field. Out: all the fields at once. Refuses nothing: what they mean is
//! known to whom asks for them.

use crate::Chunk;

/// Fixed fields that may lie in more than one chunk: at most the nine bytes of a frame header.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    bytes: [u8; 9],
    pub(super) have: usize,
}

impl Fixed {
    /// Gives all `length` of them, in front, once they have come.
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

/// Reads four bytes from `start` on.
pub(super) fn word(bytes: &[u8; 9], start: usize) -> u32 {
    let word = bytes.get(start..).and_then(<[u8]>::first_chunk);
    word.copied().map(u32::from_be_bytes).unwrap_or_default()
}
