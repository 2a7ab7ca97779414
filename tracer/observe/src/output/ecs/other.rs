//! Connections, losses and health as documents.

use super::{
    document::{Document, Event, Process, Tls, TlsClient, Tlscope},
    endpoint::Ends,
};
use crate::redact::{HealthLine, HooksLine, LossLine, SummaryLine, Time};

/// Converts the summary of a connection.
pub(super) fn connection<'a>(line: &'a SummaryLine<'_>) -> Document<'a> {
    let SummaryLine {
        id,
        time,
        pid,
        process,
        tls,
        connection,
        opened,
        tls_version,
        cipher,
        alpn,
        server_name,
        handshake_us,
        rtt_us,
        retransmits,
        received: _,
        acknowledged: _,
        read: _,
        written: _,
        exchanges,
        ended,
        ended_by,
        open,
        encoding,
    } = line;
    let Ends {
        client,
        server,
        network,
    } = Ends::of(connection, None, None);
    let (version_protocol, version) = tls_version.as_deref().map(version).unwrap_or_default();
    Document {
        timestamp: time.as_str(),
        event: Event {
            kind: "event",
            category: &["network"],
            types: &["connection", "end"],
            module: "tlscope",
            dataset: "tlscope.connection",
            id: Some(id),
            start: opened.as_ref().map(Time::as_str),
            ..Event::default()
        },
        source: client,
        destination: server,
        network: Some(network),
        tls: Some(Tls {
            established: tls.as_str() != "none",
            version_protocol,
            version,
            cipher: cipher.as_deref(),
            next_protocol: alpn.as_deref(),
            client: server_name.as_deref().map(|server_name| TlsClient { server_name }),
        }),
        process: Some(of(*pid, process)),
        tlscope: Tlscope {
            tls: Some(tls.as_str()),
            connection: Some(&connection.id),
            exchanges: Some(*exchanges),
            handshake_us: *handshake_us,
            rtt_us: *rtt_us,
            retransmits: *retransmits,
            ended: *ended,
            ended_by: *ended_by,
            open: *open,
            encoding: *encoding,
            ..Tlscope::default()
        },
        ..Document::default()
    }
}

/// Converts a loss.
pub(super) fn loss<'a>(line: &'a LossLine<'_>) -> Document<'a> {
    let LossLine {
        time,
        pid,
        process,
        connection,
        direction,
        position,
        bytes,
        cause,
    } = line;
    Document {
        timestamp: time.as_str(),
        event: own("tlscope.loss"),
        process: Some(of(*pid, process)),
        tlscope: Tlscope {
            connection: Some(&connection.id),
            direction: Some(direction),
            position: Some(*position),
            bytes: *bytes,
            cause: Some(cause),
            ..Tlscope::default()
        },
        ..Document::default()
    }
}

/// Converts a report on a ring, a table or an output.
pub(super) fn health(line: &HealthLine) -> Document<'_> {
    let HealthLine {
        time,
        subject,
        name,
        state,
        used,
        capacity,
        dropped,
    } = line;
    Document {
        timestamp: time.as_str(),
        event: own("tlscope.health"),
        tlscope: Tlscope {
            subject: Some(subject),
            name: *name,
            state: Some(state),
            used: *used,
            capacity: *capacity,
            dropped: *dropped,
            ..Tlscope::default()
        },
        ..Document::default()
    }
}

/// Converts a report on hooks.
pub(super) fn hooks<'a>(line: &'a HooksLine<'_>) -> Document<'a> {
    let HooksLine {
        time,
        subject,
        name,
        state,
        pid,
        process,
        tls,
        path,
        cause,
    } = line;
    Document {
        timestamp: time.as_str(),
        event: own("tlscope.health"),
        process: Some(of(*pid, process)),
        tlscope: Tlscope {
            tls: Some(tls.as_str()),
            subject: Some(subject),
            name: Some(name),
            state: Some(state),
            cause: Some(cause),
            path: Some(path),
            ..Tlscope::default()
        },
        ..Document::default()
    }
}

/// An event of tlscope itself.
fn own(dataset: &'static str) -> Event<'static> {
    Event {
        kind: "event",
        module: "tlscope",
        dataset,
        ..Event::default()
    }
}

const fn of(pid: u32, name: &str) -> Process<'_> {
    Process {
        pid,
        name,
        thread: None,
    }
}

/// Splits a version of TLS as ECS has it: `TLSv1.3` is `tls` and `1.3`.
fn version(name: &str) -> (Option<&'static str>, Option<&str>) {
    let tls = name.strip_prefix("TLSv").map(|number| (Some("tls"), Some(number)));
    let ssl = || name.strip_prefix("SSLv").map(|number| (Some("ssl"), Some(number)));
    tls.or_else(ssl).unwrap_or((None, Some(name)))
}
