//! Evidence that bytes are HTTP/2 frames, where the beginning of the connection was not seen.
//!
//! A chain starts at a position where a frame may begin, and follows the frames from there by their lengths. It is broken as
//! soon as nine bytes cannot be a frame header, or a header block cannot be decoded.

use super::frame::{self, Header, Payload, flag, kind};
use super::hpack;
use super::section::is_field_name;

/// Frames that seem to follow each other.
#[derive(Debug, Default)]
pub(crate) struct FrameChain {
    state: State,
    evidence: u32,
    /// Whether it began with an unusual frame, so that more evidence is needed.
    unusual_start: bool,
    /// Whether the end of the latest frame is evidence.
    ended_reliably: bool,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    /// A frame header, of which this number of bytes has been scanned.
    Header([u8; HEADER_BYTES], usize),
    /// A payload, of which this number of bytes is left.
    Payload(usize, Plausibility, Extent),
    /// These are not frames.
    Broken,
}

impl Default for State {
    fn default() -> Self {
        Self::Header([0; HEADER_BYTES], 0)
    }
}

impl FrameChain {
    /// Returns the evidence for frames. A plausible header counts one. A frame of a prescribed length counts one more, and so
    /// does a frame whose payload is in one call and ends where the captured bytes end. A header block with pseudo-header
    /// fields counts two. Frames of unassigned types and headers with unusual flags count nothing.
    pub(crate) fn evidence(&self) -> u32 {
        if self.is_broken() { 0 } else { self.evidence }
    }

    /// Returns whether the chain began with an unusual frame.
    pub(crate) fn has_unusual_start(&self) -> bool {
        self.unusual_start
    }

    /// Returns how many bytes of the frame in progress have not arrived, if its header is a usual one.
    pub(crate) fn left_in_frame(&self) -> Option<u64> {
        match self.state {
            State::Payload(left, Plausibility::Usual, _) => Some(left as u64),
            State::Payload(..) | State::Header(..) | State::Broken => None,
        }
    }

    /// Returns whether the scanned bytes end where a frame ends whose payload is in one call.
    pub(crate) fn ends_at_boundary(&self) -> bool {
        self.ended_reliably && matches!(self.state, State::Header(_, 0))
    }

    /// Returns whether these cannot be frames.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Scans the next bytes; `starts_call` tells whether they begin a call.
    pub(crate) fn scan(&mut self, mut bytes: &[u8], starts_call: bool) {
        if let State::Payload(_, _, extent @ Extent::OneCall) = &mut self.state
            && starts_call
        {
            *extent = Extent::SeveralCalls;
        }
        while !bytes.is_empty() {
            match &mut self.state {
                State::Broken => return,
                State::Payload(left, _, extent) => {
                    let count = bytes.len().min(*left);
                    bytes = bytes.get(count..).unwrap_or_default();
                    *left -= count;
                    if *extent == Extent::NotStarted {
                        *extent = Extent::OneCall;
                    }
                    self.end_payload(bytes);
                }
                State::Header(header, seen) => {
                    let missing = header.get_mut(*seen..).unwrap_or_default();
                    let count = bytes.len().min(missing.len());
                    let (these, rest) = bytes.split_at(count);
                    for (to, from) in missing.iter_mut().zip(these) {
                        *to = *from;
                    }
                    *seen += count;
                    bytes = rest;
                    if header.first() > Some(&MAX_FIRST) {
                        self.state = State::Broken;
                        return;
                    }
                    if *seen == HEADER_BYTES {
                        let header = Header::parse(header);
                        self.begin_frame(&header, bytes);
                    }
                }
            }
        }
    }

    fn begin_frame(&mut self, header: &Header, rest: &[u8]) {
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let plausibility = Plausibility::of(header);
        let weight = match plausibility {
            Plausibility::Usual | Plausibility::Unusual => {
                rest.get(..length).map_or(Some(0), |payload| weigh(header, payload))
            }
            Plausibility::Unassigned => Some(0),
            Plausibility::NotAFrame => None,
        };
        let Some(weight) = weight else {
            self.state = State::Broken;
            return;
        };
        self.unusual_start |= self.evidence == 0 && plausibility != Plausibility::Usual;
        let is_usual = plausibility == Plausibility::Usual && !is_weak(header);
        self.evidence = self.evidence.saturating_add(weight + u32::from(is_usual));
        let extent = if rest.is_empty() {
            Extent::NotStarted
        } else {
            Extent::OneCall
        };
        self.state = State::Payload(length, plausibility, extent);
        self.end_payload(rest);
    }

