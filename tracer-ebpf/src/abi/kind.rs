//! The small numbers on the wire, each a transparent byte with named values: an unknown one is data, never undefined
//! behaviour.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::bits::bits;

/// What a record is.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Kind(pub u8);

impl Kind {
    /// Bytes that crossed a TLS library's edge: a [`crate::DataRecord`].
    pub const DATA: Self = Self(1);
    /// The facts of a connection, before its first data: a [`crate::ConnectionRecord`].
    pub const CONNECTION: Self = Self(2);
    /// The end of a connection: an [`crate::EndRecord`].
    pub const END: Self = Self(3);
    /// A process began, was replaced, or ended: a [`crate::ProcessRecord`].
    pub const PROCESS: Self = Self(4);
    /// A connection's socket was closed: a [`crate::SocketRecord`].
    pub const SOCKET: Self = Self(5);
    /// What a connection's handshake agreed on: a [`crate::TlsRecord`].
    pub const TLS: Self = Self(6);
    /// Bytes that passed and are in no other record: a [`crate::PassedRecord`].
    pub const PASSED: Self = Self(7);
    /// The positions of a connection that goes on: an [`crate::EndRecord`], made by the loader after a loss.
    pub const REACHED: Self = Self(8);
    /// The tap or the lift of a connection is refused: a [`crate::HooksRecord`], for the loader.
    pub const HOOKS: Self = Self(9);
}

/// Which way bytes go, as the traced process sees it.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Direction(pub u8);

impl Direction {
    /// The traced process read them.
    pub const READ: Self = Self(0);
    /// The traced process wrote them.
    pub const WRITE: Self = Self(1);
}

/// What carries the bytes of a connection. The TLS library, if there is one, is that of the site.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Carrier(pub u8);

impl Carrier {
    /// TLS in the process, by a library.
    pub const TLS: Self = Self(0);
    /// TLS in the kernel, once a library has agreed on keys.
    pub const KERNEL_TLS: Self = Self(1);
    /// Nothing: the bytes are those on the wire.
    pub const PLAIN: Self = Self(2);
}

/// Why bytes passed without being captured.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct PassedCause(pub u8);

impl PassedCause {
    /// The kernel sent them from a file.
    pub const SENDFILE: Self = Self(1);
    /// The call that moved them was not noted, or not all that it moved, and their number is unknown; or it repeats one that
    /// failed, and has no bytes of its own.
    pub const NOT_CAPTURED: Self = Self(2);
    /// The count of a call could not be read from the process's memory: their number is unknown.
    pub const UNREADABLE: Self = Self(3);
    /// They are of no interest: the loader has announced so, in a [`crate::SkipState`].
    pub const SKIPPED: Self = Self(4);
}

/// Why the tap or the lift of a direction is refused for a connection.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct HooksRefused(pub u8);

impl HooksRefused {
    /// The connection writes to a BIO that is not the library's own for sockets, so a send need not be one record.
    pub const WRITE_BIO: Self = Self(1);
    /// Its socket is not known, or is not a TCP socket: no send leads to the connection.
    pub const NO_SOCKET: Self = Self(2);
    /// The kernel encrypts what it writes.
    pub const KERNEL_TLS: Self = Self(3);
    /// The operands of the tap or the lift cannot be those of a record.
    pub const IMPLAUSIBLE: Self = Self(4);
    /// The bytes of its calls are others than those of the tap or the lift, by their number or by their first ones.
    pub const MISMATCH: Self = Self(5);
    /// It writes early data, which goes through a buffer.
    pub const EARLY_DATA: Self = Self(6);
    /// The tap or the lift captured nothing of what a call moved; the call itself reports it.
    pub const UNSEEN: Self = Self(7);
}

/// Properties of a record of bytes, as bits.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct RecordFlags(pub u16);

impl RecordFlags {
    /// The last record of its call: what the call moved beyond it was not captured.
    pub const LAST: Self = Self(1);
    /// The call was longer than the limit per call.
    pub const OVER_LIMIT: Self = Self(1 << 1);
    /// The connection was seen to begin, so that position 0 of both its directions is their first byte.
    pub const FROM_START: Self = Self(1 << 2);
    /// Early data that the server has not accepted yet: the next record of the connection without this flag decides.
    pub const EARLY: Self = Self(1 << 3);
    /// The server rejected the early data: its bytes are no part of the direction, whose positions were taken back.
    pub const EARLY_REFUSED: Self = Self(1 << 4);
}

bits!(RecordFlags);

/// How a connection's descriptor was learned, or why it was not.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct AddressSource(pub u8);

impl AddressSource {
    /// From the socket BIO of the TLS object.
    pub const BIO: Self = Self(0);
    /// From `SSL_set_fd` or one of its kind.
    pub const SET_FD: Self = Self(1);
    /// Unknown: the BIO is not a socket's own.
    pub const CUSTOM_BIO: Self = Self(2);
    /// Unknown: the offsets within this library version's structures are not known.
    pub const UNKNOWN_LAYOUT: Self = Self(3);
    /// Unknown: the descriptor is not an internet or unix socket, or not a connected one.
    pub const NOT_INET: Self = Self(4);
    /// From the socket that the ciphertext went out through, byte for byte what the TLS object handed to its BIO.
    pub const CIPHERTEXT: Self = Self(5);
    /// Not yet: the descriptor is known, and the loader has to ask `/proc`, because the kernel describes no structures.
    pub const DESCRIPTOR: Self = Self(6);
    /// From `/proc`, by the loader: what the descriptor led to at the time of the record. It is the connection's if the
    /// connection goes on after that.
    pub const PROC: Self = Self(7);
    /// From the TCP connection that the TLS object of Go is on, perhaps behind others.
    pub const NET_CONN: Self = Self(8);
    /// From the socket that a write of Go sent through, within its call.
    pub const NESTED_SEND: Self = Self(9);
    /// From the socket itself, which the connection stands for: it carries no TLS.
    pub const SOCKET: Self = Self(10);
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Change(pub u8);

impl Change {
    /// A traced process forked it; it is traced.
    pub const FORKED: Self = Self(1);
    /// It runs another program now; every address in it means something else. It is traced, perhaps only from now on.
    pub const EXECUTED: Self = Self(2);
    /// Its last thread has ended.
    pub const ENDED: Self = Self(3);
    /// It hit a probe for the first time, while all processes are traced.
    pub const MET: Self = Self(4);
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct SocketEnd(pub u8);

impl SocketEnd {
    /// Not known.
    pub const UNKNOWN: Self = Self(0);
    /// The traced process closed first.
    pub const FIN_LOCAL: Self = Self(1);
    /// The peer closed first.
    pub const FIN_REMOTE: Self = Self(2);
    /// The traced process's kernel sent a reset.
    pub const RESET_LOCAL: Self = Self(3);
    /// The peer sent a reset.
    pub const RESET_REMOTE: Self = Self(4);
    /// The peer no longer answered.
    pub const TIMEOUT: Self = Self(5);
}
