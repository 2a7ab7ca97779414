//! HTTP without TLS: what gateways send to their upstreams, and servers that have no TLS at all.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;
use support::{
    Exchange, Haproxy, LoggedExchange, Nginx, Trace, Tracer, curl,
    h2load::{H2load, Load},
    loopback::free_port,
    nginx::Setup,
    program::Program,
};

use crate::{
    addresses::claims::{CONNECTIONS, REQUESTS, assert_addresses, connections, load},
    claims::assert_nothing_lost,
};

/// Bytes of the body of a large response.
const LARGE: u64 = 3 * 1024 * 1024;

/// Starts an nginx that also listens without TLS.
fn upstream(port: u16) -> Result<Nginx> {
    Nginx::start_with(Setup {
        locations: &format!("listen 127.0.0.1:{port}; listen [::1]:{port};"),
        ..Setup::default()
    })
}

/// Splits exchanges by whether they carry TLS, and asserts the role of the gateway on either side.
fn by_side(exchanges: Vec<Exchange>) -> (Vec<Exchange>, Vec<Exchange>) {
    let (plain, tls): (Vec<_>, Vec<_>) = exchanges
        .into_iter()
        .partition(|exchange| exchange.text("/tls") == Some("none"));
    for (exchanges, tls, scheme, side) in [(&plain, "none", "http", "client"), (&tls, "openssl", "https", "server")] {
        for exchange in exchanges {
            assert_eq!(exchange.text("/tls"), Some(tls), "{exchange:?}");
            assert_eq!(exchange.text("/request/scheme"), Some(scheme), "{exchange:?}");
            assert_eq!(exchange.text("/side"), Some(side), "{exchange:?}");
            assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
        }
    }
    (plain, tls)
}