    fn end_payload(&mut self, rest: &[u8]) {
        if let State::Payload(0, plausibility, extent) = self.state {
            self.state = State::default();
            // Many protocols send a length before each message, so the length of an unassigned type is no evidence. Bytes
            // that look like a frame by chance may end by chance where one of several calls ends.
            self.ended_reliably = plausibility != Plausibility::Unassigned && extent != Extent::SeveralCalls;
            self.evidence = self
                .evidence
                .saturating_add(u32::from(rest.is_empty() && self.ended_reliably));
        }
    }
}

/// The number of calls that a payload is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Extent {
    /// None: no byte has arrived.
    NotStarted,
    /// One, so far.
    OneCall,
    /// Several.
    SeveralCalls,
}

/// How plausible nine bytes are as a frame header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plausibility {
    /// They are one of a frame as senders send it.
    Usual,
    /// They have flags that the frame type does not define, or the reserved bit: a receiver ignores both.
    Unusual,
    /// The frame type is unassigned: a receiver ignores it, and some clients send one to test that (RFC 8701).
    Unassigned,
    /// They are not a frame header.
    NotAFrame,
}

impl Plausibility {
    fn of(header: &Header) -> Self {
        let assigned = matches!(
            header.kind,
            kind::DATA..=kind::CONTINUATION | kind::ALTSVC | kind::ORIGIN | kind::PRIORITY_UPDATE
        );
        if header.is_plausible() {
            Self::Usual
        } else if header.check(USUAL_LENGTH).is_err() {
            Self::NotAFrame
        } else if assigned {
            Self::Unusual
        } else {
            Self::Unassigned
        }
    }
}

/// Returns whether the header is one that bytes in the middle of a real header resemble: a DATA frame that is empty, or
/// larger than peers accept by default.
fn is_weak(header: &Header) -> bool {
    let is_empty = header.length == 0 && !header.has(flag::END_STREAM);
    header.kind == kind::DATA && (is_empty || header.length > USUAL_LENGTH)
}

/// Returns the evidence that a whole frame adds to that of its header; `None` if it cannot be a frame.
fn weigh(header: &Header, payload: &[u8]) -> Option<u32> {
    match frame::parse(header, payload, u32::MAX).ok()? {
        Payload::Headers { fragment, .. } => weigh_block(fragment, header.has(flag::END_HEADERS)),
        Payload::Priority { .. }
        | Payload::Reset { .. }
        | Payload::Settings { .. }
        | Payload::Ping { .. }
        | Payload::GoAway { .. }
        | Payload::WindowUpdate { .. } => Some(1),
        Payload::Data { .. } | Payload::PushPromise { .. } | Payload::Continuation { .. } | Payload::Unknown { .. } => {
            Some(0)
        }
    }
}

fn weigh_block(fragment: &[u8], whole: bool) -> Option<u32> {
    let bounds = hpack::Bounds {
        max_fields: MAX_FIELDS,
        max_bytes: usize::MAX,
    };
    let (mut names, mut pseudo) = (true, false);
    let decoded = hpack::Decoder::new(TABLE_BYTES).decode(fragment, &bounds, |field| {
        if let Some(name) = field.name {
            let is_pseudo = name.first() == Some(&b':');
            pseudo |= is_pseudo;
            names &= is_pseudo || is_field_name(name);
        }
    });
    match decoded {
        Ok(_) if names => Some(if pseudo { 2 } else { 0 }),
        Err(hpack::Error::Truncated) if names && !whole => Some(0),
        Ok(_) | Err(_) => None,
    }
}

const HEADER_BYTES: usize = 9;
/// The largest payload that every peer accepts (RFC 9113 section 4.2).
const USUAL_LENGTH: u32 = 16_384;
/// The first byte of a header is the highest byte of the length, which is plausible up to 1 MiB. Text begins with a higher
/// byte.
const MAX_FIRST: u8 = 0x10;
/// Fields of a block that are checked.
const MAX_FIELDS: usize = 64;
/// Bytes of the table for one block, which is dropped afterwards.
const TABLE_BYTES: usize = 4096;
