//! nginx, whose addresses are found by file descriptor.

use anyhow::Result;
use support::{LoggedExchange, Nginx, Tracer, nginx::Setup};

use super::claims::{CONNECTIONS, REQUESTS, assert_same, connections, load, stop_and_assert};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_nginx_has_the_addresses_in_its_log() -> Result<()> {
    let nginx = Nginx::start_with(Setup {
        // nginx before 1.23.4 does not enable TLS 1.3 by default.
        locations: "ssl_protocols TLSv1.2 TLSv1.3;",
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let requested = load(nginx.port(), "/small/")?;
    let logged = nginx.wait_for_exchanges(REQUESTS)?;
    assert_same(&logged, &requested);
    let exchanges = stop_and_assert("nginx", tracer, &logged)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_nginx_as_a_gateway_has_the_addresses_in_both_logs() -> Result<()> {
    let backend = Nginx::start()?;
    let proxied = format!(
        "location /proxied/ {{
            proxy_pass https://[::1]:{}/small/; proxy_http_version 1.1; proxy_set_header Connection '';
        }}",
        backend.port()
    );
    let nginx = Nginx::start_with(Setup {
        locations: &proxied,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    load(nginx.port(), "/proxied/")?;
    let mut logged = nginx.wait_for_exchanges(REQUESTS)?;
    logged.extend(
        backend
            .wait_for_exchanges(REQUESTS)?
            .into_iter()
            .map(LoggedExchange::by_peer),
    );
    stop_and_assert("nginx as a gateway", tracer, &logged).map(drop)
}
