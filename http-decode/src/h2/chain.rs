//! Evidence that bytes are frames of HTTP/2, where nothing but the bytes says so.
//!
//! In: contiguous bytes from a place where a frame may begin. Out: how much speaks for it. Refuses as soon as nine bytes
//! cannot be a frame's header, or a header block cannot be decoded.

use super::frame::{self, Header, Payload, flag, kind};
use super::hpack;
use super::section::is_field_name;

/// Frames that seem to follow each other.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    place: Place,
    evidence: u32,
    /// Whether it began with frames that no everyday peer sends: what follows has to speak for them, too.
    odd: bool,
    /// Whether the latest frame that ended may be believed for where it ended.
    ends_well: bool,
}

#[derive(Debug)]
enum Place {
    /// In a frame header, of which so many bytes have been seen.
    Header([u8; HEADER_BYTES], usize),
    /// In the payload of such a frame, of which so many bytes are left.
    Payload(usize, Likeness, Extent),
    /// These were no frames.
    Broken,
}

impl Default for Place {
    fn default() -> Self {
        Self::Header([0; HEADER_BYTES], 0)
    }
}

impl Chain {
    /// Counts what speaks for frames: a plausible header is one, a frame of a length that is prescribed another, so is a
    /// frame with its payload in one call that ends where the captured bytes do, and a header block that begins like a head counts for two. Frames of
    /// unassigned kinds speak for nothing, and unusual flags take away what a plausible header counts for.
    pub(crate) fn evidence(&self) -> u32 {
        if self.is_broken() { 0 } else { self.evidence }
    }

    /// Returns whether it began with frames that no everyday peer sends.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd
    }

    /// Returns how many bytes of the frame in progress are to come, if its header is an everyday one.
    pub(crate) fn within_frame(&self) -> Option<u64> {
        match self.place {
            Place::Payload(left, Likeness::Frame, _) => Some(left as u64),
            Place::Payload(..) | Place::Header(..) | Place::Broken => None,
        }
    }

    /// Returns whether what was seen ends where a frame does whose payload lies in one piece.
    pub(crate) fn is_whole(&self) -> bool {
        self.ends_well && matches!(self.place, Place::Header(_, 0))
    }

    /// Returns whether these cannot be frames.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.place, Place::Broken)
    }

    /// Scans what follows, in the same call or, if it starts one, in the next.
    pub(crate) fn scan(&mut self, mut bytes: &[u8], starts_call: bool) {
        if let Place::Payload(_, _, extent @ Extent::Begun) = &mut self.place
            && starts_call
        {
            *extent = Extent::Parted;
        }
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Broken => return,
                Place::Payload(left, _, extent) => {
                    let count = bytes.len().min(*left);
                    bytes = bytes.get(count..).unwrap_or_default();
                    *left -= count;
                    if *extent == Extent::Awaited {
                        *extent = Extent::Begun;
                    }
                    self.end_payload(bytes);
                }
                Place::Header(header, seen) => {
                    let missing = header.get_mut(*seen..).unwrap_or_default();
                    let count = bytes.len().min(missing.len());
                    let (these, rest) = bytes.split_at(count);
                    for (to, from) in missing.iter_mut().zip(these) {
                        *to = *from;
                    }
                    *seen += count;
                    bytes = rest;
                    if header.first() > Some(&MAX_FIRST) {
                        self.place = Place::Broken;
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
        let likeness = Likeness::of(header);
        let judged = match likeness {
            Likeness::Frame | Likeness::Unusual => rest.get(..length).map_or(Some(0), |payload| judge(header, payload)),
            Likeness::Unassigned => Some(0),
            Likeness::None => None,
        };
        let Some(judged) = judged else {
            self.place = Place::Broken;
            return;
        };
        self.odd |= self.evidence == 0 && likeness != Likeness::Frame;
        let usual = likeness == Likeness::Frame && !is_weak(header);
        self.evidence = self.evidence.saturating_add(judged + u32::from(usual));
        let extent = if rest.is_empty() {
            Extent::Awaited
        } else {
            Extent::Begun
        };
        self.place = Place::Payload(length, likeness, extent);
        self.end_payload(rest);
    }

    fn end_payload(&mut self, rest: &[u8]) {
        if let Place::Payload(0, likeness, extent) = self.place {
            self.place = Place::default();
            // Many protocols have a length before each message, so an unassigned kind is not believed for its length. What
            // begins like a frame by chance ends by chance where one of many calls does.
            self.ends_well = likeness != Likeness::Unassigned && extent != Extent::Parted;
            self.evidence = self
                .evidence
                .saturating_add(u32::from(rest.is_empty() && self.ends_well));
        }
    }
}

/// In how many calls a payload lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Extent {
    /// Nothing of it has come.
    Awaited,
    /// In one, so far.
    Begun,
    /// In several.
    Parted,
}

/// How much nine bytes are like a frame's header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Likeness {
    /// An everyday frame's.
    Frame,
    /// A frame's whose kind does not define its flags, or with the reserved bit set: both are to be ignored.
    Unusual,
    /// One of a kind that an endpoint has to ignore, as some clients send to see whether it does (RFC 8701).
    Unassigned,
    /// No frame's.
    None,
}

impl Likeness {
    fn of(header: &Header) -> Self {
        let assigned = matches!(
            header.kind,
            kind::DATA..=kind::CONTINUATION | kind::ALTSVC | kind::ORIGIN | kind::PRIORITY_UPDATE
        );
        if header.is_plausible() {
            Self::Frame
        } else if header.check(USUAL_LENGTH).is_err() {
            Self::None
        } else if assigned {
            Self::Unusual
        } else {
            Self::Unassigned
        }
    }
}

/// Knows content that bytes in the middle of a header resemble: none at all, or more than peers take unless they say so.
fn is_weak(header: &Header) -> bool {
    let nothing = header.length == 0 && !header.has(flag::END_STREAM);
    header.kind == kind::DATA && (nothing || header.length > USUAL_LENGTH)
}

/// Says what a whole frame adds to its plausible header; `None` when it cannot be one.
fn judge(header: &Header, payload: &[u8]) -> Option<u32> {
    match frame::parse(header, payload, u32::MAX).ok()? {
        Payload::Headers { fragment, .. } => judge_block(fragment, header.has(flag::END_HEADERS)),
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

fn judge_block(fragment: &[u8], whole: bool) -> Option<u32> {
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
/// The longest payload that every peer takes (RFC 9113 section 4.2).
const USUAL_LENGTH: u32 = 16_384;
/// The first byte of a header is the highest of a length, which is plausible up to 1 MiB; text begins with a higher one.
const MAX_FIRST: u8 = 0x10;
/// Fields of a block that are looked at.
const MAX_FIELDS: usize = 64;
/// Bytes of a table that is thrown away after one block.
const TABLE_BYTES: usize = 4096;
