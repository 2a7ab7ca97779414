//! What the programs keep between probes, but for connections: calls, threads, sockets, processes. The loader only removes
//! values, of processes and threads that ended.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::bits::bits;
use crate::{AddressKey, Cookie, Direction, SiteConfig, SocketEnd};

/// Bytes that one call, or one hit of a tap or a lift, moves, and how far their capture has come: in a map and not on the
/// stack, which is scarce.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Transfer {
    /// Address of the TLS object.
    pub object: u64,
    /// Address of the bytes; of a call that sets a descriptor, the descriptor. Of a hit that was captured, the first eight of
    /// the bytes, if `is_noted`.
    pub buffer: u64,
    /// When the call began, `CLOCK_MONOTONIC` nanoseconds; 0 if nothing shows it.
    pub began_ns: u64,
    /// When its last record was made, `CLOCK_MONOTONIC` nanoseconds; 0 for none.
    pub recorded_ns: u64,
    /// The cookie of the site.
    pub cookie: Cookie,
    /// How many bytes are moved.
    pub moved: u64,
    /// How many of them may be captured. Of a hit that was captured, their position, if `is_noted`.
    pub wanted: u64,
    /// How many of those were captured or counted as lost.
    pub done: u64,
    /// Process.
    pub tgid: u32,
    /// The direction of the bytes; any for a call that moves none.
    pub direction: Direction,
    /// 1 if they are early data.
    pub early: u8,
    /// 1 if the beginning of a captured hit is kept, to be compared with that of the call around it.
    pub is_noted: u8,
    /// Zero.
    pub reserved: u8,
}

impl Transfer {
    /// Nothing known.
    pub const NEW: Self = Self {
        object: 0,
        buffer: 0,
        began_ns: 0,
        recorded_ns: 0,
        cookie: Cookie(0),
        moved: 0,
        wanted: 0,
        done: 0,
        tgid: 0,
        direction: Direction::WRITE,
        early: 0,
        is_noted: 0,
        reserved: 0,
    };
}

/// A call in flight.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct CallState {
    /// The connection, the caller's buffer, and what the call moves.
    pub transfer: Transfer,
    /// How many bytes it may move at the most.
    pub length: u64,
    /// What is in the place of the count: the count itself, or the address where the function will write it.
    pub count: u64,
    /// Position of its direction when it began, if other hooks report the direction.
    pub position: u64,
    /// The call that the thread was in before it; zero for none.
    pub outer: ThreadState,
    /// Of a goroutine's call, how many bytes below the top of the goroutine's stack its buffer is; 0 if it is elsewhere.
    pub below_top: u64,
    /// Of a goroutine's write that was captured as it began, when bytes of its direction were last reported then; else 0.
    pub reported_ns: u64,
    /// Of a goroutine's call, the address of the method that reads from a TCP socket; 0 if that is not known.
    pub code: u64,
    /// Thread; 0 for a goroutine's call, which any thread may end.
    pub tid: u32,
    /// 1 if it is its thread's [`ThreadState`].
    pub entered: u8,
    /// 1 if `position` is known.
    pub positioned: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

