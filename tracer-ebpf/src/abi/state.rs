//! What the programs remember between probes; the loader only ever forgets it, for processes that have ended.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Cookie, Direction, Role};

/// An address in a process: of an `SSL` object, or the stack pointer a call was entered with.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct AddressKey {
    /// The address.
    pub address: u64,
    /// The process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

impl AddressKey {
    /// Names an address in a process.
    pub const fn new(address: u64, tgid: u32) -> Self {
        Self {
            address,
            tgid,
            reserved: 0,
        }
    }
}

/// A call in flight, and how far its capture is: in a map and not on the stack, which is scarce.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct CallState {
    /// The connection.
    pub ssl: u64,
    /// The caller's buffer; the descriptor for `SSL_set_fd`.
    pub buffer: u64,
    /// Where the count will be written; 0 when it is the result itself.
    pub count: u64,
    /// When it began.
    pub began_ns: u64,
    /// The cookie of the site it returns through.
    pub cookie: Cookie,
    /// How many bytes it moved.
    pub moved: u64,
    /// How many of them may be captured.
    pub wanted: u64,
    /// How many of those are done with.
    pub done: u64,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
}

impl CallState {
    /// Tells which way its bytes go.
    pub const fn direction(&self) -> Direction {
        match self.cookie.role() {
            Role::READ | Role::READ_EX => Direction::READ,
            _ => Direction::WRITE,
        }
    }
}

/// A file, as the kernel names it.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct FileKey {
    /// `inode.i_ino`.
    pub inode: u64,
    /// `super_block.s_dev`, in the kernel's own encoding.
    pub device: u32,
    /// Zero.
    pub reserved: u32,
}

/// What is kept of a traced process.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct TargetState {
    /// How it is traced.
    pub flags: TargetFlags,
    /// How many connections were begun in it.
    pub connections: u32,
}

/// How a process is traced, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct TargetFlags(pub u32);

impl TargetFlags {
    /// The processes it forks are traced as it is.
    pub const FOLLOW: Self = Self(1);

    /// Tells whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What is kept of a connection.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ConnectionState {
    /// When it was first seen.
    pub generation: u64,
    /// Bytes that have passed, by direction.
    pub positions: [u64; 2],
    /// When bytes were last reported, by direction.
    pub reported_ns: [u64; 2],
    /// The descriptor `SSL_set_fd` named plus one; 0 when it named none.
    pub noted_fd: u32,
    /// 1 once the facts were sent.
    pub introduced: u32,
}

const _: () = assert!(size_of::<AddressKey>() == 16);
const _: () = assert!(size_of::<FileKey>() == 16);
const _: () = assert!(size_of::<TargetState>() == 8);
const _: () = assert!(size_of::<CallState>() == 72);
const _: () = assert!(size_of::<ConnectionState>() == 48);
