//! The input of the pipeline: a [`Header`], then [`Batch`]es, then [`Totals`], from the rings of a running kernel or from a
//! tape.
//!
//! A batch holds the records that one drain of the rings returned, and the time of that drain. The pipeline therefore needs
//! no clock, and treats a tape and the rings alike.

use serde::{Deserialize, Serialize};

use crate::health::{Figures, Subject};

/// Where batches come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// From the rings of this machine's kernel. Nothing that comes after may hold them up.
    Live,
    /// From a tape, which can wait, and may have been recorded on another machine.
    Tape,
}

/// The header of a source.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Header {
    /// Sizes in bytes of the record header, of the record of each kind in the order of the kinds, and of the largest
    /// payload; then of the kinds that were added later.
    pub abi: Vec<usize>,
    /// Nanoseconds since 1970 when `CLOCK_MONOTONIC` was zero.
    pub boot_unix_ns: u64,
    /// Inode of the tracer's own network namespace; 0 if unknown.
    pub own_netns: u32,
    /// The processes traced at the start. Later ones are reported by records.
    pub processes: Vec<ProcessEntry>,
    /// The functions probed at the start, indexed by [`Origin::site`](crate::event::Origin::site). Batches add more.
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
    /// Path of the file, as the process sees it.
    pub path: String,
    /// Name of the function.
    pub function: String,
    /// Name of the TLS library, such as `openssl`.
    pub library: String,
}

/// Totals of what was lost in the kernel.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// Records that were not captured.
    pub lost_records: u64,
    /// Bytes that those records would have held.
    pub lost_bytes: u64,
}

/// The records that one drain of the rings returned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// `CLOCK_MONOTONIC` nanoseconds at the start of the drain.
    pub drained_ns: u64,
    /// The watermark: every record made before it is in this batch or an earlier one.
    pub complete_until_ns: u64,
    /// Nanoseconds since 1970 when `CLOCK_MONOTONIC` was zero, computed from both clocks at the drain. It changes when the
    /// wall clock is set and when the machine is suspended, during which `CLOCK_MONOTONIC` stands still.
    pub boot_unix_ns: Option<u64>,
    /// How full the rings and tables are, and what they dropped. Empty on a tape.
    pub health: Vec<(Subject, Figures)>,
    /// Sites added since the previous batch. A site is added before any record that refers to it.
    pub sites: Vec<SiteEntry>,
}

impl Batch {
    /// Creates an empty batch that is complete up to `drained_ns`.
    pub fn new(drained_ns: u64) -> Self {
        Self {
            drained_ns,
            complete_until_ns: drained_ns,
            ..Self::default()
        }
    }

    /// Appends a record.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// Reserves capacity for exactly `bytes` more bytes of records.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Appends a record given in two parts.
    pub fn push_parts(&mut self, first: &[u8], rest: &[u8]) {
        self.bytes.extend_from_slice(first);
        self.push(rest);
    }

    /// Returns the number of records.
    pub const fn count(&self) -> usize {
        self.ends.len()
    }

    /// Iterates over the records in the order they were added.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// Returns the record at `index`.
    pub fn record(&self, index: usize) -> Option<&[u8]> {
        let start = index
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start..*self.ends.get(index)?)
    }

    /// Returns the size of all records in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the batch has neither records nor sites.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.sites.is_empty()
    }
}
