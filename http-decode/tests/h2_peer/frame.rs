//! Frames (RFC 9113 section 4), parsed without any code of http-decode.

use std::ops::Range;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
/// The type of an extension (RFC 9218 section 7.1).
pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
/// An unassigned type, which receivers ignore (RFC 9113 section 5.5).
pub(crate) const UNASSIGNED: u8 = 0xbe;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const PRIORITY_FLAG: u8 = 0x20;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
pub(crate) const MAX_PAYLOAD: usize = 16_384;

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: &'a [u8],
    /// Its range in the direction.
    pub(crate) range: Range<usize>,
}

impl Frame<'_> {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The stream that a `PUSH_PROMISE` promises.
    pub(crate) fn promised(&self) -> Option<u32> {
        let padded = usize::from(self.has(PADDED));
        let id = self.payload[padded..]
            .first_chunk()
            .filter(|_| self.kind == PUSH_PROMISE)?;
        Some(u32::from_be_bytes(*id))
    }

    /// Returns the features that occur in it.
    pub(crate) fn features(&self) -> impl Iterator<Item = &'static str> {
        let of_stream = self.stream != 0;
        let kind = match self.kind {
            PRIORITY => Some("PRIORITY"),
            RST_STREAM => Some("RST_STREAM"),
            PUSH_PROMISE => Some("PUSH_PROMISE"),
            GOAWAY => Some("GOAWAY"),
            CONTINUATION => Some("CONTINUATION"),
            PRIORITY_UPDATE => Some("PRIORITY_UPDATE"),
            UNASSIGNED => Some("unassigned"),
            _ => None,
        };
        let padded = matches!(self.kind, DATA | HEADERS | PUSH_PROMISE) && self.has(PADDED);
        let with_priority = self.kind == HEADERS && self.has(PRIORITY_FLAG);
        let large = self.payload.len() == MAX_PAYLOAD && of_stream;
        let flags = [
            (padded, "padding"),
            (with_priority, "a priority"),
            (large, "a full frame"),
        ];
        kind.into_iter()
            .chain(flags.into_iter().filter_map(|(has, name)| has.then_some(name)))
    }

    /// Returns whether CONTINUATION must follow it.
    pub(crate) fn is_open_block(&self) -> bool {
        matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION) && !self.has(END_HEADERS)
    }
}

/// Returns the frames of a direction, except a frame that is cut off at the end.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut start = if bytes.starts_with(PREFACE) { PREFACE.len() } else { 0 };
    let mut frames = Vec::new();
    while let Some(&[a, b, c, kind, flags, stream @ ..]) = bytes[start..].first_chunk::<HEADER_BYTES>() {
        let end = start + HEADER_BYTES + u32::from_be_bytes([0, a, b, c]) as usize;
        let Some(payload) = bytes.get(start + HEADER_BYTES..end) else {
            break;
        };
        frames.push(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
            range: start..end,
        });
        start = end;
    }
    frames
}
