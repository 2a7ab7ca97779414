//! The types of what was observed; nothing of them is redacted yet.

use std::{sync::Arc, time::SystemTime};

use http_decode::{End, Exchange, Gap, Proxied};

use super::library::LibraryName;
use crate::event::{Address, AddressSource, SocketEnd, TlsFacts};

/// The traced process as it was when its connection was first seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Process id as the tracer's PID namespace counts.
    pub pid: u32,
    /// Short name, as `/proc/PID/comm` has it.
    pub name: String,
}

/// A TLS connection of a traced process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Unique within a run, the same again when its tape is replayed.
    pub id: String,
    /// The process.
    pub process: Process,
    /// Which TLS library, in one word: `openssl`.
    pub tls: LibraryName,
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
