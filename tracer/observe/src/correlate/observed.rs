//! The types of what was observed; nothing of them is redacted yet.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use http_decode::{End, Exchange, Gap, Proxied};

use crate::event::{SocketEnd, TlsFacts};

/// The traced process as it was when its connection was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Process id as the tracer's PID namespace counts.
    pub pid: u32,
    /// Short name, as `/proc/PID/comm` has it.
    pub name: String,
}

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

/// A TLS connection of a traced process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Unique within a run, the same again when its tape is replayed.
    pub id: String,
    /// The process.
    pub process: Process,
    /// Which TLS library, in one word: `openssl`.
    pub tls: &'static str,
    /// The traced process's own address.
    pub local: Option<Address>,
    /// Its peer's address.
    pub remote: Option<Address>,
    /// How the two were learned.
    pub source: AddressSource,
    /// Whom it is for, as the peer said by the PROXY protocol.
    pub proxied: Option<Proxied>,
    /// Inode of the network namespace that the addresses belong to, where it is not the tracer's own.
    pub netns: Option<u32>,
}

/// What happened on a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// An exchange.
    Exchange(Box<Exchange>),
    /// The end of an exchange that was put out earlier.
    End(Box<End>),
    /// A hole in what was captured.
    Loss(Gap),
    /// The end of the connection, or of the observation while it goes on.
    Connection(Box<ConnectionSummary>),
}

/// A connection as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionSummary {
    /// What its handshake agreed on, if that was seen.
    pub tls: Option<TlsFacts>,
    /// What its socket had to say, if that was seen to be closed.
    pub transport: Option<Transport>,
    /// Bytes of plaintext that were read and written; `None` where more passed, and nobody knows how many.
    pub moved: [Option<u64>; 2],
    /// How many exchanges it had.
    pub exchanges: u64,
    /// Whether it was still open when the observation ended.
    pub open: bool,
}

/// What a socket had to say when it was closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transport {
    /// When it was established, if that was seen.
    pub opened: Option<SystemTime>,
    /// Bytes received, ciphertext.
    pub received: u64,
    /// Bytes sent and acknowledged, ciphertext.
    pub acknowledged: u64,
    /// Smoothed round-trip time in microseconds, if measured.
    pub rtt_us: Option<u32>,
    /// Segments sent again.
    pub retransmits: u32,
    /// How it ended, if known.
    pub ended: Option<SocketEnd>,
}

/// Something that happened, where, and when; not redacted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// When: the exchange's first byte, the connection's end, or the moment the rest became known.
    pub time: SystemTime,
    /// Where.
    pub connection: Arc<Connection>,
    /// What.
    pub happening: Happening,
}
