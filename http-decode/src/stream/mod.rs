//! One direction of a connection, put in order by position.
//!
//! In: chunks in any order, and holes known at once. Out: the next contiguous piece, or the next [`Hole`]. Refuses to
//! give out a byte twice, to hold more than its limits, and to call a hole final by itself: its owner decides that.

use std::collections::BTreeMap;

use crate::exchange::bytes_between;
use crate::limits::ENTRY_BYTES;
use crate::{GapCause, Limits, Timestamp};

/// Bytes of one direction, as they were captured.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Position of the first byte, counted from 0 where tracing of the connection began. Where an unknown number of bytes
    /// passed it goes up by [`STRETCH`](crate::STRETCH).
    pub position: u64,
    /// When they were captured.
    pub at: Timestamp,
    /// A number of the caller's, such as a thread identifier; it comes out with the exchange that begins here.
    pub origin: u32,
    /// Whether the first byte is the first one of a read or write call: there decoding may take up again.
    pub call_start: bool,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Chunk<'_> {
    /// Takes the first `count` bytes off.
    pub(crate) fn advance(&mut self, count: usize) {
        if count > 0 {
            self.bytes = self.bytes.get(count..).unwrap_or_default();
            self.position = self.position.saturating_add(count as u64);
            self.call_start = false;
        }
    }

    /// Takes all bytes off and says how many they were.
    pub(crate) fn discard(&mut self) -> u64 {
        let count = self.bytes.len();
        self.advance(count);
        count as u64
    }
}

/// Where a message began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    /// Position of its first byte.
    pub(crate) position: u64,
    /// When that byte was captured.
    pub(crate) at: Timestamp,
    /// The caller's number for the chunk that held it.
    pub(crate) origin: u32,
}

impl Mark {
    /// Marks the first byte of `chunk`.
    pub(crate) const fn of(chunk: &Chunk<'_>) -> Self {
        Self {
            position: chunk.position,
            at: chunk.at,
            origin: chunk.origin,
        }
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    held_bytes: usize,
}

/// What became of a chunk that was inserted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Inserted {
    /// Bytes that were there already.
    pub(crate) repeated: u64,
    /// Bytes for which there was no room.
    pub(crate) dropped: u64,
}

/// Bytes that are missing where the next ones were expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Hole {
    /// Position of the first of them.
    pub(crate) position: u64,
    /// How many positions they take up.
    pub(crate) span: u64,
    /// Why they are missing.
    pub(crate) cause: GapCause,
    /// When the last of them passed, if that was seen.
    pub(crate) at: Option<Timestamp>,
}

impl Hole {
    /// Counts the missing bytes; `None` where their number is not known.
    pub(crate) const fn bytes(&self) -> Option<u64> {
        bytes_between(self.position, self.span)
    }

    /// Says when the last of its bytes passed, if that was seen, where the one before it passed at `last_at`.
    pub(crate) fn passed_at(&self, last_at: Timestamp) -> Option<Timestamp> {
        // What lies over the limit of a call was moved by that call, whose first bytes were just seen.
        self.at.or((self.cause == GapCause::OverLimit).then_some(last_at))
    }
}

impl Stream {
    /// Gives the position of the next byte to be decoded.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Tells whether `chunk` can be decoded in place: it is next, and nothing held overlaps it.
    pub(crate) fn is_next(&self, chunk: &Chunk<'_>) -> bool {
        let end = chunk.position.saturating_add(chunk.bytes.len() as u64);
        chunk.position == self.next && self.entries.first_key_value().is_none_or(|(&first, _)| first >= end)
    }

    /// Notes that `count` bytes from `next` on were decoded in place.
    pub(crate) fn consumed(&mut self, count: u64) {
        self.next = self.next.saturating_add(count);
    }

    /// Tells whether `chunk` would fit under `limits`.
    pub(crate) fn fits(&self, chunk: &Chunk<'_>, limits: &Limits) -> bool {
        self.held_bytes.saturating_add(chunk.bytes.len()) <= limits.max_held_bytes
            && self.entries.len() < limits.max_held_chunks
    }

