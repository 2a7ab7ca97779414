//! What must hold for the frames of any bytes: the body of `fuzz::frames`.
//!
//! In: arbitrary bytes. Out: nothing. Panics when the reader says something else of the same bytes cut differently, or
//! other than [`parse`](super::parse) says of the whole frames, or behind a gap what is not so, or when it holds too much.

mod reference;

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Block, Counters, Event, GapEffect, Lost, Reader};
use crate::{Chunk, Timestamp};
pub(super) use reference::expect;

const MAX_BLOCK_BYTES: usize = 64;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An event without what depends on the cut: times, and where its bytes are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Told {
    pub(super) event: Event<'static>,
    pub(super) bytes: Vec<u8>,
}

/// What one direction told.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) told: Vec<Told>,
    /// Whether a gap put it out of step.
    out_of_sync: bool,
    /// Streams whose content is no longer known, and events that a gap took.
    unknown: Vec<u32>,
    lost: usize,
}

/// As `fuzz::frames` says.
pub(crate) fn frames(data: &[u8]) {
    let Some((&[preface, first, second, start_high, start, length_high, length], frames)) = data.split_first_chunk()
    else {
        return;
    };
    let preface = preface & 1 != 0;
    let mut wire = if preface { PREFACE.to_vec() } else { Vec::new() };
    wire.extend_from_slice(frames);
    let cut = [usize::from(first % 16) + 1, usize::from(second) + 1];
    let whole = tell(&wire, preface, &[usize::MAX], 0..0);
    assert_eq!(whole.told, tell(&wire, preface, &cut, 0..0).told, "cut into {cut:?}");
    compare_with_parse(&wire, preface);
    let Some(wire) = wire.get(..well_formed(&whole, wire.len())) else {
        return;
    };
    let start = usize::from(u16::from_be_bytes([start_high, start])) % (wire.len() + 1);
    let length = usize::from(u16::from_be_bytes([length_high % 4, length]));
    let gap = start..(start + length).min(wire.len());
    let whole = tell(wire, preface, &[usize::MAX], 0..0);
    compare_with_hole(&whole, &tell(wire, preface, &cut, gap));
}

/// Reads `wire`, cut into pieces of these lengths by turns, and steps over the gap in it.
pub(super) fn tell(wire: &[u8], preface: bool, cut: &[usize], gap: Range<usize>) -> Story {
    let mut reader = if preface {
        Reader::at_preface(MAX_BLOCK_BYTES)
    } else {
        Reader::new(MAX_BLOCK_BYTES)
    };
    reader.set_max_frame_size(16384);
    let mut story = Story::default();
    let (before, _) = wire.split_at_checked(gap.start).unwrap_or((wire, &[]));
    read_pieces(&mut reader, before, 0, cut, &mut story);
    if !gap.is_empty() {
        let skipped = reader.skip_gap(Some(gap.len() as u64));
        story.out_of_sync = matches!(skipped, GapEffect::OutOfSync(_));
        let (GapEffect::InSync(lost) | GapEffect::OutOfSync(lost)) = skipped;
        story.lose(lost);
    }
    if !story.out_of_sync {
        let after = wire.get(gap.end..).unwrap_or_default();
        read_pieces(&mut reader, after, gap.end, cut, &mut story);
    }
    let Counters {
        blocks_cut,
        empty_fragments,
        empty_data,
        oversize_frames,
    } = reader.take_counters();
    let counted = blocks_cut + empty_fragments + empty_data + oversize_frames;
    assert!(counted <= wire.len() as u64, "more frames are counted than came");
    story
}

