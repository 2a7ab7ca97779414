//! Connections as they are printed: their addresses in every line, and their summaries.
//!
//! The server name comes from the peer, so it is redacted like an authority, and the user's patterns apply to every text.

use std::time::SystemTime;

use http_decode::Proxied;

use super::{ConnectionLine, Printable, ProxiedLine, SummaryLine, Time, values::Composer};
use crate::{
    correlate::{Connection, ConnectionSummary, LibraryName, Process, Transport},
    event::{Address, InetAddress, SocketEnd, TlsFacts},
};

impl Composer<'_> {
    pub(super) fn summary<'a>(
        &mut self,
        time: SystemTime,
        connection: &'a Connection,
        summary: &'a ConnectionSummary,
    ) -> SummaryLine<'a> {
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
            time: Time::new(time),
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

    fn with_handshake<'a>(&mut self, line: SummaryLine<'a>, handshake: Option<&'a TlsFacts>) -> SummaryLine<'a> {
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

fn with_transport<'a>(line: SummaryLine<'a>, transport: Option<&Transport>) -> SummaryLine<'a> {
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
        opened: opened.map(Time::new),
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
fn version_word(version: u16) -> Printable<'static> {
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
pub(super) struct ConnectionParts<'a> {
    pub(super) pid: u32,
    pub(super) process: Printable<'a>,
    pub(super) tls: LibraryName,
    pub(super) line: ConnectionLine<'a>,
}

pub(super) fn connection_parts(connection: &Connection) -> ConnectionParts<'_> {
    let Connection {
        id,
        process: Process { pid, name },
        tls,
        local,
        remote,
        source,
        proxied,
        netns,
        server_name: _,
    } = connection;
    let (source, reason) = if source.is_known() {
        (Some(source.name()), None)
    } else {
        (None, Some(source.name()))
    };
    let line = ConnectionLine {
        // Made of digits.
        id: Printable::plain(id.as_bytes()),
        local: local.as_ref().map(address),
        remote: remote.as_ref().map(address),
        source,
        reason,
        proxied: proxied.map(proxied_line),
        netns: *netns,
    };
    ConnectionParts {
        pid: *pid,
        process: name.as_str().into(),
        tls: *tls,
        line,
    }
}

fn proxied_line(proxied: Proxied) -> ProxiedLine {
    let Proxied { source, destination } = proxied;
    let [source, destination] = [source, destination].map(|address| InetAddress::from(address).as_str().to_owned());
    ProxiedLine { source, destination }
}

fn address(address: &Address) -> Printable<'_> {
    match address {
        // Made of digits, letters and punctuation.
        Address::Inet(address) => Printable::plain(address.as_str().as_bytes()),
        Address::Unix(path) => format!("unix:{}", String::from_utf8_lossy(path)).into(),
        Address::Abstract(name) => format!("unix:@{}", String::from_utf8_lossy(name)).into(),
    }
}
