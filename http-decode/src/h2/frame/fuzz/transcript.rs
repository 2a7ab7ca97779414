//! The events that a reader reports for one direction, in a form that does not depend on chunks.

use std::collections::BTreeMap;

use crate::h2::frame::{Block, Event, Lost};

/// The limit of header blocks in these checks.
pub(super) const MAX_BLOCK_BYTES: usize = 64;

/// An event without what depends on the cut, which are times and the place of its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::h2::frame) struct Recorded {
    pub(super) event: Event<'static>,
    pub(super) bytes: Vec<u8>,
}

/// The events of one direction.
#[derive(Debug, Default)]
pub(in crate::h2::frame) struct Transcript {
    pub(super) events: Vec<Recorded>,
    /// Whether a gap put the reader out of sync.
    pub(super) out_of_sync: bool,
    /// Streams whose content length is unknown, and the number of events that a gap took.
    pub(super) unknown: Vec<u32>,
    pub(super) lost: usize,
}

impl Transcript {
    /// Records an event. Content that directly follows content of its stream is added to it.
    pub(super) fn record(&mut self, event: Event<'_>) {
        let last = self.events.last_mut().map(|recorded| &mut recorded.event);
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
        self.events.push(Recorded { event, bytes });
    }

    /// Records what a gap took, as the events that are known all the same.
    pub(super) fn lose(&mut self, lost: Lost<'_>) {
        let (content, ended) = match lost {
            Lost::Nothing => (None, None),
            Lost::Block(block) => {
                assert!(!block.whole, "a gap leaves no whole block");
                return self.record(Event::Block(block));
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
            self.record(Event::Content { stream, bytes });
        }
        if let Some(stream) = ended {
            self.record(Event::EndStream { stream });
        }
    }

    /// Returns the content bytes of each stream.
    pub(super) fn content(&self) -> BTreeMap<u32, u64> {
        let mut sums = BTreeMap::new();
        for recorded in &self.events {
            if let Event::Content { stream, bytes } = recorded.event {
                *sums.entry(stream).or_default() += bytes;
            }
        }
        sums
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = (Block<'static>, &[u8])> {
        self.events.iter().filter_map(|recorded| {
            let Event::Block(block) = recorded.event else {
                return None;
            };
            Some((block, recorded.bytes.as_slice()))
        })
    }

    /// Returns the events that are neither content nor a block.
    pub(super) fn others(&self) -> Vec<Event<'static>> {
        let events = self.events.iter().map(|recorded| recorded.event);
        events
            .filter(|event| !matches!(event, Event::Content { .. } | Event::Block(_)))
            .collect()
    }
}