fn read_pieces(reader: &mut Reader, mut bytes: &[u8], start: usize, cut: &[usize], story: &mut Story) {
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
            story.hear(event);
            assert!(
                story.told.len() <= 2 * (position + piece.len()) + 2,
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

impl Story {
    /// Takes down an event; content that follows on content is one.
    fn hear(&mut self, event: Event<'_>) {
        let last = self.told.last_mut().map(|told| &mut told.event);
        let (event, bytes) = match (event, last) {
            (
                Event::Content { stream, bytes },
                Some(Event::Content {
                    stream: same,
                    bytes: sum,
                }),
            ) if stream == *same => {
                *sum += bytes;
                return;
            }
            (Event::Block(block), _) => (Event::Block(Block { bytes: &[], ..block }), block.bytes.to_vec()),
            (Event::Content { stream, bytes }, _) => (Event::Content { stream, bytes }, Vec::new()),
            (Event::EndStream { stream }, _) => (Event::EndStream { stream }, Vec::new()),
            (Event::Reset { stream, code }, _) => (Event::Reset { stream, code }, Vec::new()),
            (Event::GoAway { last_stream, code }, _) => (Event::GoAway { last_stream, code }, Vec::new()),
            (Event::Settings(settings), _) => (Event::Settings(settings), Vec::new()),
            (Event::Malformed { position, code }, _) => (Event::Malformed { position, code }, Vec::new()),
            (Event::Preface, _) => (Event::Preface, Vec::new()),
            (Event::SecondPreface { position }, _) => (Event::SecondPreface { position }, Vec::new()),
        };
        self.told.push(Told { event, bytes });
    }

    /// Takes down what a gap took, in the same words where it is known all the same.
    fn lose(&mut self, lost: Lost<'_>) {
        let (content, ended) = match lost {
            Lost::Nothing => (None, None),
            Lost::Block(block) => {
                assert!(!block.whole, "a gap leaves no whole block");
                return self.hear(Event::Block(block));
            }
            Lost::Content {
                stream,
                bytes,
                ends_stream,
            } => (Some((stream, bytes)), ends_stream.then_some(stream)),
            Lost::ContentUnknown { stream, ends_stream } => {
                self.unknown.push(stream);
                (None, ends_stream.then_some(stream))
            }
            Lost::Reset { .. } | Lost::Control { .. } => {
                self.lost += 1;
                (None, None)
            }
        };
        if let Some((stream, bytes)) = content.filter(|content| content.1 > 0) {
            self.hear(Event::Content { stream, bytes });
        }
        if let Some(stream) = ended {
            self.hear(Event::EndStream { stream });
        }
    }

    /// Adds up the content of each stream.
    fn content(&self) -> BTreeMap<u32, u64> {
        let mut sums = BTreeMap::new();
        for told in &self.told {
            if let Event::Content { stream, bytes } = told.event {
                *sums.entry(stream).or_default() += bytes;
            }
        }
        sums
    }

    fn blocks(&self) -> impl Iterator<Item = (Block<'static>, &[u8])> {
        self.told.iter().filter_map(|told| {
            let Event::Block(block) = told.event else { return None };
            Some((block, told.bytes.as_slice()))
        })
    }

    /// Lists what is neither content nor a block.
    fn others(&self) -> Vec<Event<'static>> {
        let events = self.told.iter().map(|told| told.event);
        events
            .filter(|event| !matches!(event, Event::Content { .. } | Event::Block(_)))
            .collect()
    }
}

/// Says where the first frame begins that the reader refused.
fn well_formed(story: &Story, length: usize) -> usize {
    match story.told.last() {
        Some(Told {
            event: Event::Malformed { position, .. },
            ..
        }) => usize::try_from(*position).unwrap_or(length),
        _ => length,
    }
}

/// Checks what was told around a gap against what is told without it.
fn compare_with_hole(whole: &Story, holed: &Story) {
    compare_content(whole, holed);
    for (block, bytes) in holed.blocks() {
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
    let (all, known) = (whole.others(), holed.others());
    let mut rest = all.iter();
    for event in &known {
        assert!(rest.any(|other| other == event), "{event:?} is invented");
    }
    let complete = holed.out_of_sync || known.len() + holed.lost >= all.len();
    assert!(complete, "{known:?} in step is not {all:?}");
}

fn compare_content(whole: &Story, holed: &Story) {
    let (all, known) = (whole.content(), holed.content());
    for (stream, bytes) in &known {
        let most = all.get(stream).copied().unwrap_or_default();
        assert!(*bytes <= most, "content of {stream} is invented");
    }
    for (stream, bytes) in &all {
        let least = known.get(stream).copied().unwrap_or_default();
        let may_lack = holed.out_of_sync || holed.unknown.contains(stream);
        assert!(may_lack || least == *bytes, "content of {stream} is lost in step");
    }
}

/// Checks the reader against [`parse`](super::parse) on all frames that are whole and that neither refuses.
fn compare_with_parse(wire: &[u8], preface: bool) {
    let (expected, length) = expect(wire, preface);
    let told = tell(wire.get(..length).unwrap_or_default(), preface, &[usize::MAX], 0..0).told;
    assert_eq!(told, expected, "the reader and the parser differ");
}
