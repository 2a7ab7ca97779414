//! Rewriting a direction with what h2 does not send: padding, priorities, more CONTINUATION frames, frames of other types.

use crate::frame::{
    CONTINUATION, DATA, END_HEADERS, Frame, HEADERS, MAX_PAYLOAD, PADDED, PING, PRIORITY, PRIORITY_FLAG, PUSH_PROMISE,
    frames,
};
use crate::plan::Rewrite;
use crate::random::Random;

/// A rewritten direction, and the new position of each old one.
pub(crate) struct Rewritten {
    pub(crate) bytes: Vec<u8>,
    /// Old and new positions of the starts of frames, and of the end of the last one.
    places: Vec<(usize, usize)>,
}

impl Rewritten {
    /// Returns the new position of an old one. A position in a frame keeps its distance from the start of the frame, if the frame
    /// is that long.
    pub(crate) fn place(&self, old: usize) -> usize {
        let next = self.places.partition_point(|(start, _)| *start <= old);
        let (old_start, new_start) = next.checked_sub(1).map_or((0, 0), |index| self.places[index]);
        let end = self.places.get(next).map_or(self.bytes.len(), |(_, start)| *start);
        (new_start + (old - old_start)).min(end)
    }
}

/// Rewrites some frames of a direction.
pub(crate) fn rewrite(bytes: &[u8], plan: Rewrite) -> Rewritten {
    let mut random = Random::new(plan.seed ^ bytes.len() as u64);
    let mut places = Vec::new();
    let frames = frames(bytes);
    let mut rewritten = bytes[..frames.first().map_or(bytes.len(), |frame| frame.range.start)].to_vec();
    let mut within_block = false;
    for frame in &frames {
        places.push((frame.range.start, rewritten.len()));
        // Nothing may come between the frames of a header block, and SETTINGS are what each side begins with.
        if !within_block && !places.is_empty() && frame.stream != 0 && random.percent(plan.share / 3) {
            insert(&mut rewritten, frame.stream, plan.other_type, &mut random);
        }
        if random.percent(plan.share) {
            rewrite_frame(&mut rewritten, frame, &mut random);
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

/// Writes a frame that does not concern any exchange.
fn insert(out: &mut Vec<u8>, stream: u32, other_type: u8, random: &mut Random) {
    match random.below(3) {
        0 => write(out, PING, 0, 0, &random.bytes(8)),
        1 => write(out, PRIORITY, 0, stream, &[0, 0, 0, 0, 15]),
        _ => {
            let length = random.below(40);
            write(out, other_type, 0, 0, &random.bytes(length));
        }
    }
}

fn rewrite_frame(out: &mut Vec<u8>, frame: &Frame<'_>, random: &mut Random) {
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
            let (flags, payload) = pad(flags, payload, random);
            write(out, kind, flags, stream, &payload);
        }
        HEADERS | PUSH_PROMISE | CONTINUATION => rewrite_block(out, frame, random),
        _ => write(out, kind, flags, stream, payload),
    }
}

/// Cuts a fragment of a header block into up to four, and adds to the first what its type allows.
fn rewrite_block(out: &mut Vec<u8>, frame: &Frame<'_>, random: &mut Random) {
    let fixed = if frame.kind == PUSH_PROMISE { 4 } else { 0 };
    let mut cuts: Vec<usize> = (0..random.below(4))
        .map(|_| fixed + random.below(frame.payload.len() - fixed + 1))
        .collect();
    cuts.sort_unstable();
    cuts.push(frame.payload.len());
    let mut start = 0;
    for (index, end) in cuts.iter().copied().enumerate() {
        let last = index + 1 == cuts.len();
        let ends = if last { frame.flags & END_HEADERS } else { 0 };
        let part = &frame.payload[start..end];
        if index == 0 {
            let (flags, payload) = prefix(frame, part, random);
            write(out, frame.kind, (flags & !END_HEADERS) | ends, frame.stream, &payload);
        } else {
            write(out, CONTINUATION, ends, frame.stream, part);
        }
        start = end;
    }
}

/// Adds a priority and padding where the type allows.
fn prefix(frame: &Frame<'_>, part: &[u8], random: &mut Random) -> (u8, Vec<u8>) {
    let (mut flags, mut payload) = (frame.flags, part.to_vec());
    if frame.kind == HEADERS && payload.len() + 5 <= MAX_PAYLOAD && random.percent(50) {
        flags |= PRIORITY_FLAG;
        payload.splice(..0, [0x80, 0, 0, 0, 255]);
    }
    if frame.kind == CONTINUATION {
        (flags, payload)
    } else {
        pad(flags, &payload, random)
    }
}

fn pad(flags: u8, payload: &[u8], random: &mut Random) -> (u8, Vec<u8>) {
    let length = random.next().to_le_bytes()[0];
    if payload.len() + 1 + usize::from(length) > MAX_PAYLOAD {
        return (flags, payload.to_vec());
    }
    let padding = vec![0; usize::from(length)];
    (flags | PADDED, [&[length], payload, padding.as_slice()].concat())
}
