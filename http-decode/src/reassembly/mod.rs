//! Reassembly of one direction: chunks that arrive in any order are put in order by position.
//!
//! Each byte is handed out once. A gap is reported as soon as it is known, or found between two chunks; in the latter case
//! the owner decides when to stop waiting for it ([`take_gap`](Reassembler::take_gap)), because only the owner knows
//! whether bytes may still arrive. Memory is bounded by `max_held_bytes` and `max_held_chunks`.

mod held;

use std::collections::BTreeMap;

use self::held::Entry;
pub(crate) use self::held::Held;
use crate::limits::ENTRY_BYTES;
use crate::{Chunk, Direction, Gap, GapCause, Limits, Timestamp};

/// The bytes and gaps of one direction from the next position on.
#[derive(Debug)]
pub(crate) struct Reassembler {
    direction: Direction,
    next: u64,
    entries: BTreeMap<u64, Entry>,
    held_bytes: usize,
}

/// What became of the bytes of a chunk that was inserted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Inserted {
    /// Bytes that had arrived before.
    pub(crate) repeated: u64,
    /// Bytes for which there was no room.
    pub(crate) dropped: u64,
}

impl Reassembler {
    pub(crate) fn new(direction: Direction) -> Self {
        Self {
            direction,
            next: 0,
            entries: BTreeMap::new(),
            held_bytes: 0,
        }
    }

    /// Returns the position of the next byte to be decoded.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Returns whether `chunk` can be decoded in place: it is next, and nothing held overlaps it.
    pub(crate) fn is_next(&self, chunk: &Chunk<'_>) -> bool {
        let end = chunk.position.saturating_add(chunk.bytes.len() as u64);
        chunk.position == self.next && self.entries.first_key_value().is_none_or(|(&first, _)| first >= end)
    }

    /// Notes that `count` bytes from `next` on were decoded in place.
    pub(crate) fn consumed(&mut self, count: u64) {
        self.next = self.next.saturating_add(count);
    }

    /// Returns whether `chunk` fits under `limits`.
    pub(crate) fn fits(&self, chunk: &Chunk<'_>, limits: &Limits) -> bool {
        self.held_bytes.saturating_add(chunk.bytes.len()) <= limits.max_held_bytes
            && self.entries.len() < limits.max_held_chunks
    }

    /// Holds those bytes of `chunk` that have not arrived before, if there is room; the rest becomes a gap.
    pub(crate) fn insert(&mut self, mut chunk: Chunk<'_>, limits: &Limits) -> Inserted {
        let mut inserted = Inserted::default();
        while !chunk.bytes.is_empty() {
            let covered = to_usize(self.covered(chunk.position)).min(chunk.bytes.len());
            if covered > 0 {
                inserted.repeated += covered as u64;
                chunk.advance(covered);
                continue;
            }
            let room = to_usize(self.room(chunk.position)).min(chunk.bytes.len());
            let part = Chunk {
                bytes: chunk.bytes.get(..room).unwrap_or_default(),
                ..chunk
            };
            if self.fits(&part, limits) {
                self.held_bytes += part.bytes.len();
                self.entries.insert(part.position, Entry::Held(Held::new(&part)));
            } else {
                inserted.dropped += room as u64;
                self.insert_gap(chunk.position, room as u64, GapCause::Dropped, None, limits);
            }
            chunk.advance(room);
        }
        inserted
    }

    /// Records a gap, except for those of its bytes that have arrived.
    pub(crate) fn add_gap(&mut self, gap: &Gap, limits: &Limits) {
        let mut position = gap.position;
        let end = position.saturating_add(gap.span);
        while position < end {
            let covered = self.covered(position);
            if covered > 0 {
                position = position.saturating_add(covered);
                continue;
            }
            let span = self.room(position).min(end - position);
            self.insert_gap(position, span, gap.cause, gap.at, limits);
            position += span;
        }
    }

