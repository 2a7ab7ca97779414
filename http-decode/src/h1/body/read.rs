//! The result of reading a body.

use crate::{Chunk, Fields};

/// What was read of a body.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes of content.
    Content(u64),
    /// Nothing: the chunk is used up.
    NeedMore,
    /// Bytes of content, then the end of the body with its trailers.
    End(u64, Fields),
}

/// Takes up to `left` bytes of content off `chunk`.
pub(super) fn take_content(left: &mut u64, chunk: &mut Chunk<'_>) -> Read {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.bytes.len());
    if count == 0 {
        return Read::NeedMore;
    }
    chunk.advance(count);
    *left -= count as u64;
    Read::Content(count as u64)
}
