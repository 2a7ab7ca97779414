//! What the programs keep between probes, but for connections: calls, threads, sockets, processes. The loader only removes
//! values, of processes and threads that ended.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Cookie, Direction, FlowKey, SocketEnd};

/// A call in flight, and how far its capture has come: in a map and not on the stack, which is scarce.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct CallState {
    /// Address of the TLS object.
    pub object: u64,
    /// The caller's buffer, or the descriptor that it sets.
    pub buffer: u64,
    /// How many bytes it may move at the most.
    pub length: u64,
    /// What is in the place of the count: the count itself, or the address where the function will write it.
    pub count: u64,
    /// When it began, `CLOCK_MONOTONIC` nanoseconds.
    pub began_ns: u64,
    /// The cookie of the site it returns through.
    pub cookie: Cookie,
    /// How many bytes it moved.
    pub moved: u64,
    /// How many of them may be captured.
    pub wanted: u64,
    /// How many of those were captured or counted as lost.
    pub done: u64,
    /// The call that the thread was in before it; zero for none.
    pub outer: ThreadState,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// The direction of its bytes; any for a call that moves none.
    pub direction: Direction,
    /// 1 if it moved early data.
    pub early: u8,
    /// 1 if it is its thread's [`ThreadState`].
    pub entered: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

impl CallState {
    /// Nothing known.
    pub const NEW: Self = Self {
        object: 0,
        buffer: 0,
        length: 0,
        count: 0,
        began_ns: 0,
        cookie: Cookie(0),
        moved: 0,
        wanted: 0,
        done: 0,
        outer: ThreadState::NONE,
        tgid: 0,
        tid: 0,
        direction: Direction::WRITE,
        early: 0,
        entered: 0,
        reserved: [0; 5],
    };
}

/// The innermost call of a TLS library that a thread is in.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ThreadState {
    /// Address of the call's TLS object; 0 for no call.
    pub object: u64,
    /// Stack pointer it was entered with.
    pub entry_sp: u64,
    /// The cookie of the site it was entered through.
    pub cookie: Cookie,
    /// Process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

impl ThreadState {
    /// No call.
    pub const NONE: Self = Self {
        object: 0,
        entry_sp: 0,
        cookie: Cookie(0),
        tgid: 0,
        reserved: 0,
    };
}

/// A socket that a connection was found to go through.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketState {
    /// The connection.
    pub flow: FlowKey,
    /// The cookie of the site that the connection was first seen at.
    pub cookie: Cookie,
    /// When it was established, `CLOCK_MONOTONIC` nanoseconds; 0 if that was not seen.
    pub opened_ns: u64,
    /// Bytes received, once it is closed.
    pub received: u64,
    /// Bytes sent and acknowledged, once it is closed.
    pub acknowledged: u64,
    /// Eight times the smoothed round-trip time in microseconds, once it is closed.
    pub srtt_us: u32,
    /// Segments sent again, once it is closed.
    pub retransmits: u32,
    /// How it ended, once that is known.
    pub ended: SocketEnd,
    /// 1 once it is closed, and its figures were read.
    pub closed: u8,
    /// Zero.
    pub reserved: [u8; 6],
}

impl SocketState {
    /// Nothing known.
    pub const NEW: Self = Self {
        flow: FlowKey::NONE,
        cookie: Cookie(0),
        opened_ns: 0,
        received: 0,
        acknowledged: 0,
        srtt_us: 0,
        retransmits: 0,
        ended: SocketEnd::UNKNOWN,
        closed: 0,
        reserved: [0; 6],
    };
}

/// How a process is traced: written by the loader and by the programs, each time as a whole.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct TargetState {
    /// How it is traced.
    pub flags: TargetFlags,
    /// Zero.
    pub reserved: u32,
}

impl TargetState {
    /// Returns the state of a process that is traced with these flags.
    pub const fn new(flags: TargetFlags) -> Self {
        Self { flags, reserved: 0 }
    }
}

/// What the programs keep of a traced process. The loader only removes it: it would read and write a value in two steps, and
/// lose what the programs count in between.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessState {
    /// When its program began: entries of the same process id that are older belong to another program. 0 if that was
    /// before it was traced.
    pub since_ns: u64,
    /// How many pieces of its ciphertext wait for the message that sends them; changed atomically.
    pub pending: u64,
}

/// How a process is traced, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct TargetFlags(pub u32);

impl TargetFlags {
    /// The processes it forks are traced as it is.
    pub const FOLLOW: Self = Self(1);
    /// It may give a TLS object a BIO of its own, so its ciphertext is matched with the messages it sends.
    pub const CIPHERTEXT: Self = Self(1 << 1);

    /// Returns whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds the bits of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Removes the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

const _: () = assert!(size_of::<TargetState>() == 8);
const _: () = assert!(size_of::<ProcessState>() == 16);
const _: () = assert!(size_of::<CallState>() == 120);
const _: () = assert!(size_of::<ThreadState>() == 32);
const _: () = assert!(size_of::<SocketState>() == 72);
