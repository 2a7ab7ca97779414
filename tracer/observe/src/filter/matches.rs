//! Which lines match the flags that select by a property of a line.

use std::{net::SocketAddr, time::Duration};

use http_decode::Ended;

use super::args::{FilterArgs, Statuses};
use crate::{
    correlate::Interest,
    event::Address,
    redact::{ConnectionLine, ExchangeLine},
};

impl FilterArgs {
    /// Returns whether an exchange matches all flags.
    pub(super) fn match_exchange(&self, exchange: &ExchangeLine<'_>) -> bool {
        let Self {
            side,
            methods,
            hosts,
            paths,
            statuses,
            headers,
            local_ports: _,
            remotes: _,
            request_ids,
            errors,
            slower_than,
            sample: _,
            rate_limit: _,
        } = self;
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        side.is_none_or(|side| side.word() == exchange.side)
            && any(
                methods,
                || request.and_then(|request| request.method.as_deref()),
                |wanted, method| wanted.eq_ignore_ascii_case(method),
            )
            && any(
                hosts,
                || request.and_then(|request| request.authority.as_deref()),
                |glob, authority| glob.matches(host(authority).as_bytes()),
            )
            && any(
                paths,
                || request.and_then(|request| request.path.as_deref()),
                regex::Regex::is_match,
            )
            && any(
                statuses,
                || response.and_then(|response| response.status),
                Statuses::contains,
            )
            && headers.iter().all(|header| header.is_in(exchange))
            && self.match_addresses(&exchange.connection)
            && any(
                request_ids,
                || exchange.request_id.as_deref(),
                |wanted, id| wanted == id,
            )
            && (!errors || is_error(exchange))
            && slower_than.is_none_or(|least| is_slower(exchange, least))
    }

    /// Returns whether a connection matches the flags that select by addresses, if there are no others that select by a
    /// property of exchanges, which connections do not have.
    pub(super) fn match_connection(&self, connection: &ConnectionLine<'_>) -> bool {
        let Self {
            side,
            methods,
            hosts,
            paths,
            statuses,
            headers,
            local_ports: _,
            remotes: _,
            request_ids,
            errors,
            slower_than,
            sample: _,
            rate_limit: _,
        } = self;
        side.is_none()
            && methods.is_empty()
            && hosts.is_empty()
            && paths.is_empty()
            && statuses.is_empty()
            && headers.is_empty()
            && request_ids.is_empty()
            && !errors
            && slower_than.is_none()
            && self.match_addresses(connection)
    }

    /// Returns which connections may have exchanges that match, if the flags select by side or addresses.
    pub(super) fn interest(&self) -> Option<Interest> {
        if self.side.is_none() && self.local_ports.is_empty() && self.remotes.is_empty() {
            return None;
        }
        let (side, local_ports, remotes) = (self.side, self.local_ports.clone(), self.remotes.clone());
        Some(Interest::new(move |connection, own_side| {
            let local = connection.local.as_ref();
            let client = match &connection.proxied {
                Some(proxied) => Some(proxied.source),
                None => connection.remote.as_ref().and_then(Address::inet),
            };
            side.is_none_or(|side| side.word() == own_side.name())
                && any(
                    &local_ports,
                    || local.and_then(Address::inet),
                    |port, local| *port == local.port(),
                )
                && any(&remotes, || client, |network, client| network.contains(client.ip()))
        }))
    }

    fn match_addresses(&self, connection: &ConnectionLine<'_>) -> bool {
        any(
            &self.local_ports,
            || parse(connection.local.as_deref()),
            |port, local: SocketAddr| *port == local.port(),
        ) && any(
            &self.remotes,
            || client(connection),
            |network, remote| network.contains(remote.ip()),
        )
    }
}

/// Returns whether a value matches any of the wanted ones, or none are given.
fn any<W, T: Copy>(wanted: &[W], value: impl FnOnce() -> Option<T>, matches: impl Fn(&W, T) -> bool) -> bool {
    wanted.is_empty() || value().is_some_and(|value| wanted.iter().any(|wanted| matches(wanted, value)))
}

/// Returns the host of an authority, without userinfo and port.
pub(crate) fn host(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns the address of the peer: that of the client if a proxy in front of the traced process names it in a header of the
/// PROXY protocol, else that of the socket.
fn client(connection: &ConnectionLine<'_>) -> Option<SocketAddr> {
    match &connection.proxied {
        Some(proxied) => parse(Some(&proxied.source)),
        None => parse(connection.remote.as_deref()),
    }
}

/// Parses an address as lines have it. That of a UNIX socket is `None`.
fn parse(address: Option<&str>) -> Option<SocketAddr> {
    address?.parse().ok()
}

/// Returns whether an exchange failed: by its status, by that of gRPC, or because it ended before its response did.
fn is_error(exchange: &ExchangeLine<'_>) -> bool {
    let status = exchange.response.as_ref().and_then(|response| response.status);
    let ended_early = [Ended::Reset, Ended::Closed].map(|ended| Some(ended.name()));
    status.is_some_and(|status| status >= FIRST_ERROR)
        || exchange.grpc_status.is_some_and(|status| status != 0)
        || ended_early.contains(&exchange.ended)
}

/// The first status of an error (RFC 9110 section 15.5).
const FIRST_ERROR: u16 = 400;

fn is_slower(exchange: &ExchangeLine<'_>, least: Duration) -> bool {
    match exchange.duration_us {
        Some(duration_us) => Duration::from_micros(duration_us) > least,
        None => exchange.ended.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_port_and_no_userinfo() {
        for (authority, wanted) in [
            ("a.test:8443", "a.test"),
            ("[redacted]@a.test", "a.test"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host(authority), wanted);
        }
    }
}
