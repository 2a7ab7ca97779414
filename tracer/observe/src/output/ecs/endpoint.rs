//! The ends of a connection.

use std::net::{IpAddr, SocketAddr};

use super::document::{Endpoint, Network};
use crate::redact::ConnectionLine;

/// The ends of a connection: who asked, and who was asked.
pub(super) struct Ends<'a> {
    pub(super) client: Option<Endpoint<'a>>,
    pub(super) server: Option<Endpoint<'a>>,
    pub(super) network: Network,
}

impl<'a> Ends<'a> {
    /// Returns those of a connection; `side` is that of the traced process, if it is known. The client is the one that a proxy
    /// names.
    pub(super) fn of(connection: &'a ConnectionLine<'_>, side: Option<&str>, protocol: Option<&'static str>) -> Self {
        let local = connection.local.as_deref().map(endpoint);
        let remote = connection.remote.as_deref().map(endpoint);
        let some = remote.as_ref().or(local.as_ref());
        let kind = some
            .and_then(|end| end.ip)
            .map(|ip| if ip.is_ipv4() { "ipv4" } else { "ipv6" });
        let network = Network {
            transport: some.map(|end| if end.ip.is_some() { "tcp" } else { "unix" }),
            kind,
            protocol,
            direction: match side {
                Some("server") => Some("ingress"),
                Some(_) => Some("egress"),
                None => None,
            },
        };
        let proxied = connection.proxied.as_ref().map(|proxied| endpoint(&proxied.source));
        let (client, server) = match side {
            Some("client") => (local, remote),
            Some(_) | None => (proxied.or(remote), local),
        };
        Self {
            client,
            server,
            network,
        }
    }
}

fn endpoint(address: &str) -> Endpoint<'_> {
    match address.parse::<SocketAddr>() {
        Ok(parsed) => Endpoint {
            address,
            ip: Some(parsed.ip()),
            port: Some(parsed.port()),
        },
        Err(_no_port) => Endpoint {
            address,
            ip: address.parse::<IpAddr>().ok(),
            port: None,
        },
    }
}

/// Returns host and port of an authority. The host of IPv6 has no brackets, as ECS has it.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_not_a_port) => (authority, None),
        },
        _ => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}