impl CallState {
    /// Nothing known.
    pub const NEW: Self = Self {
        transfer: Transfer::NEW,
        length: 0,
        count: 0,
        position: 0,
        outer: ThreadState::NONE,
        below_top: 0,
        reported_ns: 0,
        code: 0,
        tid: 0,
        entered: 0,
        positioned: 0,
        reserved: [0; 2],
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

/// A write of Go that is about to send, of a connection whose socket is not known.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct WriteState {
    /// Address of the TLS object.
    pub object: u64,
    /// The generation of its connection.
    pub generation: u64,
    /// Address of the goroutine that writes.
    pub goroutine: u64,
    /// From the return address of the call to the upper end of the goroutine's stack, in bytes.
    pub depth: u64,
    /// That return address.
    pub back: u64,
    /// How many bytes of plaintext it was given.
    pub bytes: u64,
    /// Process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

impl WriteState {
    /// No write.
    pub const NONE: Self = Self {
        object: 0,
        generation: 0,
        goroutine: 0,
        depth: 0,
        back: 0,
        bytes: 0,
        tgid: 0,
        reserved: 0,
    };
}

/// Up to where the bytes of a connection are of no interest: written by the loader, each time as a whole, under the address
/// of the connection's object.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SkipState {
    /// The generation of the connection: it holds for no other connection of the object.
    pub generation: u64,
    /// The positions, by direction.
    pub until: [u64; 2],
}

/// What is known of a socket that carries no TLS.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct PlainState(pub u8);

impl PlainState {
    /// It carries TLS: a connection of a TLS library goes through it.
    pub const TLS: Self = Self(0);
    /// Nothing yet: what it has carried so far may be the middle of something.
    pub const UNDECIDED: Self = Self(1);
    /// It carries HTTP, and stands for a connection.
    pub const HTTP: Self = Self(2);
    /// It carries something else, which is left alone.
    pub const OTHER: Self = Self(3);
    /// It carried HTTP, and then a connection of a TLS library: that without TLS has yet to be ended.
    pub const REPLACED: Self = Self(4);
}

/// A socket that a connection was found to go through, or that carries no TLS and was seen to move bytes of a traced process.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketState {
    /// Address of the object of its connection; 0 for no connection.
    pub object: u64,
    /// The generation of its connection; 0 for no connection.
    pub generation: u64,
    /// The process of its connection; 0 for no connection.
    pub tgid: u32,
    /// The number of its inode, where no tracepoint reports its end: another socket at its address has another one. Else 0.
    pub inode: u32,
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
    /// The site of the lift that reports what the connection writes; [`crate::SiteConfig::UNKNOWN`] for none.
    pub lift: u16,
    /// What is known of it, if it carries no TLS.
    pub plain: PlainState,
    /// How often bytes went another way than those before, while it is not known what it carries.
    pub turns: u8,
    /// Which way the last of those bytes went, plus one; 0 for none.
    pub last: u8,
    /// Zero.
    pub reserved: u8,
}

impl SocketState {
    /// Returns the key of its connection in the tables.
    pub const fn address(&self) -> AddressKey {
        AddressKey::new(self.object, self.tgid)
    }

    /// Nothing known.
    pub const NEW: Self = Self {
        object: 0,
        generation: 0,
        tgid: 0,
        inode: 0,
        cookie: Cookie(0),
        opened_ns: 0,
        received: 0,
        acknowledged: 0,
        srtt_us: 0,
        retransmits: 0,
        ended: SocketEnd::UNKNOWN,
        closed: 0,
        lift: SiteConfig::UNKNOWN,
        plain: PlainState::TLS,
        turns: 0,
        last: 0,
        reserved: 0,
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

/// The element that counts the changes of the table of targets by the programs, and those by the loader. One writes each: a value
/// that the loader writes replaces what the programs have added meanwhile.
pub const CHANGES_BY_PROGRAMS: u32 = 0;
/// As above.
pub const CHANGES_BY_LOADER: u32 = 1;

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
    /// When a goroutine's call last ended of which the beginning was not seen, `CLOCK_MONOTONIC` nanoseconds; 0 for none.
    pub unseen_ns: u64,
}

/// How a process is traced, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct TargetFlags(pub u32);

impl TargetFlags {
    /// The processes it forks are traced as it is.
    pub const FOLLOW: Self = Self(1);
    /// What it sends may show which sockets its connections use, so messages are matched with its ciphertext and its calls.
    pub const CIPHERTEXT: Self = Self(1 << 1);
    /// Its calls that read are probed beside taps: to check these, or for connections that refuse them.
    pub const READ_CALLS: Self = Self(1 << 2);
    /// The same of its calls that write, beside lifts and taps.
    pub const WRITE_CALLS: Self = Self(1 << 3);

    /// All of them.
    pub const ALL: Self = Self::FOLLOW
        .with(Self::CIPHERTEXT)
        .with(Self::READ_CALLS)
        .with(Self::WRITE_CALLS);

    /// Returns the flag of the calls of a direction.
    pub const fn calls(direction: Direction) -> Self {
        if direction.0 == Direction::READ.0 {
            Self::READ_CALLS
        } else {
            Self::WRITE_CALLS
        }
    }

    /// Returns whether the calls of a direction are probed beside its tap or its lift.
    pub const fn has_calls(self, direction: Direction) -> bool {
        self.contains(Self::calls(direction))
    }

    /// Removes the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

bits!(TargetFlags);

const _: () = assert!(size_of::<TargetState>() == 8);
const _: () = assert!(size_of::<ProcessState>() == 24);
const _: () = assert!(size_of::<Transfer>() == 72);
const _: () = assert!(size_of::<CallState>() == 160);
const _: () = assert!(size_of::<ThreadState>() == 32);
const _: () = assert!(size_of::<WriteState>() == 56);
const _: () = assert!(size_of::<SocketState>() == 72);
