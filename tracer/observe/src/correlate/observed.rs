//! What the correlator emits. None of it is redacted yet, so nothing here implements `Serialize`.

use std::{sync::Arc, time::SystemTime};

use http_decode::{End, Exchange, Gap, Proxied, Unredacted};

use super::library::LibraryName;
use crate::event::{Address, AddressSource, SocketEnd, TlsFacts};

/// A traced process, as of the time its connection was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Process id in the PID namespace of the tracer.
    pub pid: u32,
    /// Short name, as in `/proc/PID/comm`.
    pub name: String,
}

/// A TLS connection of a traced process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Unique within a run, and the same when its tape is replayed.
    pub id: String,
    /// The process.
    pub process: Process,
    /// Name of the TLS library.
    pub tls: LibraryName,
    /// Address of the traced process.
    pub local: Option<Address>,
    /// Address of its peer.
    pub remote: Option<Address>,
    /// How the addresses were learned, or why they were not.
    pub source: AddressSource,
    /// Addresses in the PROXY protocol header, if the peer sent one.
    pub proxied: Option<Proxied>,
    /// Inode of the network namespace of the addresses, if it is not that of the tracer.
    pub netns: Option<u32>,
    /// Server name that the client asked for in its handshake, if that was seen, and as a whole.
    pub server_name: Option<Unredacted>,
}

/// A head that was decoded, before its exchange is emitted. The addresses of its connection may not be known yet.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The connection.
    pub connection: Arc<Connection>,
    /// The head.
    pub moment: http_decode::Moment,
}

/// What was observed on a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ObservedKind {
    /// An exchange.
    Exchange(Box<Exchange>),
    /// The end of an exchange that was emitted before it had ended.
    End(Box<End>),
    /// Bytes that are missing.
    Gap(Gap),
    /// The end of the connection, or the state of an open one at the end of the run.
    Connection(Box<ConnectionSummary>),
}

/// The summary of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionSummary {
    /// Parameters of its handshake, if it was seen.
    pub tls: Option<TlsFacts>,
    /// Statistics of its socket, if its close was seen.
    pub transport: Option<Transport>,
    /// Bytes of plaintext read and written; `None` if an unknown number of them is missing.
    pub transferred: [Option<u64>; 2],
    /// Number of exchanges.
    pub exchanges: u64,
    /// Whether it was open at the end of the run.
    pub open: bool,
}

/// The statistics of a socket at its close.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transport {
    /// When it was established, if that was seen.
    pub opened: Option<SystemTime>,
    /// Bytes of ciphertext received.
    pub received: u64,
    /// Bytes of ciphertext sent and acknowledged.
    pub acknowledged: u64,
    /// Smoothed round-trip time in microseconds, if measured.
    pub rtt_us: Option<u32>,
    /// Retransmitted segments.
    pub retransmits: u32,
    /// How it was closed, if known.
    pub ended: Option<SocketEnd>,
}

/// An observation on a connection. It is not redacted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// When the exchange began, the exchange or the connection ended, or the gap was noticed.
    pub time: SystemTime,
    /// The connection.
    pub connection: Arc<Connection>,
    /// What was observed.
    pub kind: ObservedKind,
}
