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
}

/// What a data record says of itself, as bits.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct RecordFlags(pub u16);

impl RecordFlags {
    /// The last record of its call: what the call moved beyond it was not captured.
    pub const LAST: Self = Self(1);
    /// The call was longer than the limit per call.
    pub const OVER_LIMIT: Self = Self(1 << 1);

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
    /// Unknown: the descriptor is not an internet socket.
    pub const NOT_INET: Self = Self(4);
}
