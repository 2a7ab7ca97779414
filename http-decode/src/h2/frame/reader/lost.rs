//! What a gap takes from the frames of a direction.

use super::event::Block;

/// The effect of a gap on the reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GapEffect<'a> {
    /// It ended within the frame in progress, or at its end.
    InSync(Lost<'a>),
    /// It may have held a frame header. The reader must be replaced where the next frame boundary is found.
    OutOfSync(Lost<'a>),
}

/// What a gap took of the frame, or of the header block, in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lost<'a> {
    /// Nothing of use: padding, or a frame that is skipped.
    Nothing,
    /// DATA content.
    Content {
        /// The stream.
        stream: u32,
        /// The number of bytes; 0 if the gap took only padding and the end.
        bytes: u64,
        /// Whether it took the end of a frame with `END_STREAM`. No event reports that end.
        ends_stream: bool,
    },
    /// The pad length of a DATA frame, so that the number of its content bytes is unknown. No event reports any.
    ContentUnknown {
        /// The stream.
        stream: u32,
        /// As for `Content`.
        ends_stream: bool,
    },
    /// Part of a header block. The block has the bytes before the gap; those behind it are skipped.
    Block(Block<'a>),
    /// The error code of `RST_STREAM`.
    Reset {
        /// The stream that is reset.
        stream: u32,
    },
    /// Part of SETTINGS or GOAWAY. No event reports the rest.
    Control {
        /// The frame type.
        kind: u8,
    },
}

impl Lost<'_> {
    /// Returns the same loss without the number of content bytes.
    pub(super) fn uncounted(self) -> Self {
        if let Self::Content {
            stream,
            bytes: 1..,
            ends_stream,
        } = self
        {
            return Self::ContentUnknown { stream, ends_stream };
        }
        self
    }
}
