//! Where records come from: the rings of a running kernel, or a tape.
//!
//! Out: [`Batch`]es. A batch is all that was in the rings at one moment, and that moment: with it, everything behind
//! this point is a function of its input, and a tape gives what the rings gave.

mod progress;
mod drain;
mod rings;
mod tape;
mod merge;

pub use drain::Drained;
pub use merge::Merger;
pub use rings::{Drainer, Told, boot_unix_ns, now_ns};
pub use tape::{Error as TapeError, Header, ProcessEntry, Reader, SiteEntry, Totals, Writer, create as create_tape};

use crate::health::{Figures, Subject};

/// What was in the rings at one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// `CLOCK_MONOTONIC` nanoseconds when draining began.
    pub drained_ns: u64,
    /// Every record that was made before then is in this batch or an earlier one.
    pub complete_until_ns: u64,
    /// Nanoseconds since 1970 when `CLOCK_MONOTONIC` was zero, by what both clocks show now. The wall clock may be set,
    /// and goes on while the machine is suspended.
    pub boot_unix_ns: Option<u64>,
    /// How full rings and tables are, and what they refused. A tape does not have it.
    pub health: Vec<(Subject, Figures)>,
    /// Sites that are new since the last batch; they come before any record that names them.
    pub sites: Vec<SiteEntry>,
}

impl Batch {
    /// Begins a batch, complete until then.
    pub fn new(drained_ns: u64) -> Self {
        Self {
            drained_ns,
            complete_until_ns: drained_ns,
            ..Self::default()
        }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// Makes room for so many bytes.
    fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Adds a record that comes in two parts.
    fn push_parts(&mut self, first: &[u8], rest: &[u8]) {
        self.bytes.extend_from_slice(first);
        self.push(rest);
    }

    /// How many records it has.
    const fn count(&self) -> usize {
        self.ends.len()
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

    /// Tells whether there is nothing in it but its moment and how full things are.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.sites.is_empty()
    }
}
