//! The property that the fuzz target `frame` checks: reading any bytes.
//!
//! The reader must report the same events whatever the cut into chunks, the same as [`parse`](super::parse) for whole frames,
//! and around a gap no event that is not there without the gap. Its memory must stay bounded.

mod reference;
mod transcript;

use std::ops::Range;

use super::{Counters, Event, GapEffect, Reader};
use crate::h2::PREFACE;
use crate::{Chunk, Timestamp};
pub(super) use reference::expect;
use transcript::{MAX_BLOCK_BYTES, Recorded, Transcript};

/// Checks the property for the frames in `data`; see `fuzz::frames`.
pub(crate) fn frames(data: &[u8]) {
    let Some((&[preface, first, second, start_high, start, length_high, length], frames)) = data.split_first_chunk()
    else {
        return;
    };
    let preface = preface & 1 != 0;
    let mut wire = if preface { PREFACE.to_vec() } else { Vec::new() };
    wire.extend_from_slice(frames);
    let cut = [usize::from(first % 16) + 1, usize::from(second) + 1];
    let whole = transcript_of(&wire, preface, &[usize::MAX], 0..0);
    assert_eq!(
        whole.events,
        transcript_of(&wire, preface, &cut, 0..0).events,
        "cut into {cut:?}"
    );
    compare_with_parse(&wire, preface);
    let Some(wire) = wire.get(..well_formed(&whole, wire.len())) else {
        return;
    };
    let start = usize::from(u16::from_be_bytes([start_high, start])) % (wire.len() + 1);
    let length = usize::from(u16::from_be_bytes([length_high % 4, length]));
    let gap = start..(start + length).min(wire.len());
    let whole = transcript_of(wire, preface, &[usize::MAX], 0..0);
    compare_with_gap(&whole, &transcript_of(wire, preface, &cut, gap));
}

/// Reads `wire`, cut into chunks of these lengths in turn, and steps over the gap in it.
pub(super) fn transcript_of(wire: &[u8], preface: bool, cut: &[usize], gap: Range<usize>) -> Transcript {
    let mut reader = if preface {
        Reader::at_preface(MAX_BLOCK_BYTES)
    } else {
        Reader::new(MAX_BLOCK_BYTES)
    };
    reader.set_max_frame_size(16384);
    let mut transcript = Transcript::default();
    let (before, _) = wire.split_at_checked(gap.start).unwrap_or((wire, &[]));
    read_pieces(&mut reader, before, 0, cut, &mut transcript);
    if !gap.is_empty() {
        let skipped = reader.skip_gap(Some(gap.len() as u64));
        transcript.out_of_sync = matches!(skipped, GapEffect::OutOfSync(_));
        let (GapEffect::InSync(lost) | GapEffect::OutOfSync(lost)) = skipped;
        transcript.lose(lost);
    }
    if !transcript.out_of_sync {
        let after = wire.get(gap.end..).unwrap_or_default();
        read_pieces(&mut reader, after, gap.end, cut, &mut transcript);
    }
    let Counters {
        blocks_cut,
        empty_fragments,
        empty_data,
        oversize_frames,
    } = reader.take_counters();
    let counted = blocks_cut + empty_fragments + empty_data + oversize_frames;
    assert!(counted <= wire.len() as u64, "more frames are counted than came");
    transcript
}

fn read_pieces(reader: &mut Reader, mut bytes: &[u8], start: usize, cut: &[usize], transcript: &mut Transcript) {
    let mut position = start;
    for length in cut.iter().cycle() {
        let (piece, rest) = bytes.split_at(bytes.len().min(*length));
        let mut chunk = Chunk {
            position: position as u64,
            at: Timestamp(0),
            origin: 0,
            call_start: false,
            bytes: piece,
        };
        while let Some(event) = reader.read(&mut chunk) {
            transcript.record(event);
            assert!(
                transcript.events.len() <= 2 * (position + piece.len()) + 2,
                "an event for every byte, and one for an end"
            );
        }
        assert!(chunk.bytes.is_empty(), "a chunk is used up");
        assert!(reader.held_bytes() <= MAX_BLOCK_BYTES, "no more is held than the limit");
        position += piece.len();
        assert!(reader.held_bytes() <= 2 * position, "no more is held than came");
        bytes = rest;
        if bytes.is_empty() {
            return;
        }
    }
}

/// Returns the position of the first frame that the reader rejected.
fn well_formed(transcript: &Transcript, length: usize) -> usize {
    match transcript.events.last() {
        Some(Recorded {
            event: Event::Malformed { position, .. },
            ..
        }) => usize::try_from(*position).unwrap_or(length),
        _ => length,
    }
}

/// Compares the events around a gap with those without the gap.
fn compare_with_gap(whole: &Transcript, with_gap: &Transcript) {
    compare_content(whole, with_gap);
    for (block, bytes) in with_gap.blocks() {
        let found = whole
            .blocks()
            .find(|(other, _)| other.mark.position == block.mark.position);
        assert!(!block.whole || found.is_some(), "{block:?} is invented");
        if let Some((other, all)) = found {
            assert!(all.starts_with(bytes), "{block:?} is not a beginning");
            assert!(
                !block.whole || (other == block && all == bytes),
                "{block:?} is not {other:?}"
            );
        }
    }
    let (all, known) = (whole.others(), with_gap.others());
    let mut rest = all.iter();
    for event in &known {
        assert!(rest.any(|other| other == event), "{event:?} is invented");
    }
    let complete = with_gap.out_of_sync || known.len() + with_gap.lost >= all.len();
    assert!(complete, "{known:?} in sync is not {all:?}");
}

fn compare_content(whole: &Transcript, with_gap: &Transcript) {
    let (all, known) = (whole.content(), with_gap.content());
    for (stream, bytes) in &known {
        let most = all.get(stream).copied().unwrap_or_default();
        assert!(*bytes <= most, "content of {stream} is invented");
    }
    for (stream, bytes) in &all {
        let least = known.get(stream).copied().unwrap_or_default();
        let may_lack = with_gap.out_of_sync || with_gap.unknown.contains(stream);
        assert!(may_lack || least == *bytes, "content of {stream} is lost in sync");
    }
}

/// Compares the reader with [`parse`](super::parse) on the whole frames that neither rejects.
fn compare_with_parse(wire: &[u8], preface: bool) {
    let (expected, length) = expect(wire, preface);
    let events = transcript_of(wire.get(..length).unwrap_or_default(), preface, &[usize::MAX], 0..0).events;
    assert_eq!(events, expected, "the reader and the parser differ");
}
