//! The records in the rings. Every record begins with a [`RecordHeader`]; a data record's payload follows it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{AddressSource, Cookie, Direction, Kind, RecordFlags};

/// What every record begins with: when, which connection, who.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct RecordHeader {
    /// `CLOCK_MONOTONIC` nanoseconds when the record was made; records of one connection are in this order.
    pub ts_ns: u64,
    /// The attach cookie of the site that made it.
    pub cookie: Cookie,
    /// Address of the `SSL` object.
    pub ssl: u64,
    /// Tells apart the connections that had the same `SSL` address: nanoseconds when it was first seen.
    pub generation: u64,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// What follows.
    pub kind: Kind,
    /// Which way the bytes go; 0 where that means nothing.
    pub direction: Direction,
    /// Flags of a data record.
    pub flags: RecordFlags,
    /// Zero.
    pub reserved: u32,
}

/// A piece of what one call moved; the payload follows.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct DataRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// `CLOCK_MONOTONIC` nanoseconds when the call began.
    pub began_ns: u64,
    /// Position of the payload's first byte in its direction.
    pub position: u64,
    /// Position of the call's first byte in its direction.
    pub call_position: u64,
    /// How many bytes the call moved.
    pub call_length: u64,
    /// How many bytes of payload are valid.
    pub captured: u32,
    /// Zero.
    pub reserved: u32,
}

/// The facts of a connection, sent before its first data and again when its descriptor changes.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ConnectionRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// Inode of the socket; 0 when unknown.
    pub inode: u64,
    /// The traced process's own address; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Its peer's address; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Descriptor; -1 when unknown.
    pub fd: i32,
    /// The traced process's own port.
    pub local_port: u16,
    /// Its peer's port.
    pub remote_port: u16,
    /// `AF_INET` (2) or `AF_INET6` (10); 0 when the addresses are unknown.
    pub family: u16,
    /// How the descriptor was learned, or why it was not.
    pub source: AddressSource,
    /// Zero.
    pub reserved: [u8; 5],
}

/// The end of a connection: its `SSL` object was freed or cleared.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct EndRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// How many bytes were read in all, captured or not.
    pub read: u64,
    /// How many bytes were written in all, captured or not.
    pub written: u64,
}

const _: () = assert!(size_of::<RecordHeader>() == 48);
const _: () = assert!(size_of::<DataRecord>() == 88);
const _: () = assert!(size_of::<ConnectionRecord>() == 104);
const _: () = assert!(size_of::<EndRecord>() == 64);
