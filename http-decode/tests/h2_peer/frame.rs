//! Frames (RFC 9113 section 4), read apart without any code of http-decode.
//!
//! In: one direction of a whole connection. Out: its frames, and the same bytes with what h2 does not send: padding,
//! priorities, more CONTINUATIONs, and frames of other types.

use std::ops::Range;

use crate::dice::Dice;
use crate::plan::Rewrite;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
/// Of an extension (RFC 9218 section 7.1).
pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
/// Of no meaning to anybody: to be ignored (RFC 9113 section 5.5).
pub(crate) const UNASSIGNED: u8 = 0xbe;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY_FLAG: u8 = 0x20;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
const MAX_PAYLOAD: usize = 16_384;

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: &'a [u8],
    /// Where it lies.
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

    /// Says what is particular about it.
    pub(crate) fn particulars(&self) -> impl Iterator<Item = &'static str> {
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

    /// Whether a header block goes on behind it.
    fn is_open_block(&self) -> bool {
        matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION) && !self.has(END_HEADERS)
    }
}

/// Lists the frames of a direction; a frame that was cut off at the end is left out.
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

/// A direction rewritten, and where each old place went.
pub(crate) struct Rewritten {
    pub(crate) bytes: Vec<u8>,
    /// Old and new starts of frames, and of what follows the last one.
    places: Vec<(usize, usize)>,
}

impl Rewritten {
    /// Where an old place is now; one within a frame stays as far from its start, if the frame is that long.
    pub(crate) fn place(&self, old: usize) -> usize {
        let next = self.places.partition_point(|(start, _)| *start <= old);
        let (old_start, new_start) = next.checked_sub(1).map_or((0, 0), |index| self.places[index]);
        let end = self.places.get(next).map_or(self.bytes.len(), |(_, start)| *start);
        (new_start + (old - old_start)).min(end)
    }
}

/// Rewrites some frames of a direction.
pub(crate) fn rewrite(bytes: &[u8], plan: Rewrite) -> Rewritten {
    let mut dice = Dice::new(plan.seed ^ bytes.len() as u64);
    let mut places = Vec::new();
    let frames = frames(bytes);
    let mut rewritten = bytes[..frames.first().map_or(bytes.len(), |frame| frame.range.start)].to_vec();
    let mut within_block = false;
    for frame in &frames {
        places.push((frame.range.start, rewritten.len()));
        // Nothing may come between the frames of a header block, and SETTINGS are what each side begins with.
        if !within_block && !places.is_empty() && frame.stream != 0 && dice.percent(plan.share / 3) {
            insert(&mut rewritten, frame.stream, plan.other_type, &mut dice);
        }
        if dice.percent(plan.share) {
            rewrite_frame(&mut rewritten, frame, &mut dice);
        } else {
            rewritten.extend_from_slice(&bytes[frame.range.clone()]);
        }
        within_block = frame.is_open_block();
    }
    let end = frames.last().map_or(bytes.len(), |frame| frame.range.end);
    places.push((end, rewritten.len()));
    rewritten.extend_from_slice(&bytes[end..]);
    Rewritten {
        bytes: rewritten,
        places,
    }
}

fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("payloads are short").to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Writes a frame that says nothing about an exchange.
fn insert(out: &mut Vec<u8>, stream: u32, other_type: u8, dice: &mut Dice) {
    match dice.below(3) {
        0 => write(out, PING, 0, 0, &dice.bytes(8)),
        1 => write(out, PRIORITY, 0, stream, &[0, 0, 0, 0, 15]),
        _ => {
            let length = dice.below(40);
            write(out, other_type, 0, 0, &dice.bytes(length));
        }
    }
}

fn rewrite_frame(out: &mut Vec<u8>, frame: &Frame<'_>, dice: &mut Dice) {
    let &Frame {
        kind,
        flags,
        stream,
        payload,
        ..
    } = frame;
    assert!(
        flags & (PADDED | PRIORITY_FLAG) == 0,
        "h2 sends neither padding nor priorities"
    );
    match kind {
        DATA => {
            let (flags, payload) = pad(flags, payload, dice);
            write(out, kind, flags, stream, &payload);
        }
        HEADERS | PUSH_PROMISE | CONTINUATION => rewrite_block(out, frame, dice),
        _ => write(out, kind, flags, stream, payload),
    }
}

/// Cuts a fragment of a header block into up to four, and adds to the first what its type allows.
fn rewrite_block(out: &mut Vec<u8>, frame: &Frame<'_>, dice: &mut Dice) {
    let fixed = if frame.kind == PUSH_PROMISE { 4 } else { 0 };
    let mut cuts: Vec<usize> = (0..dice.below(4))
        .map(|_| fixed + dice.below(frame.payload.len() - fixed + 1))
        .collect();
    cuts.sort_unstable();
    cuts.push(frame.payload.len());
    let mut start = 0;
    for (index, end) in cuts.iter().copied().enumerate() {
        let last = index + 1 == cuts.len();
        let ends = if last { frame.flags & END_HEADERS } else { 0 };
        let part = &frame.payload[start..end];
        if index == 0 {
            let (flags, payload) = prefix(frame, part, dice);
            write(out, frame.kind, (flags & !END_HEADERS) | ends, frame.stream, &payload);
        } else {
            write(out, CONTINUATION, ends, frame.stream, part);
        }
        start = end;
    }
}

/// Adds a priority and padding where the type allows.
fn prefix(frame: &Frame<'_>, part: &[u8], dice: &mut Dice) -> (u8, Vec<u8>) {
    let (mut flags, mut payload) = (frame.flags, part.to_vec());
    if frame.kind == HEADERS && payload.len() + 5 <= MAX_PAYLOAD && dice.percent(50) {
        flags |= PRIORITY_FLAG;
        payload.splice(..0, [0x80, 0, 0, 0, 255]);
    }
    if frame.kind == CONTINUATION {
        (flags, payload)
    } else {
        pad(flags, &payload, dice)
    }
}

fn pad(flags: u8, payload: &[u8], dice: &mut Dice) -> (u8, Vec<u8>) {
    let length = dice.next().to_le_bytes()[0];
    if payload.len() + 1 + usize::from(length) > MAX_PAYLOAD {
        return (flags, payload.to_vec());
    }
    let padding = vec![0; usize::from(length)];
    (flags | PADDED, [&[length], payload, padding.as_slice()].concat())
}
