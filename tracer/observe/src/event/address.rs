//! The addresses of a connection, and how they were learned.

use std::net::SocketAddr;

/// How a connection's addresses were learned, or why they were not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressSource {
    /// The socket BIO of the `SSL` object names the descriptor.
    Bio,
    /// `SSL_set_fd` or one of its kind named the descriptor.
    SetFd,
    /// The socket through which went, byte for byte, the ciphertext that the `SSL` object had handed out.
    Ciphertext,
    /// What `/proc` said of the descriptor, confirmed by the connection's going on after that.
    Proc,
    /// Unknown: the `SSL` object's BIO is not a socket's own.
    CustomBio,
    /// Unknown: this library version's structures are not known.
    UnknownLayout,
    /// Unknown: the record that tells was lost.
    Unseen,
    /// Unknown: the descriptor was not, or no longer, a connected internet or UNIX socket.
    NotInet,
    /// Unknown: what `/proc` says of the descriptor is not known to be about this connection, of which nothing was seen
    /// after it was asked.
    Unconfirmed,
}

impl AddressSource {
    /// Tells whether it is one that gives addresses, and not a reason why there are none.
    pub const fn is_known(self) -> bool {
        matches!(self, Self::Bio | Self::SetFd | Self::Ciphertext | Self::Proc)
    }
}

/// One end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// An internet address and port.
    Inet(SocketAddr),
    /// The path that a UNIX socket is bound to; empty where it is bound to none.
    Unix(Box<[u8]>),
    /// The name in the abstract namespace that a UNIX socket is bound to, without the zero before it.
    Abstract(Box<[u8]>),
}