    /// Takes the bytes held at the next position, if there are any.
    pub(crate) fn take(&mut self) -> Option<Held> {
        let first = self.entries.first_entry()?;
        if *first.key() != self.next || matches!(first.get(), Entry::Gap { .. }) {
            return None;
        }
        let Entry::Held(held) = first.remove() else { return None };
        self.held_bytes -= held.allocated();
        Some(held)
    }

    /// Puts back what [`take`](Self::take) returned, after `count` bytes of it were decoded.
    pub(crate) fn put_back(&mut self, mut held: Held, count: usize) {
        self.consumed(count as u64);
        held.advance(count);
        if held.len() > 0 {
            self.held_bytes += held.allocated();
            self.entries.insert(self.next, Entry::Held(held));
        }
    }

    /// Takes the gap at the next position, if one was recorded there.
    pub(crate) fn take_known_gap(&mut self) -> Option<Gap> {
        let first = self.entries.first_entry()?;
        let Entry::Gap { span, cause, at } = *first.get() else {
            return None;
        };
        if *first.key() != self.next {
            return None;
        }
        first.remove();
        Some(self.skip(span, cause, at))
    }

    /// Takes the gap at the next position, recorded or not, if anything is known behind it.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        let &first = self.entries.first_key_value()?.0;
        if first == self.next {
            self.take_known_gap()
        } else {
            Some(self.skip(first - self.next, GapCause::Lost, None))
        }
    }

    /// Returns whether bytes are missing at the next position while something behind them is known.
    pub(crate) fn has_gap(&self) -> bool {
        self.entries
            .first_key_value()
            .is_some_and(|(&first, _)| first > self.next)
    }

    /// Returns whether nothing is held, and no gap is recorded.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the bytes held at `position`, in place.
    pub(crate) fn held_at(&self, position: u64) -> Option<Chunk<'_>> {
        match self.entries.get(&position)? {
            Entry::Held(held) => Some(held.chunk(position)),
            Entry::Gap { .. } => None,
        }
    }

    /// Returns whether a gap is recorded at `position`.
    pub(crate) fn is_known_gap_at(&self, position: u64) -> bool {
        matches!(self.entries.get(&position), Some(Entry::Gap { .. }))
    }

    /// Returns whether bytes are missing at `position` while something behind them is known.
    pub(crate) fn has_gap_at(&self, position: u64) -> bool {
        let behind = self.entries.range(position..).next();
        behind.is_some_and(|(&first, _)| first > position)
    }

    /// Drops everything, and returns how many bytes of it had arrived.
    pub(crate) fn clear(&mut self) -> u64 {
        let arrived = self.entries.values().map(Entry::arrived).sum();
        self.entries.clear();
        self.held_bytes = 0;
        arrived
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes + self.entries.len() * ENTRY_BYTES
    }

    fn skip(&mut self, span: u64, cause: GapCause, at: Option<Timestamp>) -> Gap {
        let position = self.next;
        self.consumed(span);
        Gap {
            direction: self.direction,
            position,
            span,
            cause,
            at,
        }
    }

    /// Returns the number of positions from `position` on that are decoded, held, or recorded as a gap.
    fn covered(&self, position: u64) -> u64 {
        if position < self.next {
            return self.next - position;
        }
        let before = self.entries.range(..=position).next_back();
        before.map_or(0, |(start, entry)| {
            start.saturating_add(entry.span()).saturating_sub(position)
        })
    }

    /// Returns the number of positions between `position`, which is not covered, and the next entry.
    fn room(&self, position: u64) -> u64 {
        self.entries
            .range(position..)
            .next()
            .map_or(u64::MAX - position, |(start, _)| start - position)
            .max(1)
    }

    /// Records a gap, unless there are too many entries: then it is found as [`GapCause::Lost`] later.
    fn insert_gap(&mut self, position: u64, span: u64, cause: GapCause, at: Option<Timestamp>, limits: &Limits) {
        let before = self.entries.range_mut(..position).next_back();
        if let Some((
            &start,
            Entry::Gap {
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
            self.entries.insert(position, Entry::Gap { span, cause, at });
        }
    }
}

/// Narrows a count that is compared with the length of a slice; what does not fit is longer than any slice.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
