//! What a reader of frames has to say.
//!
//! In: fields of frames. Out: [`Event`]s and [`Counters`]. Refuses to take over the value of a parameter that is out of
//! its range.

use crate::Timestamp;
use crate::chunk::Mark;
use crate::h2::frame::ErrorCode;
use crate::h2::frame::payload::{check_setting, setting};

/// What was read. PING, PRIORITY, `WINDOW_UPDATE` and unknown kinds make no event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event<'a> {
    /// The client's connection preface.
    Preface,
    /// The same behind frames: the client began anew, as it does when the server refused its early data.
    SecondPreface {
        /// Position of its first byte.
        position: u64,
    },
    /// A header block with all its CONTINUATIONs, or the beginning of one that is over the limit.
    Block(Block<'a>),
    /// So many bytes of DATA content, padding not counted, as they come; never none.
    Content {
        /// The stream they are on.
        stream: u32,
        /// How many.
        bytes: u64,
    },
    /// `END_STREAM` of a DATA frame, behind the frame's last byte. For HEADERS it is in the block.
    EndStream {
        /// The stream that ends in this direction.
        stream: u32,
    },
    /// `RST_STREAM`.
    Reset {
        /// The stream that is given up.
        stream: u32,
        /// Why, in the codes of RFC 9113 section 7.
        code: u32,
    },
    /// GOAWAY, once its fixed fields are there.
    GoAway {
        /// The last stream that was or might be acted upon.
        last_stream: u32,
        /// Why, in the codes of RFC 9113 section 7.
        code: u32,
    },
    /// SETTINGS, at its end.
    Settings(Settings),
    /// What came is not a frame, or breaks section 6 so that the connection cannot go on: the reader is out of step.
    Malformed {
        /// Position of the frame's first byte, or of the first that differs from the preface.
        position: u64,
        /// What is wrong.
        code: ErrorCode,
    },
}

/// A header block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Block<'a> {
    /// The stream it came on.
    pub(crate) stream: u32,
    /// The stream that `PUSH_PROMISE` promises; `None` for HEADERS, and where it was lost.
    pub(crate) promised: Option<u32>,
    /// Whether HEADERS says `END_STREAM`.
    pub(crate) end_stream: bool,
    /// Whether the block began before the reader did: neither its kind nor its fields nor `end_stream` are known.
    pub(crate) headless: bool,
    /// The fragments put together, padding and priority fields taken off.
    pub(crate) bytes: &'a [u8],
    /// False if `bytes` is only a beginning, possibly of none: the rest fell into a hole, lay over the limit, or the
    /// block had begun before the reader did.
    pub(crate) whole: bool,
    /// The first byte of the first frame's header.
    pub(crate) mark: Mark,
    /// When the chunk came that completed the block or made it too long; before a hole, the last one of the block.
    pub(crate) at: Timestamp,
}

/// What a SETTINGS frame says; the last entry wins, and one out of its range is left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settings {
    /// An answer to the other side's, without entries.
    pub(crate) ack: bool,
    /// Bytes of HPACK table the sender allows the other side's encoder.
    pub(crate) header_table_size: Option<u32>,
    /// Bytes of payload the sender takes in a frame.
    pub(crate) max_frame_size: Option<u32>,
    /// Whether the sender, a server, takes extended CONNECT (RFC 8441).
    pub(crate) enable_connect_protocol: Option<bool>,
}

impl Settings {
    pub(super) fn new(ack: bool) -> Self {
        Self { ack, ..Self::default() }
    }

    /// Takes in one entry, which is in the first six bytes.
    pub(super) fn enter(&mut self, &[i0, i1, v0, v1, v2, v3, ..]: &[u8; 9]) {
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

/// How often a peer did what costs an endpoint more than us.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counters {
    /// Header blocks over the limit (CVE-2024-27316).
    pub(crate) blocks_cut: u64,
    /// HEADERS and CONTINUATION frames of no bytes that do not end their block.
    pub(crate) empty_fragments: u64,
    /// DATA frames of no bytes that do not end their stream (CVE-2019-9518).
    pub(crate) empty_data: u64,
    /// Frames larger than the other side allows.
    pub(crate) oversize_frames: u64,
}
