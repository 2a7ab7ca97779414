//! curl, which has a custom BIO since 7.87.

use anyhow::Result;
use support::{Apache, Exchange, LoggedExchange, Nginx, Tracer, curl::Waiting};

use super::claims::{CONNECTIONS, REQUESTS, assert_addresses, assert_same, hosts};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_curl_has_its_addresses() -> Result<()> {
    let nginx = Nginx::start()?;
    let curl = Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    let hosts = hosts()?;
    let address = |number: usize| format!("https://{}:{}/small/{number}", hosts[number % 2], nginx.port());
    let urls: Vec<_> = (0..REQUESTS).map(address).collect();
    let logged = curl.request_in_parallel(&urls, CONNECTIONS)?;
    let answered: Vec<_> = nginx
        .wait_for_exchanges(REQUESTS)?
        .into_iter()
        .map(LoggedExchange::by_peer)
        .collect();
    assert_same(&logged, &answered);
    let trace = tracer.finish()?;
    // The trace ends with curl.
    assert_eq!(trace.code, Some(1));
    assert_addresses("curl", &trace, &logged).map(drop)
}

fn ends(exchange: &Exchange) -> Option<(&str, &str)> {
    exchange
        .text("/connection/local")
        .zip(exchange.text("/connection/remote"))
}

/// The inner connection has no socket: the outer one encrypts and sends its ciphertext.
#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tunnelled_connection_has_the_addresses_of_its_socket_or_none() -> Result<()> {
    const TUNNELLED: usize = 20;
    let nginx = Nginx::start()?;
    let proxy = Apache::start(nginx.port())?;
    let curl = Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    let urls: Vec<_> = (0..TUNNELLED)
        .map(|number| nginx.url(&format!("/small/{number}")))
        .collect();
    let logged = curl.request_through(&format!("https://127.0.0.1:{}", proxy.port()), &urls)?;
    let trace = tracer.finish()?;
    let exchanges = trace.exchanges()?;
    let (outer, inner): (Vec<_>, Vec<_>) = exchanges
        .iter()
        .partition(|exchange| exchange.text("/request/method") == Some("CONNECT"));
    assert_eq!((logged.len(), outer.len(), inner.len()), (TUNNELLED, 1, TUNNELLED));
    let socket = logged.first().map(|one| (one.local.as_str(), one.remote.as_str()));
    for exchange in outer {
        assert_eq!(ends(exchange), socket, "{exchange:?}");
    }
    for exchange in inner {
        assert!(ends(exchange).is_none_or(|ends| Some(ends) == socket), "{exchange:?}");
    }
    Ok(())
}
