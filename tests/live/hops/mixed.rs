//! nginx in front of upstream servers of several kinds.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use support::{Nginx, nginx::Setup, program::Program};

use super::{
    trace::{Hop, Load, assert_joined_by_id, trace, trace_late},
    upstream::{Carrier, Upstream},
};

const LOAD: Load<'_> = Load {
    path: "/app/NUMBER",
    ids: "none",
    connections: 50,
    each: 40,
};

/// The ids of nginx, and kept connections to its upstream servers.
const IDS: &str = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Request-ID $request_id;
    proxy_hide_header X-Request-ID;";

/// Starts nginx with these locations, and these groups of upstream servers.
fn start(locations: &str, servers: &str) -> Result<Nginx> {
    Nginx::start_with(Setup {
        locations: &format!("{IDS} {locations}"),
        servers,
        ..Setup::default()
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_request_is_joined_with_that_to_the_upstream_that_it_went_to_with_tls_or_without() -> Result<()> {
    let upstreams = [Upstream::start()?, Upstream::start()?];
    let [one, other] = upstreams.each_ref().map(|upstream| upstream.port(Carrier::Plain));
    let secure = upstreams[0].port(Carrier::Tls);
    // Even requests go to either plain server, and odd ones to that with TLS.
    let nginx = start(
        "location ~ [02468]$ { proxy_pass http://plain; } location ~ [13579]$ { proxy_pass https://secure; }",
        &format!(
            "upstream plain {{ server 127.0.0.1:{one}; server 127.0.0.1:{other}; keepalive 32; }}
            upstream secure {{ server 127.0.0.1:{secure}; keepalive 32; }}"
        ),
    )?;
    let hops = trace(nginx.master(), nginx.port(), LOAD)?;
    assert_joined_by_id(&hops, LOAD);
    let mut asked = BTreeSet::new();
    for hop in &hops {
        let exchange = hop.upstreams().pop().context("no upstream exchange")?;
        let is_even = exchange
            .text("/request/path")
            .is_some_and(|path| path.ends_with(['0', '2', '4', '6', '8']));
        let tls = if is_even { "none" } else { "openssl" };
        assert_eq!(exchange.text("/tls"), Some(tls), "{exchange:?}");
        let remote = exchange.text("/connection/remote").context("no address")?;
        asked.insert((is_even, remote.to_owned()));
    }
    let expected = [(true, one), (true, other), (false, secure)];
    let expected = expected.map(|(is_even, port)| (is_even, format!("127.0.0.1:{port}")));
    assert_eq!(asked, BTreeSet::from(expected));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_request_is_joined_with_that_to_a_server_on_a_unix_socket() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("upstream.sock").display().to_string();
    let mut server = Program::python("plain.py", &[&socket])?;
    server.begin()?;
    server.wait_for("listens")?;
    let nginx = start(
        "add_header X-Request-ID $request_id; location /app/ { proxy_pass http://kept/small/; }",
        &format!("upstream kept {{ server unix:{socket}; keepalive 32; }}"),
    )?;
    let load = Load {
        connections: 20,
        each: 25,
        ..LOAD
    };
    let hops = trace_late(nginx.master(), nginx.port(), load)?;
    assert_joined_by_id(&hops, load);
    for exchange in hops.iter().flat_map(Hop::upstreams) {
        assert_eq!(exchange.text("/tls"), Some("none"), "{exchange:?}");
    }
    Ok(())
}
