//! What the programs remember between probes; the loader only ever forgets it, for processes that have ended.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{AddressSource, CiphertextKey, Cookie, Direction, SocketEnd};

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
    /// How many bytes it may move at the most.
    pub length: u64,
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
    /// 1 when what it moves is early data.
    pub early: u64,
    /// 1 when the thread was noted to be in it.
    pub entered: u64,
    /// What the thread's state was before it, for its return to restore; zero when there is nothing to restore.
    pub outer: ThreadState,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
}

impl CallState {
    /// Tells which way its bytes go.
    pub const fn direction(&self) -> Direction {
        self.cookie.role().direction()
    }
}

/// The call of a TLS library that a thread is in.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ThreadState {
    /// Whose it is; 0 for none.
    pub ssl: u64,
    /// Stack pointer it was entered with.
    pub entry_sp: u64,
    /// The cookie of the site it was entered through.
    pub cookie: Cookie,
    /// Process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

/// What is kept of a socket that a connection was found to go through.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketState {
    /// Address of the connection's `SSL` object.
    pub ssl: u64,
    /// The connection's generation.
    pub generation: u64,
    /// The cookie of the site that the connection was first met at.
    pub cookie: Cookie,
    /// When it was established; 0 when that was not seen.
    pub opened_ns: u64,
    /// Bytes received, once it is closed.
    pub received: u64,
    /// Bytes sent and acknowledged, once it is closed.
    pub acknowledged: u64,
    /// Eight times the smoothed round-trip time in microseconds, once it is closed.
    pub srtt_us: u32,
    /// Segments sent again, once it is closed.
    pub retransmits: u32,
    /// Process.
    pub tgid: u32,
    /// How it ended, once that is known.
    pub ended: SocketEnd,
    /// 1 once it is closed, and its figures were taken.
    pub closed: u8,
    /// Zero.
    pub reserved: [u8; 2],
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
    /// Of a process that is traced so.
    pub const fn new(flags: TargetFlags) -> Self {
        Self { flags, reserved: 0 }
    }
}

/// What the programs keep of a traced process. The loader only removes it: it reads and writes a value in two steps, and
/// what the programs count in between would be lost.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessState {
    /// When its program began: what bears its id and is older belongs to another program. 0 when it began before it was
    /// traced.
    pub since_ns: u64,
    /// How many pieces of its ciphertext are looked for; changed atomically.
    pub pending: u64,
}

/// How a process is traced, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct TargetFlags(pub u32);

impl TargetFlags {
    /// The processes it forks are traced as it is.
    pub const FOLLOW: Self = Self(1);
    /// It may give an `SSL` object a BIO of its own, so its ciphertext is looked for in what it sends.
    pub const CIPHERTEXT: Self = Self(1 << 1);

    /// Tells whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds the bits of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Takes the bits of `other` away.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// What is kept of a connection.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ConnectionState {
    /// When it was first seen.
    pub generation: u64,
    /// Positions behind the last byte that has passed, by direction.
    pub positions: [u64; 2],
    /// When bytes were last reported, by direction.
    pub reported_ns: [u64; 2],
    /// How many they were.
    pub reported_bytes: [u64; 2],
    /// Bytes of early data that were written.
    pub early_bytes: u64,
    /// The cookie of the site that it was first met at.
    pub cookie: Cookie,
    /// The kernel's `struct sock` that it goes through; 0 while unknown. Compared, and read with care: it may be gone.
    pub sock: u64,
    /// When its `SSL` object was cleared, as it is first thing in a handshake; 0 when that was not seen.
    pub cleared_ns: u64,
    /// When its handshake began; 0 when that was not seen.
    pub handshake_began_ns: u64,
    /// How long its handshake took; 0 while it is unknown.
    pub handshake_ns: u64,
    /// When the piece was remembered; 0 while none is looked for.
    pub pending_ns: u64,
    /// The ciphertext that is looked for.
    pub piece: CiphertextKey,
    /// The descriptor `SSL_set_fd` named plus one; 0 when it named none.
    pub noted_fd: u32,
    /// 1 once the facts were sent.
    pub introduced: u32,
    /// 1 once any record of it was sent.
    pub heard: u32,
    /// 1 once what its handshake agreed on was sent.
    pub told: u32,
    /// 1 once its socket began to close: when the process has let go of it, what comes next is another connection.
    pub closing: u32,
    /// How the socket was learned.
    pub source: AddressSource,
    /// 1 once it was seen to begin: its `SSL` object was cleared within a call that was seen from its entry.
    pub from_start: u8,
    /// 1 for a direction whose last bytes were an unknown number of them, which was told or will show by the positions.
    pub unknown: [u8; 2],
    /// Whether early data is being written, and what is known of it.
    pub early: EarlyState,
    /// Zero.
    pub reserved: [u8; 7],
}

/// What is known of a connection's early data.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct EarlyState(pub u8);

impl EarlyState {
    /// None is being written.
    pub const NONE: Self = Self(0);
    /// The process is within a call that writes it.
    pub const WRITING: Self = Self(1);
    /// The server took it; there will be none any more.
    pub const SETTLED: Self = Self(2);
    /// The server refused it.
    pub const REFUSED: Self = Self(3);
    /// The process is the server, and so is never in question.
    pub const SERVER: Self = Self(4);
}

const _: () = assert!(size_of::<AddressKey>() == 16);
const _: () = assert!(size_of::<TargetState>() == 8);
const _: () = assert!(size_of::<ProcessState>() == 16);
const _: () = assert!(size_of::<CallState>() == 128);
const _: () = assert!(size_of::<ThreadState>() == 32);
const _: () = assert!(size_of::<SocketState>() == 64);
const _: () = assert!(size_of::<ConnectionState>() == 176);
