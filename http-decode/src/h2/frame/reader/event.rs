//! The events that a reader of frames reports.

use crate::Timestamp;
use crate::chunk::Mark;
use crate::h2::frame::ErrorCode;
use crate::h2::frame::payload::{check_setting, setting};

/// What was read. PING, PRIORITY, `WINDOW_UPDATE` and frames of unknown types are not reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event<'a> {
    /// The client preface.
    Preface,
    /// The client preface behind frames: the client started over, as it does when the server rejected its early data.
    SecondPreface {
        /// Position of its first byte.
        position: u64,
    },
    /// A header block with all its CONTINUATION frames, or the beginning of one that is over the limit.
    Block(Block<'a>),
    /// DATA content without padding, as it arrives; at least one byte.
    Content {
        /// The stream.
        stream: u32,
        /// The number of bytes.
        bytes: u64,
    },
    /// The end of a DATA frame with `END_STREAM`. That of HEADERS is in the block.
    EndStream {
        /// The stream that ends in this direction.
        stream: u32,
    },
    /// `RST_STREAM`.
    Reset {
        /// The stream that is reset.
        stream: u32,
        /// Why, in the codes of RFC 9113 section 7.
        code: u32,
    },
    /// GOAWAY, once its fixed fields have arrived.
    GoAway {
        /// The last stream that was or might be acted upon.
        last_stream: u32,
        /// Why, in the codes of RFC 9113 section 7.
        code: u32,
    },
    /// A whole SETTINGS frame.
    Settings(Settings),
    /// Bytes that are not a frame, or an error of the connection by section 6. The reader is out of sync.
    Malformed {
        /// Position of the first byte of the frame, or of the first byte that differs from the preface.
        position: u64,
        /// What is wrong.
        code: ErrorCode,
    },
}

/// A header block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Block<'a> {
    /// The stream of its frames.
    pub(crate) stream: u32,
    /// The stream that `PUSH_PROMISE` promises; `None` for HEADERS, or if it was lost.
    pub(crate) promised: Option<u32>,
    /// Whether HEADERS has `END_STREAM`.
    pub(crate) end_stream: bool,
    /// Whether the block began before the reader: its frame type, its fields and `end_stream` are unknown.
    pub(crate) headless: bool,
    /// The concatenated fragments, without padding and priority fields.
    pub(crate) bytes: &'a [u8],
    /// Whether `bytes` is the whole block. If not, it is a beginning, possibly empty: the rest was lost or over the limit, or
    /// the block began before the reader.
    pub(crate) whole: bool,
    /// The first byte of the first frame's header.
    pub(crate) mark: Mark,
    /// When the last chunk of the block came; for a block over the limit, the chunk that exceeded it.
    pub(crate) at: Timestamp,
}

/// The entries of a SETTINGS frame. The last entry of an identifier counts; one out of range is ignored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settings {
    /// Whether it acknowledges the SETTINGS of the other side; then it has no entries.
    pub(crate) ack: bool,
    /// The size of the HPACK table that the sender allows to the encoder of the other side, in bytes.
    pub(crate) header_table_size: Option<u32>,
    /// The largest payload that the sender accepts, in bytes.
    pub(crate) max_frame_size: Option<u32>,
    /// Whether the sender, a server, accepts extended CONNECT (RFC 8441).
    pub(crate) enable_connect_protocol: Option<bool>,
}

impl Settings {
    pub(super) fn new(ack: bool) -> Self {
        Self { ack, ..Self::default() }
    }

    /// Sets one entry, which is in the first six bytes.
    pub(super) fn set(&mut self, &[i0, i1, v0, v1, v2, v3, ..]: &[u8; 9]) {
        let identifier = u16::from_be_bytes([i0, i1]);
        let value = u32::from_be_bytes([v0, v1, v2, v3]);
        if check_setting(identifier, value).is_err() {
            return;
        }
        match identifier {
            setting::HEADER_TABLE_SIZE => self.header_table_size = Some(value),
            setting::MAX_FRAME_SIZE => self.max_frame_size = Some(value),
            setting::ENABLE_CONNECT_PROTOCOL => self.enable_connect_protocol = Some(value == 1),
            _ => {}
        }
    }
}

/// Counters of frames with which peers attack endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counters {
    /// Header blocks over the limit (CVE-2024-27316).
    pub(crate) blocks_cut: u64,
    /// Empty HEADERS and CONTINUATION frames that do not end their block.
    pub(crate) empty_fragments: u64,
    /// Empty DATA frames that do not end their stream (CVE-2019-9518).
    pub(crate) empty_data: u64,
    /// Frames larger than the other side accepts.
    pub(crate) oversize_frames: u64,
}