    /// Holds what is new in `chunk`, as far as there is room.
    pub(crate) fn insert(&mut self, mut chunk: Chunk<'_>, limits: &Limits) -> Inserted {
        let mut inserted = Inserted::default();
        while !chunk.bytes.is_empty() {
            let covered = fit(self.covered(chunk.position)).min(chunk.bytes.len());
            if covered > 0 {
                inserted.repeated += covered as u64;
                chunk.advance(covered);
                continue;
            }
            let room = fit(self.room(chunk.position)).min(chunk.bytes.len());
            let part = Chunk {
                bytes: chunk.bytes.get(..room).unwrap_or_default(),
                ..chunk
            };
            if self.fits(&part, limits) {
                self.hold(part);
            } else {
                inserted.dropped += room as u64;
                let hole = Hole {
                    position: chunk.position,
                    span: room as u64,
                    cause: GapCause::Dropped,
                    at: None,
                };
                self.mark(hole, limits);
            }
            chunk.advance(room);
        }
        inserted
    }

    /// Marks bytes as missing for good, except those that came already.
    pub(crate) fn missing(&mut self, hole: &Hole, limits: &Limits) {
        let mut position = hole.position;
        let end = position.saturating_add(hole.span);
        while position < end {
            let covered = self.covered(position);
            if covered > 0 {
                position = position.saturating_add(covered);
                continue;
            }
            let count = self.room(position).min(end - position);
            let span = count;
            self.mark(
                Hole {
                    position,
                    span,
                    ..*hole
                },
                limits,
            );
            position += count;
        }
    }

    /// Takes the bytes held at the next position, if any are.
    pub(crate) fn take(&mut self) -> Option<Held> {
        let first = self.entries.first_entry()?;
        if *first.key() != self.next || matches!(first.get(), Entry::Missing { .. }) {
            return None;
        }
        let Entry::Held(held) = first.remove() else { return None };
        self.held_bytes -= held.bytes.len();
        Some(held)
    }

    /// Puts back what was taken, after `count` bytes of it were decoded.
    pub(crate) fn put_back(&mut self, mut held: Held, count: usize) {
        self.consumed(count as u64);
        if count > 0 {
            held.start += count;
            held.call_start = false;
        }
        if held.start < held.bytes.len() {
            self.held_bytes += held.bytes.len();
            self.entries.insert(self.next, Entry::Held(held));
        }
    }

    /// Takes the hole at the next position if it was marked as missing for good.
    pub(crate) fn take_missing(&mut self) -> Option<Hole> {
        let first = self.entries.first_entry()?;
        let Entry::Missing { span, cause, at } = *first.get() else {
            return None;
        };
        if *first.key() != self.next {
            return None;
        }
        first.remove();
        Some(self.pass(span, cause, at))
    }

    /// Takes the hole at the next position, marked or not, if anything is known to lie behind it.
    pub(crate) fn take_hole(&mut self) -> Option<Hole> {
        let &first = self.entries.first_key_value()?.0;
        if first == self.next {
            self.take_missing()
        } else {
            Some(self.pass(first - self.next, GapCause::Lost, None))
        }
    }

    /// Tells whether bytes are missing at the next position, with something known to lie behind them.
    pub(crate) fn has_hole(&self) -> bool {
        self.entries
            .first_key_value()
            .is_some_and(|(&first, _)| first > self.next)
    }

