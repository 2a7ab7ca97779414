//! Connections in lines of output.

#![expect(clippy::ref_option_ref, reason = "serde derives it for words that may be absent")]

use serde::Serialize;

use super::field::owned;
use crate::{
    correlate::LibraryName,
    redact::{Printable, Time, printable::plain_word_if_any},
};

/// A connection, and how its addresses were learned or why they were not.
///
/// An address is `IP:PORT`, `[IP]:PORT`, `unix:PATH`, `unix:@NAME` in the abstract namespace, or `unix:` for an unbound UNIX
/// socket.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConnectionLine<'a> {
    /// Unique within a run.
    pub id: Printable<'a>,
    /// Address of the traced process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<Printable<'a>>,
    /// Address of its peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Printable<'a>>,
    /// How the addresses were learned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain_word_if_any")]
    pub source: Option<&'static str>,
    /// Why the addresses are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Addresses in the PROXY protocol header of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxied: Option<ProxiedLine>,
    /// Inode of the network namespace of the addresses, if it is not that of the tracer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
}

impl ConnectionLine<'_> {
    /// Copies what is borrowed.
    pub(crate) fn to_static(&self) -> ConnectionLine<'static> {
        let Self {
            id,
            local,
            remote,
            source,
            reason,
            proxied,
            netns,
        } = self;
        ConnectionLine {
            id: id.to_static(),
            local: owned(local.as_ref()),
            remote: owned(remote.as_ref()),
            source: *source,
            reason: *reason,
            proxied: proxied.clone(),
            netns: *netns,
        }
    }
}

/// The addresses in a PROXY protocol header.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ProxiedLine {
    /// Where the connection comes from.
    pub source: String,
    /// Where it was meant to go.
    pub destination: String,
}

/// The summary of a connection, at its end or at the end of the run. A member that is absent is unknown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SummaryLine<'a> {
    /// Id of the connection.
    pub id: Printable<'a>,
    /// When the connection or the run ended, RFC 3339.
    pub time: Time,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// TLS library of the process.
    pub tls: LibraryName,
    /// The connection, as in its exchange lines.
    pub connection: ConnectionLine<'a>,
    /// When its socket was established, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Time>,
    /// Protocol version by its name in OpenSSL, else its number in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<Printable<'a>>,
    /// Cipher suite by its name in the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<Printable<'a>>,
    /// Application protocol that was negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Printable<'a>>,
    /// Server name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Printable<'a>>,
    /// Duration of the handshake in microseconds, waiting included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// Smoothed round-trip time at the end, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// Retransmitted segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u32>,
    /// Bytes of ciphertext received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Bytes of ciphertext sent and acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// Bytes of plaintext read since it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    /// Bytes of plaintext written since it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
    /// Exchanges seen on it, printed or not.
    pub exchanges: u64,
    /// How its socket was closed: `fin`, `reset` or `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// Which end closed it: `local` is the traced process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<&'static str>,
    /// True if it was open when the run ended, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// `latin1` if a value of the line was not UTF-8: each character of every value then stands for one byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}
