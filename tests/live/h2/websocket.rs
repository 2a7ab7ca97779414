//! Web sockets: the exchange that opens one is printed. Its frames are not printed, and cause no errors.

use anyhow::{Context as _, Result};
use support::{Exchange, Nghttpx, Nginx, Tracer, nginx::Setup, program::Program, secrets::MARK};

use super::claims::{assert_known, assert_no_complaint};

/// Traces a gateway while a client uses a WebSocket. Returns the only exchange.
fn trace_talk(gateway: &[u32], port: u16, version: &str, path: &str) -> Result<Exchange> {
    let tracer = Tracer::of(gateway, &["--no-plaintext"])?;
    let mut client = Program::python("websocket.py", &["client", &port.to_string(), version, path])?;
    client.begin()?;
    client.wait_for("done")?;
    client.finish()?;
    tracer.wait_for_lines(1)?;
    let trace = tracer.stop()?;
    assert_eq!((trace.code, trace.totals()?.half), (Some(0), 0));
    assert_no_complaint(&trace)?;
    assert!(!trace.everything().contains(MARK), "frames are not printed");
    let mut exchanges = trace.exchanges()?;
    let exchange = exchanges.pop().context("no exchange is printed")?;
    assert_eq!((exchanges.len(), trace.stdout.len()), (0, 1));
    assert_known(&exchange);
    assert_eq!(exchange.text("/ended"), Some("upgraded"), "{exchange:?}");
    assert_eq!(exchange.text("/request/path"), Some(path), "{exchange:?}");
    Ok(exchange)
}

fn backend() -> Result<(Program, String)> {
    let mut backend = Program::python("websocket.py", &["backend"])?;
    backend.begin()?;
    let port = backend.wait_for("port ")?;
    Ok((backend, port))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_upgrade_over_http_1_1_is_one_exchange() -> Result<()> {
    let (backend, port) = backend()?;
    let locations = format!(
        "location /ws/ {{
            proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }}"
    );
    let nginx = Nginx::start_with(Setup {
        locations: &locations,
        workers: Some(1),
        ..Setup::default()
    })?;
    let exchange = trace_talk(&nginx.workers()?, nginx.port(), "http/1.1", "/ws/talk")?;
    assert_eq!(exchange.text("/protocol"), Some("http/1.1"), "{exchange:?}");
    assert_eq!(exchange.number("/response/status"), Some(101), "{exchange:?}");
    assert_eq!(exchange.response_header("upgrade"), Some("websocket"), "{exchange:?}");
    assert!(backend.finish()?.contains(&"upgraded /ws/talk".to_owned()));
    Ok(())
}

/// Asserts an extended CONNECT (RFC 8441).
fn assert_extended_connect(exchange: &Exchange) {
    assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
    assert_eq!(exchange.text("/request/method"), Some("CONNECT"), "{exchange:?}");
    assert_eq!(
        exchange.text("/request/protocol_upgrade"),
        Some("websocket"),
        "{exchange:?}"
    );
    assert_eq!(exchange.text("/request/scheme"), Some("https"), "{exchange:?}");
    assert_eq!(exchange.text("/request/authority"), Some("localhost"), "{exchange:?}");
    assert_eq!(exchange.number("/response/status"), Some(200), "{exchange:?}");
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_extended_connect_through_a_gateway_is_one_exchange() -> Result<()> {
    let (backend, port) = backend()?;
    let nghttpx = Nghttpx::start(&[&format!("127.0.0.1,{port}")])?;
    let exchange = trace_talk(&[nghttpx.master()], nghttpx.port(), "h2", "/ws/talk")?;
    assert_extended_connect(&exchange);
    assert!(backend.finish()?.contains(&"upgraded /ws/talk".to_owned()));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_extended_connect_to_a_server_is_one_exchange() -> Result<()> {
    let mut server = Program::python("http2_server.py", &[])?;
    server.begin()?;
    let port = server.wait_for("port ")?.parse()?;
    let exchange = trace_talk(&[server.pid()], port, "h2", "/ws/talk")?;
    assert_extended_connect(&exchange);
    assert!(server.finish()?.contains(&"served /ws/talk".to_owned()));
    Ok(())
}
