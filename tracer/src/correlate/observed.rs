//! The types of what was observed; nothing of them is redacted yet.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use http_decode::{End, Exchange, Gap};

/// The traced process as it was when its connection was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Process id as the tracer's PID namespace counts.
    pub pid: u32,
    /// Short name, from `/proc/PID/comm`.
    pub name: String,
}

/// How a connection's addresses were learned, or why they were not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressSource {
    /// The socket BIO of the `SSL` object names the descriptor.
    Bio,
    /// `SSL_set_fd` or one of its kind named the descriptor.
    SetFd,
    /// Unknown: the `SSL` object's BIO is not a socket's own.
    CustomBio,
    /// Unknown: this library version's structures are not known.
    UnknownLayout,
    /// Unknown: the record that tells was lost.
    Unseen,
    /// Unknown: the descriptor was not, or no longer, an internet socket.
    NotInet,
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
    pub local: Option<SocketAddr>,
    /// Its peer's address.
    pub remote: Option<SocketAddr>,
    /// How the two were learned.
    pub source: AddressSource,
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
}

/// Something that happened, where, and when; not redacted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// When: the exchange's first byte, or the moment the rest became known.
    pub time: SystemTime,
    /// Where.
    pub connection: Arc<Connection>,
    /// What.
    pub happening: Happening,
}
