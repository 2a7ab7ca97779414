//! The addresses of a connection, and how they were learned.

use std::net::SocketAddr;

/// How a connection's addresses were learned, or why they were not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressSource {
    /// The file descriptor is in the socket BIO of the `SSL` object.
    Bio,
    /// The file descriptor was passed to `SSL_set_fd` or a function like it.
    SetFd,
    /// The socket sent the same bytes that the `SSL` object had returned as ciphertext.
    Ciphertext,
    /// `/proc` has the addresses of the file descriptor, and the connection moved data after that lookup.
    Proc,
    /// Unknown: the BIO of the `SSL` object is not a socket BIO.
    CustomBio,
    /// Unknown: the structure layout of this library version is not known.
    UnknownLayout,
    /// Unknown: the record with the addresses was lost.
    Unseen,
    /// Unknown: the file descriptor is not, or is no longer, a connected internet or UNIX socket.
    NotInet,
    /// Unknown: the addresses from `/proc` may be those of another socket, because the connection moved no data after the
    /// lookup.
    Unconfirmed,
}

impl AddressSource {
    /// Returns whether the addresses are known.
    pub const fn is_known(self) -> bool {
        matches!(self, Self::Bio | Self::SetFd | Self::Ciphertext | Self::Proc)
    }
}

/// One end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// An internet address and port.
    Inet(SocketAddr),
    /// The path that a UNIX socket is bound to; empty if it is unbound.
    Unix(Box<[u8]>),
    /// The name in the abstract namespace that a UNIX socket is bound to, without the leading zero byte.
    Abstract(Box<[u8]>),
}
