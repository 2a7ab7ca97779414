//! What was not captured, counted per site and cause.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Losses of one site; only ever added to, atomically.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SiteCounters {
    /// Records for which the ring had no room.
    pub ring_full_records: u64,
    /// Bytes of the calls that those records would have held.
    pub ring_full_bytes: u64,
    /// Reads of the process's memory that failed: the page was not present.
    pub fault_records: u64,
    /// Bytes those reads asked for.
    pub fault_bytes: u64,
    /// Bytes beyond the limit per call.
    pub over_limit_bytes: u64,
    /// Calls not captured because the table of connections was full.
    pub connection_table_full: u64,
    /// Calls not captured because the table of calls in flight was full.
    pub call_table_full: u64,
    /// Successful calls whose count could not be read from the process's memory; their length is unknown.
    pub count_unreadable: u64,
    /// Hits of a tap or a lift with an operand that cannot be read, or a length that no record has.
    pub implausible: u64,
    /// Connections whose calls moved another number of bytes than a tap or a lift captured.
    pub mismatches: u64,
    /// Calls that did not refute the byte counts of a tap or a lift.
    pub confirmed: u64,
}

/// Losses that belong to no site; only ever added to, atomically.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct KernelCounters {
    /// Processes not traced because the table of processes was full.
    pub target_table_full: u64,
    /// Changes of processes not reported because their ring was full.
    pub lifecycle_ring_full: u64,
    /// Sockets whose end is not reported because the table of sockets was full.
    pub socket_table_full: u64,
    /// Pieces of ciphertext not matched because their table was full.
    pub ciphertext_table_full: u64,
    /// Calls whose ciphertext is not matched because the table of threads was full.
    pub thread_table_full: u64,
    /// Hits of probes that were ignored because the role of the site is not known, or its object could not be read.
    pub hits_ignored: u64,
    /// Threads of traced processes that ended, without the last one of each process.
    pub threads_ended: u64,
}

const _: () = assert!(size_of::<SiteCounters>() == 88);
const _: () = assert!(size_of::<KernelCounters>() == 56);
