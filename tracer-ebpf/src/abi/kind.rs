//! The small numbers on the wire, each a transparent byte with named values: an unknown one is data, never undefined
//! behaviour.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
    /// Bytes that passed and that no other record brings: a [`crate::PassedRecord`].
    pub const PASSED: Self = Self(7);
    /// How far a connection has come that goes on: an [`crate::EndRecord`], made by the loader after a loss.
    pub const REACHED: Self = Self(8);
}

/// Which way bytes go, as the traced process sees it.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
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

/// What a probed function does.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Role(pub u8);

impl Role {
    /// `SSL_read(ssl, buf, num)`: the result is the count.
    pub const READ: Self = Self(0);
    /// `SSL_write(ssl, buf, num)`: the result is the count.
    pub const WRITE: Self = Self(1);
    /// `SSL_read_ex(ssl, buf, num, *count)`: the result is 0 or 1.
    pub const READ_EX: Self = Self(2);
    /// `SSL_write_ex(ssl, buf, num, *count)`: the result is 0 or 1.
    pub const WRITE_EX: Self = Self(3);
    /// `SSL_write_ex2(ssl, buf, num, flags, *count)`: the result is 0 or 1.
    pub const WRITE_EX2: Self = Self(4);
    /// `SSL_set_fd(ssl, fd)` and its two one-way forms.
    pub const SET_FD: Self = Self(5);
    /// `SSL_set_bio(ssl, …)` and its two one-way forms: a descriptor noted before holds no longer.
    pub const SET_BIO: Self = Self(6);
    /// `SSL_free(ssl)`.
    pub const FREE: Self = Self(7);
    /// `SSL_clear(ssl)`.
    pub const CLEAR: Self = Self(8);
    /// `SSL_do_handshake(ssl)`: the result is 1 once it is done.
    pub const HANDSHAKE: Self = Self(9);
    /// `BIO_write(bio, data, len)`: within a call of a TLS library, `data` is ciphertext.
    pub const BIO_WRITE: Self = Self(10);
    /// `SSL_sendfile(ssl, fd, offset, size, flags)`: the result is the count, of bytes that only the kernel sees.
    pub const SENDFILE: Self = Self(11);
    /// `SSL_write_early_data(ssl, …)`: what is written within it is early data.
    pub const WRITE_EARLY: Self = Self(12);
    /// `SSL_read_early_data(ssl, …)`: the process is the server.
    pub const READ_EARLY: Self = Self(13);
}

impl Role {
    /// Tells which way the bytes of its calls go.
    pub const fn direction(self) -> Direction {
        match self {
            Self::READ | Self::READ_EX => Direction::READ,
            _ => Direction::WRITE,
        }
    }

    /// Tells whether its calls move bytes that an application reads or writes.
    pub const fn moves_bytes(self) -> bool {
        matches!(
            self,
            Self::READ | Self::READ_EX | Self::WRITE | Self::WRITE_EX | Self::WRITE_EX2 | Self::SENDFILE
        )
    }
}

/// Why bytes passed without being brought.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct PassedCause(pub u8);

impl PassedCause {
    /// The kernel sent them from a file.
    pub const SENDFILE: Self = Self(1);
    /// The call that moved them is not known, or not all that it moved: how many they are is not known either.
    pub const NOT_CAPTURED: Self = Self(2);
    /// How many a call moved could not be read from the process's memory.
    pub const UNREADABLE: Self = Self(3);
}

/// What a record says of itself, as bits.
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
    /// Early data, of which it is not known whether the server takes it: the next record of the connection without this
    /// flag decides.
    pub const EARLY: Self = Self(1 << 3);
    /// The server refused the early data: its bytes are no part of the direction, whose positions begin anew.
    pub const EARLY_REFUSED: Self = Self(1 << 4);

    /// Tells whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a connection's descriptor was learned, or why it was not.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct AddressSource(pub u8);

impl AddressSource {
    /// From the socket BIO of the `SSL` object.
    pub const BIO: Self = Self(0);
    /// From `SSL_set_fd` or one of its kind.
    pub const SET_FD: Self = Self(1);
    /// Unknown: the BIO is not a socket's own.
    pub const CUSTOM_BIO: Self = Self(2);
    /// Unknown: the offsets within this library version's structures are not known.
    pub const UNKNOWN_LAYOUT: Self = Self(3);
    /// Unknown: the descriptor is not an internet or unix socket, or not a connected one.
    pub const NOT_INET: Self = Self(4);
    /// From the socket that the ciphertext went out through, byte for byte what the `SSL` object had handed to its BIO.
    pub const CIPHERTEXT: Self = Self(5);
    /// Not yet: the descriptor is known, and the kernel's structures are not, so that `/proc` has to be asked.
    pub const DESCRIPTOR: Self = Self(6);
    /// From `/proc`, by the loader: what the descriptor led to at the time of the record. It is the connection's if the
    /// connection goes on after that.
    pub const PROC: Self = Self(7);
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
    /// It was met at a probe while all processes are traced.
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
    /// The peer did not answer any more.
    pub const TIMEOUT: Self = Self(5);
}
