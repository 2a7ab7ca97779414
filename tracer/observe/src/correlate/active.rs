//! How many requests are being answered, counted at a moment: nothing has to be kept for it.

use std::collections::BTreeMap;

use http_decode::{ActiveRequest, Side};

use super::{Connection, LibraryName, Process, connections::Connections};
use crate::event::Address;

/// The requests that have something in common and whose responses have not ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveRequests {
    /// The process that reads or sends them.
    pub process: Process,
    /// Its role.
    pub side: Side,
    /// Whether their connections are encrypted.
    pub is_encrypted: bool,
    /// Their method, if it is one in common use.
    pub method: Option<&'static str>,
    /// Internet address and port of the server, of requests that the process sends, if they are known.
    pub server: Option<String>,
    /// How many there are, at least one.
    pub count: u64,
}

/// Counts the requests that are active.
pub(super) fn count(connections: &Connections) -> Vec<ActiveRequests> {
    let mut counts = BTreeMap::new();
    for tracked in connections.iter() {
        for request in tracked.decoder.active_requests() {
            *counts.entry(key(&tracked.connection, request)).or_default() += 1;
        }
    }
    let active = |((pid, name, side, is_encrypted, method, server), count): (Key<'_>, u64)| ActiveRequests {
        process: Process {
            pid,
            name: name.to_owned(),
        },
        side,
        is_encrypted,
        method,
        server: server.map(str::to_owned),
        count,
    };
    counts.into_iter().map(active).collect()
}

type Key<'a> = (u32, &'a str, Side, bool, Option<&'static str>, Option<&'a str>);

fn key(connection: &Connection, request: ActiveRequest) -> Key<'_> {
    let Process { pid, name } = &connection.process;
    let is_encrypted = connection.tls != LibraryName::NONE;
    let server = match &connection.remote {
        Some(Address::Inet(remote)) if request.side == Side::Client => Some(remote.as_str()),
        Some(Address::Inet(_) | Address::Unix(_) | Address::Abstract(_)) | None => None,
    };
    (*pid, name, request.side, is_encrypted, request.method, server)
}
