//! Where records come from: the rings of a running kernel, or a tape.
//!
//! Out: [`Batch`]es. A batch is all that was in the rings at one moment, and that moment: with it, everything behind
//! this point is a function of its input, and a tape gives what the rings gave.

mod rings;
mod tape;
mod merge;

pub use merge::Merger;
pub use rings::{Told as Drained, drain, now_ns};
pub use tape::{Error as TapeError, Header, ProcessEntry, Reader, SiteEntry, Totals, Writer, create as create_tape};

/// What was in the rings at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// `CLOCK_MONOTONIC` nanoseconds when draining began: every record made before then is in this batch or an earlier
    /// one, but for those still being written.
    pub drained_ns: u64,
    /// Sites that are new since the last batch; they come before any record that names them.
    pub sites: Vec<SiteEntry>,
}

impl Batch {
    /// Begins a batch.
    pub fn new(drained_ns: u64) -> Self {
        Self {
            drained_ns,
            ..Self::default()
        }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// The records, in the order they were added.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// The record that was added as number `index`, from 0.
    pub fn record(&self, index: usize) -> Option<&[u8]> {
        let start = index
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..*self.ends.get(index)?)
    }

    /// Tells how many bytes the records have.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether there is nothing in it but its moment.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.sites.is_empty()
    }
}
