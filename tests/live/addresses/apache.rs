//! Apache, whose BIOs end in its own filters: what it hands over is written after the TLS library's call.

use anyhow::Result;
use support::{Apache, Nginx, Told, Tracer};

use super::claims::{CONNECTIONS, REQUESTS, assert_same, connections, load, stop_and_assert};

fn trace(path: &str, asks: bool) -> Result<()> {
    let nginx = Nginx::start()?;
    let apache = Apache::start(nginx.port())?;
    let tracer = Tracer::of(&[apache.master()], &[])?;
    let known = load(apache.port(), path)?;
    let mut told = apache.wait_for_log(REQUESTS)?;
    assert_same(&told, &known);
    if asks {
        told.extend(nginx.wait_for_told(REQUESTS)?.into_iter().map(Told::by_peer));
    }
    let exchanges = stop_and_assert("Apache", tracer, &told)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_apache_has_the_addresses_in_its_log() -> Result<()> {
    trace("/small/", false)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_apache_as_a_gateway_has_the_addresses_in_both_logs() -> Result<()> {
    trace("/proxied/", true)
}
