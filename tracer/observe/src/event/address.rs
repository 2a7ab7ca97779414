//! The addresses of a connection, and how they were learned.

use std::net::SocketAddr;

http_decode::named_enum! {
    /// How a connection's addresses were learned, or why they were not.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum AddressSource {
        /// The file descriptor is in the socket BIO of the `SSL` object.
        Bio => "bio",
        /// The file descriptor was passed to `SSL_set_fd` or a function like it.
        SetFd => "set_fd",
        /// The socket sent the same bytes that the `SSL` object had returned as ciphertext.
        Ciphertext => "ciphertext",
        /// `/proc` has the addresses of the file descriptor, and the connection moved data after that lookup.
        Proc => "proc",
        /// The `tls.Conn` of Go is on a TCP connection, perhaps behind others, which has the file descriptor.
        NetConn => "net_conn",
        /// The socket sent a record within the call that writes to the `tls.Conn` of Go.
        NestedSend => "nested_send",
        /// The connection carries no TLS, and is the socket itself.
        Socket => "socket",
        /// Unknown: the BIO of the `SSL` object is not a socket BIO, or the `tls.Conn` of Go is on an unknown kind of connection.
        CustomBio => "custom-bio",
        /// Unknown: the structure layout of this library version is not known.
        UnknownLayout => "unknown-layout",
        /// Unknown: the record with the addresses was lost.
        Unseen => "unseen",
        /// Unknown: the file descriptor is not, or is no longer, a connected internet or UNIX socket.
        NotInet => "not-inet",
        /// Unknown: the addresses from `/proc` may be those of another socket, because the connection moved no data after
        /// the lookup.
        Unconfirmed => "unconfirmed",
    }
}

impl AddressSource {
    /// Returns whether the addresses are known.
    pub const fn is_known(self) -> bool {
        matches!(
            self,
            Self::Bio | Self::SetFd | Self::Ciphertext | Self::Proc | Self::NetConn | Self::NestedSend | Self::Socket
        )
    }
}

/// One end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// An internet address and port.
    Inet(InetAddress),
    /// The path that a UNIX socket is bound to; empty if it is unbound.
    Unix(Box<[u8]>),
    /// The name in the abstract namespace that a UNIX socket is bound to, without the leading zero byte.
    Abstract(Box<[u8]>),
}

impl Address {
    /// Returns the address and port, if it is not that of a UNIX socket.
    pub const fn inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(inet) => Some(inet.address),
            Self::Unix(_) | Self::Abstract(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address.into())
    }
}

/// An internet address and port. Its text is made once, because each line of the connection has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InetAddress {
    address: SocketAddr,
    text: Box<str>,
}

impl InetAddress {
    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the address and the port as text, those of an IPv4-mapped IPv6 address, as a dual-stack socket has it, as
    /// IPv4.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<SocketAddr> for InetAddress {
    fn from(address: SocketAddr) -> Self {
        let text = match address.ip().to_canonical() {
            ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()).to_string(),
            _ => address.to_string(),
        };
        Self {
            address,
            text: text.into(),
        }
    }
}