/// Traces an nginx with TLS in front of one without, and asserts that each request is printed once on each side, with the
/// addresses in both logs. Returns the exchanges without TLS.
fn trace_gateway(name: &str, location: impl Fn(u16) -> String) -> Result<Vec<Exchange>> {
    let port = free_port()?;
    let backend = upstream(port)?;
    let gateway = Nginx::start_with(Setup {
        locations: &location(port),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[gateway.master()], &[])?;
    load(gateway.port(), "/proxied/")?;
    let mut logged = gateway.wait_for_exchanges(REQUESTS)?;
    let asked = backend.wait_for_exchanges(REQUESTS)?;
    logged.extend(asked.into_iter().map(LoggedExchange::by_peer));
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let (plain, tls) = by_side(assert_addresses(name, &trace, &logged)?);
    assert_eq!((plain.len(), tls.len()), (REQUESTS, REQUESTS));
    assert_eq!(connections(&tls, "server"), CONNECTIONS);
    for exchange in &plain {
        assert_eq!(exchange.text("/connection/source"), Some("socket"), "{exchange:?}");
    }
    Ok(plain)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_request_to_an_upstream_over_a_connection_of_its_own_is_seen_on_both_sides() -> Result<()> {
    let plain = trace_gateway("nginx, a connection for each request", |port| {
        format!("location /proxied/ {{ proxy_pass http://[::1]:{port}/small/; proxy_http_version 1.1; }}")
    })?;
    assert_eq!(connections(&plain, "client"), REQUESTS);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_request_to_an_upstream_over_kept_connections_is_seen_on_both_sides() -> Result<()> {
    let other = free_port()?;
    let plain = trace_gateway("nginx, kept connections", |port| {
        format!(
            "location /proxied/ {{
                proxy_pass http://kept/small/; proxy_http_version 1.1; proxy_set_header Connection '';
            }}
            }} upstream kept {{ server 127.0.0.1:{port}; keepalive 32; }} server {{ listen 127.0.0.1:{other};"
        )
    })?;
    assert!(connections(&plain, "client") < REQUESTS / 2);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_request_of_haproxy_to_an_upstream_is_seen_on_both_sides() -> Result<()> {
    let port = free_port()?;
    let backend = upstream(port)?;
    let haproxy = Haproxy::start_before_plain(port, 1)?;
    let tracer = Tracer::of(&[haproxy.master()], &[])?;
    load(haproxy.port(), "/small/")?;
    let logged = haproxy.wait_for_log(REQUESTS)?;
    assert_eq!(backend.wait_for_exchanges(REQUESTS)?.len(), REQUESTS);
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let (plain, tls) = by_side(assert_addresses("haproxy", &trace, &logged)?);
    assert_eq!((plain.len(), tls.len()), (REQUESTS, REQUESTS));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn http_2_without_tls_is_seen_from_its_preface_on() -> Result<()> {
    const REQUESTS: usize = 1_000;
    let port = free_port()?;
    let server = Nginx::start_with(Setup {
        locations: &format!("listen 127.0.0.1:{port} http2;"),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[server.master()], &[])?;
    let load = Load::of(REQUESTS, "/small/NUMBER");
    H2load::start(&format!("http://127.0.0.1:{port}"), load)?.finish()?;
    tracer.wait_for_lines(REQUESTS)?;
    let plain = plain_exchanges(&tracer.stop()?, REQUESTS)?;
    assert_eq!(plain.len(), REQUESTS);
    for exchange in &plain {
        assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
        assert_eq!(exchange.text("/side"), Some("server"), "{exchange:?}");
        assert_eq!(exchange.text("/request/scheme"), Some("http"), "{exchange:?}");
        assert_eq!(exchange.number("/response/body_bytes"), Some(6), "{exchange:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn http_2_without_tls_is_joined_in_the_middle_of_its_connections() -> Result<()> {
    const BEFORE: usize = 200;
    const AFTER: usize = 2_000;
    const CONNECTIONS: usize = 4;
    let port = free_port()?;
    let server = Nginx::start_with(Setup {
        locations: &format!("listen 127.0.0.1:{port} http2;"),
        ..Setup::default()
    })?;
    let load = Load {
        connections: CONNECTIONS,
        streams: 4,
        ..Load::of(10_000_000, "/small/NUMBER")
    };
    let load = H2load::start(&format!("http://127.0.0.1:{port}"), load)?;
    server.wait_until_logged(BEFORE)?;
    let tracer = Tracer::of(&[server.master()], &[])?;
    tracer.wait_for_lines(AFTER)?;
    load.kill()?;
    let exchanges = tracer.stop()?.exchanges()?;
    let connections: BTreeSet<_> = exchanges
        .iter()
        .map(|exchange| exchange.text("/connection/id"))
        .collect();
    assert_eq!(connections.len(), CONNECTIONS);
    for exchange in &exchanges {
        assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
        assert_eq!(exchange.text("/side"), Some("server"), "{exchange:?}");
        let path = exchange.text("/request/path");
        assert!(path.is_none_or(|path| path.starts_with("/small/")), "{exchange:?}");
        let status = exchange.number("/response/status");
        assert!(status.is_none_or(|status| status == 200), "{exchange:?}");
        if exchange.is_whole() && exchange.text("/ended") == Some("complete") {
            assert_eq!(exchange.number("/response/body_bytes"), Some(6), "{exchange:?}");
        }
    }
    let known = exchanges
        .iter()
        .filter(|exchange| exchange.text("/request/path").is_some());
    assert!(known.count() >= AFTER / 2, "most paths are sent literally");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn another_protocol_is_left_alone() -> Result<()> {
    let mut program = Program::c("pingpong.c", &[])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.send_line("10000")?;
    program.wait_for("ns ")?;
    let trace = tracer.stop()?;
    assert_eq!(trace.exchanges()?.len(), 0);
    assert_nothing_lost(&trace, 0)?;
    program.finish().map(drop)
}

/// Returns the exchanges without TLS of a trace, and asserts that nothing was lost.
fn plain_exchanges(trace: &Trace, in_all: usize) -> Result<Vec<Exchange>> {
    assert_nothing_lost(trace, in_all)?;
    let mut exchanges = trace.exchanges()?;
    exchanges.retain(|exchange| exchange.text("/tls") == Some("none"));
    Ok(exchanges)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_upstream_behind_a_unix_socket_is_seen() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("upstream.sock").display().to_string();
    let mut server = Program::python("plain.py", &[&socket])?;
    server.begin()?;
    server.wait_for("listens")?;
    let gateway = Nginx::start_with(Setup {
        locations: &format!("location /proxied/ {{ proxy_pass http://unix:{socket}:/; proxy_http_version 1.1; }}"),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[gateway.master()], &[])?;
    for number in 0..20 {
        curl::request(&[&gateway.url(&format!("/proxied/small/{number}"))])?;
    }
    tracer.wait_for_lines(40)?;
    let plain = plain_exchanges(&tracer.stop()?, 40)?;
    assert_eq!(plain.len(), 20);
    for exchange in &plain {
        assert_eq!(exchange.text("/side"), Some("client"), "{exchange:?}");
        let remote = format!("unix:{socket}");
        assert_eq!(exchange.text("/connection/remote"), Some(&*remote), "{exchange:?}");
        assert_eq!(exchange.number("/response/body_bytes"), Some(6), "{exchange:?}");
    }
    server.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_response_that_ends_with_its_unix_socket_ends_with_that() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("upstream.sock").display().to_string();
    let mut server = Program::python("plain.py", &[&socket])?;
    server.begin()?;
    server.wait_for("listens")?;
    let gateway = Nginx::start_with(Setup {
        locations: &format!("location /proxied/ {{ proxy_pass http://unix:{socket}:/; proxy_http_version 1.1; }}"),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[gateway.master(), server.pid()], &[])?;
    tracer.wait_for_message(&["HTTP without TLS is traced"])?;
    for number in 0..10 {
        curl::request(&[&gateway.url(&format!("/proxied/ends/{number}"))])?;
    }
    tracer.wait_for_lines(30)?;
    // Without kprobes, a line may come after `--hold`, before the end is seen. scripts/test-vm boots a kernel that has them.
    let has_kprobes = Path::new("/sys/bus/event_source/devices/kprobe").exists();
    for exchange in &plain_exchanges(&tracer.stop()?, 30)? {
        let ended = exchange.text("/ended");
        assert!(
            ended == Some("complete") || !has_kprobes && ended.is_none(),
            "{exchange:?}"
        );
        assert_eq!(exchange.number("/response/body_bytes"), Some(6), "{exchange:?}");
    }
    server.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_server_without_tls_is_traced_by_itself() -> Result<()> {
    let mut server = Program::python("plain.py", &[])?;
    server.begin()?;
    let port = server.wait_for("port ")?;
    let tracer = Tracer::of(&[server.pid()], &[])?;
    tracer.wait_for_message(&["HTTP without TLS is traced"])?;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    // The body of a large response is sent from a file, which no program reads.
    curl::request(&[&url("/small/1"), &url("/large/2"), &url("/small/3")])?;
    tracer.wait_for_lines(3)?;
    let trace = tracer.stop()?;
    let totals = trace.totals()?;
    assert_eq!((totals.exchanges, totals.half, totals.lost_bytes), (3, 0, 0));
    let seen: Vec<_> = trace
        .exchanges()?
        .iter()
        .map(|exchange| {
            assert_eq!(exchange.text("/side"), Some("server"), "{exchange:?}");
            assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
            let path = exchange.text("/request/path").unwrap_or_default().to_owned();
            (path, exchange.number("/response/body_bytes"))
        })
        .collect();
    let expected = [("/small/1", 6), ("/large/2", LARGE), ("/small/3", 6)];
    assert_eq!(seen, expected.map(|(path, bytes)| (path.to_owned(), Some(bytes))));
    server.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_connection_older_than_the_trace_is_seen_from_its_next_request_on() -> Result<()> {
    let mut server = Program::python("plain.py", &[])?;
    server.begin()?;
    let port = server.wait_for("port ")?;
    let mut client = Program::python("plain_client.py", &[&port])?;
    client.begin()?;
    client.wait_for("asked 0")?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], &[])?;
    client.send_line("again")?;
    client.wait_for("asked 1")?;
    tracer.wait_for_lines(2)?;
    let plain = plain_exchanges(&tracer.stop()?, 2)?;
    let mut sides: Vec<_> = plain.iter().filter_map(|exchange| exchange.text("/side")).collect();
    sides.sort_unstable();
    assert_eq!(sides, ["client", "server"]);
    for exchange in &plain {
        assert_eq!(exchange.text("/request/path"), Some("/small/1"), "{exchange:?}");
    }
    client.finish()?;
    server.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn nothing_without_tls_is_captured_if_that_is_turned_off() -> Result<()> {
    let port = free_port()?;
    let server = upstream(port)?;
    let tracer = Tracer::of(&[server.master()], &["--no-plaintext"])?;
    curl::request(&[&format!("http://127.0.0.1:{port}/small/1")])?;
    curl::request(&[&server.url("/small/2")])?;
    tracer.wait_for_lines(1)?;
    let exchanges = tracer.stop()?.exchanges()?;
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].text("/request/path"), Some("/small/2"));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn what_follows_bytes_that_splice_has_moved_is_seen() -> Result<()> {
    let mut server = Program::python("plain.py", &[])?;
    server.begin()?;
    let port = server.wait_for("port ")?;
    let tracer = Tracer::of(&[server.pid()], &[])?;
    let content = tempfile::NamedTempFile::new()?;
    fs::write(content.path(), vec![b'u'; 300_000])?;
    let data = format!("@{}", content.path().display());
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    curl::request(&[
        "--data-binary",
        &data,
        "-H",
        "Expect:",
        &url("/spliced"),
        &url("/spliced"),
    ])?;
    // The content is missed once more is read on the connection.
    tracer.wait_for_lines(3)?;
    let trace = tracer.stop()?;
    let exchanges = trace.exchanges()?;
    assert_eq!((exchanges.len(), trace.totals()?.half), (2, 0));
    for exchange in &exchanges {
        assert_eq!(exchange.number("/response/status"), Some(200), "{exchange:?}");
    }
    server.finish().map(drop)
}
