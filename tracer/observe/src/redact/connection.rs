//! Connections as they are printed: their addresses in every line, and their summaries.
//!
//! The server name comes from the peer, so it is redacted like an authority, and the user's patterns apply to every text.

use std::{net::SocketAddr, time::SystemTime};

use http_decode::Proxied;

use super::{
    ConnectionLine, ProxiedLine, SummaryLine,
    values::{Composer, rfc3339},
};
use crate::{
    correlate::{Connection, ConnectionSummary, LibraryName, Process, Transport},
    event::{Address, AddressSource, SocketEnd, TlsFacts},
};

impl Composer<'_> {
    pub(super) fn summary(
        &mut self,
        time: SystemTime,
        connection: &Connection,
        summary: &ConnectionSummary,
    ) -> SummaryLine {
        let ConnectionParts {
            pid,
            process,
            tls,
            line: connection,
        } = connection_parts(connection);
        let ConnectionSummary {
            tls: handshake,
            transport,
            transferred: [read, written],
            exchanges,
            open,
        } = summary;
        let line = SummaryLine {
            id: connection.id.clone(),
            time: rfc3339(time),
            pid,
            process,
            tls,
            connection,
            opened: None,
            tls_version: None,
            cipher: None,
            alpn: None,
            server_name: None,
            handshake_us: None,
            rtt_us: None,
            retransmits: None,
            received: None,
            acknowledged: None,
            read: *read,
            written: *written,
            exchanges: *exchanges,
            ended: None,
            ended_by: None,
            open: open.then_some(true),
            encoding: None,
        };
        let line = with_transport(line, transport.as_ref());
        self.with_handshake(line, handshake.as_ref())
    }

    fn with_handshake(&mut self, line: SummaryLine, handshake: Option<&TlsFacts>) -> SummaryLine {
        let Some(TlsFacts {
            version,
            cipher,
            alpn,
            server_name,
            handshake_ns,
        }) = handshake
        else {
            return line;
        };
        SummaryLine {
            tls_version: version.map(version_word),
            cipher: cipher.as_ref().map(|cipher| self.value(cipher.expose())),
            alpn: alpn.as_ref().map(|alpn| self.value(alpn.expose())),
            server_name: server_name.as_ref().map(|name| self.authority(name.expose(), false)),
            handshake_us: handshake_ns.map(|nanos| nanos / 1000),
            encoding: self.encoding(),
            ..line
        }
    }
}

fn with_transport(line: SummaryLine, transport: Option<&Transport>) -> SummaryLine {
    let Some(Transport {
        opened,
        received,
        acknowledged,
        rtt_us,
        retransmits,
        ended,
    }) = transport
    else {
        return line;
    };
    let (ended, ended_by) = ended.map(ended_words).unzip();
    SummaryLine {
        opened: opened.map(rfc3339),
        received: Some(*received),
        acknowledged: Some(*acknowledged),
        rtt_us: *rtt_us,
        retransmits: Some(*retransmits),
        ended,
        ended_by: ended_by.flatten(),
        ..line
    }
}

/// Returns how a socket was closed, and by which end.
fn ended_words(ended: SocketEnd) -> (&'static str, Option<&'static str>) {
    match ended {
        SocketEnd::FinLocal => ("fin", Some("local")),
        SocketEnd::FinRemote => ("fin", Some("remote")),
        SocketEnd::ResetLocal => ("reset", Some("local")),
        SocketEnd::ResetRemote => ("reset", Some("remote")),
        SocketEnd::Timeout => ("timeout", None),
    }
}

/// Returns the name of a protocol version in OpenSSL.
fn version_word(version: u16) -> Box<str> {
    match version {
        0x0300 => "SSLv3".into(),
        0x0301 => "TLSv1".into(),
        0x0302 => "TLSv1.1".into(),
        0x0303 => "TLSv1.2".into(),
        0x0304 => "TLSv1.3".into(),
        0xfeff => "DTLSv1".into(),
        0xfefd => "DTLSv1.2".into(),
        _ => format!("{version:#06x}").into(),
    }
}

/// What the lines of a connection have in common.
pub(super) struct ConnectionParts {
    pub(super) pid: u32,
    pub(super) process: String,
    pub(super) tls: LibraryName,
    pub(super) line: ConnectionLine,
}

pub(super) fn connection_parts(connection: &Connection) -> ConnectionParts {
    let Connection {
        id,
        process: Process { pid, name },
        tls,
        local,
        remote,
        source,
        proxied,
        netns,
    } = connection;
    let (source, reason) = match source {
        AddressSource::Bio => (Some("bio"), None),
        AddressSource::SetFd => (Some("set_fd"), None),
        AddressSource::Ciphertext => (Some("ciphertext"), None),
        AddressSource::Proc => (Some("proc"), None),
        AddressSource::CustomBio => (None, Some("custom-bio")),
        AddressSource::UnknownLayout => (None, Some("unknown-layout")),
        AddressSource::NotInet => (None, Some("not-inet")),
        AddressSource::Unseen => (None, Some("unseen")),
        AddressSource::Unconfirmed => (None, Some("unconfirmed")),
    };
    let line = ConnectionLine {
        id: id.clone(),
        local: local.as_ref().map(address),
        remote: remote.as_ref().map(address),
        source,
        reason,
        proxied: proxied.map(proxied_line),
        netns: *netns,
    };
    ConnectionParts {
        pid: *pid,
        process: name.clone(),
        tls: *tls,
        line,
    }
}

fn proxied_line(proxied: Proxied) -> ProxiedLine {
    let Proxied { source, destination } = proxied;
    ProxiedLine {
        source: inet(source),
        destination: inet(destination),
    }
}

fn address(address: &Address) -> String {
    match address {
        Address::Inet(address) => inet(*address),
        Address::Unix(path) => format!("unix:{}", String::from_utf8_lossy(path)),
        Address::Abstract(name) => format!("unix:@{}", String::from_utf8_lossy(name)),
    }
}

/// Prints an IPv4-mapped IPv6 address, as a dual-stack socket has it, as IPv4.
fn inet(address: SocketAddr) -> String {
    match address.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()).to_string(),
        _ => address.to_string(),
    }
}