    /// Tells whether nothing is held, and nothing known to be missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Shows what is held at `position`, in place.
    pub(crate) fn held_at(&self, position: u64) -> Option<Chunk<'_>> {
        match self.entries.get(&position)? {
            Entry::Held(held) => Some(held.chunk(position)),
            Entry::Missing { .. } => None,
        }
    }

    /// Tells whether the bytes at `position` are missing for good.
    pub(crate) fn is_missing_at(&self, position: u64) -> bool {
        matches!(self.entries.get(&position), Some(Entry::Missing { .. }))
    }

    /// Tells whether bytes are missing at `position`, with something known to lie behind them.
    pub(crate) fn has_hole_at(&self, position: u64) -> bool {
        let behind = self.entries.range(position..).next();
        behind.is_some_and(|(&first, _)| first > position)
    }

    /// Lets go of everything and says how many bytes of it had come.
    pub(crate) fn clear(&mut self) -> u64 {
        let held = self.entries.values().map(Entry::come).sum();
        self.entries.clear();
        self.held_bytes = 0;
        held
    }

    /// Counts the memory in use.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes + self.entries.len() * ENTRY_BYTES
    }

    fn pass(&mut self, span: u64, cause: GapCause, at: Option<Timestamp>) -> Hole {
        let position = self.next;
        self.consumed(span);
        Hole {
            position,
            span,
            cause,
            at,
        }
    }

    /// Says how many bytes from `position` on are known already.
    fn covered(&self, position: u64) -> u64 {
        if position < self.next {
            return self.next - position;
        }
        let before = self.entries.range(..=position).next_back();
        before.map_or(0, |(start, entry)| {
            start.saturating_add(entry.len()).saturating_sub(position)
        })
    }

    /// Says how many bytes fit between `position`, which is not covered, and what is known behind it.
    fn room(&self, position: u64) -> u64 {
        self.entries
            .range(position..)
            .next()
            .map_or(u64::MAX - position, |(start, _)| start - position)
            .max(1)
    }

    fn hold(&mut self, part: Chunk<'_>) {
        let Chunk {
            position,
            at,
            origin,
            call_start,
            bytes,
        } = part;
        self.held_bytes += bytes.len();
        let held = Held {
            at,
            origin,
            call_start,
            bytes: bytes.into(),
            start: 0,
        };
        self.entries.insert(position, Entry::Held(held));
    }

    /// Records a hole, unless there are too many entries: then it shows as [`GapCause::Lost`] later.
    fn mark(&mut self, hole: Hole, limits: &Limits) {
        let Hole {
            position,
            span,
            cause,
            at,
        } = hole;
        let before = self.entries.range_mut(..position).next_back();
        if let Some((
            &start,
            Entry::Missing {
                span: length,
                cause: same,
                at: last,
            },
        )) = before
            && start + *length == position
            && *same == cause
        {
            *length += span;
            *last = at;
        } else if self.entries.len() < limits.max_held_chunks {
            self.entries.insert(position, Entry::Missing { span, cause, at });
        }
    }
}

/// Bytes held until their turn comes.
#[derive(Debug)]
pub(crate) struct Held {
    at: Timestamp,
    origin: u32,
    call_start: bool,
    bytes: Box<[u8]>,
    /// How many of the bytes have been decoded.
    start: usize,
}

impl Held {
    /// Shows the bytes that are left as a chunk at `position`.
    pub(crate) fn chunk(&self, position: u64) -> Chunk<'_> {
        let bytes = self.bytes.get(self.start..).unwrap_or_default();
        Chunk {
            position,
            at: self.at,
            origin: self.origin,
            call_start: self.call_start,
            bytes,
        }
    }
}

#[derive(Debug)]
enum Entry {
    Held(Held),
    Missing {
        span: u64,
        cause: GapCause,
        at: Option<Timestamp>,
    },
}

impl Entry {
    /// Counts the bytes that have come.
    fn come(&self) -> u64 {
        match self {
            Self::Held(held) => (held.bytes.len() - held.start) as u64,
            Self::Missing { .. } => 0,
        }
    }

    /// Counts the positions.
    fn len(&self) -> u64 {
        match self {
            Self::Held(_) => self.come(),
            Self::Missing { span, .. } => *span,
        }
    }
}

/// Narrows a count for comparison with a slice's length; what does not fit is longer than any slice.
fn fit(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
