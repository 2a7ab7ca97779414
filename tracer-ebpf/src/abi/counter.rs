//! What was not captured, counted per site and cause.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Losses of one site; only ever added to, atomically.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SiteCounters {
    /// Records for which the ring had no room.
    pub ring_full_records: u64,
    /// Bytes of the calls those records would have held.
    pub ring_full_bytes: u64,
    /// Reads of the process's memory that failed: the page was not present.
    pub fault_records: u64,
    /// Bytes those reads asked for.
    pub fault_bytes: u64,
    /// Bytes left out because their call was over the limit per call.
    pub over_limit_bytes: u64,
    /// Calls not captured because the table of connections took no more.
    pub connection_table_full: u64,
    /// Calls not captured because the table of calls in flight took no more.
    pub call_table_full: u64,
    /// Successful calls whose count could not be read from the process's memory; their length is unknown.
    pub count_unreadable: u64,
}

/// Losses that belong to no site; only ever added to, atomically.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct KernelCounters {
    /// Processes not traced because the table of processes took no more.
    pub target_table_full: u64,
    /// Changes of processes, and mappings, not told because their ring was full.
    pub lifecycle_ring_full: u64,
    /// Sockets whose end is not told because the table of sockets took no more.
    pub socket_table_full: u64,
    /// Pieces of ciphertext not looked for because their table took no more.
    pub ciphertext_table_full: u64,
    /// Calls whose ciphertext is not looked for because the table of threads took no more.
    pub thread_table_full: u64,
    /// Threads of traced processes that ended, without the last one of each process.
    pub threads_ended: u64,
}

const _: () = assert!(size_of::<SiteCounters>() == 64);
const _: () = assert!(size_of::<KernelCounters>() == 48);
