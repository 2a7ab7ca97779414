//! What a source of records gives: the rings of a running kernel, or a tape.
//!
//! A source begins with a [`Header`], goes on with [`Batch`]es and ends with [`Totals`]. A batch is all that was in the
//! rings at one moment, and that moment: with it, everything behind this point is a function of its input, and a tape
//! gives what the rings gave.

use serde::{Deserialize, Serialize};

use crate::health::{Figures, Subject};

/// What a tape says of itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Header {
    /// Sizes of the record header, of the record of each kind in the order of the kinds, and of the largest payload; then
    /// of the kinds that were added since.
    pub abi: Vec<usize>,
    /// Nanoseconds since 1970 when `CLOCK_MONOTONIC` was zero.
    pub boot_unix_ns: u64,
    /// Inode of the tracer's own network namespace; 0 when unknown.
    pub own_netns: u32,
    /// The processes that were traced at the beginning; records tell of others.
    pub processes: Vec<ProcessEntry>,
    /// The functions that were probed at the beginning, by the index that records name; frames add others.
    pub sites: Vec<SiteEntry>,
}

/// A traced process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProcessEntry {
    /// Process id.
    pub pid: u32,
    /// Short name.
    pub name: String,
}

/// A probed function.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SiteEntry {
    /// The file, as the process saw it.
    pub path: String,
    /// The function.
    pub function: String,
    /// The TLS library, in one word.
    pub library: String,
}

/// What was lost in the kernel, in all.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Records that were not captured.
    pub lost_records: u64,
    /// Bytes they would have held.
    pub lost_bytes: u64,
}

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
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Adds a record that comes in two parts.
    pub fn push_parts(&mut self, first: &[u8], rest: &[u8]) {
        self.bytes.extend_from_slice(first);
        self.push(rest);
    }

    /// How many records it has.
    pub const fn count(&self) -> usize {
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
