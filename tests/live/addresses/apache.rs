//! Apache, whose custom BIOs end in filters, which write ciphertext after the call of the TLS library.

use anyhow::Result;
use support::{Apache, LoggedExchange, Nginx, Tracer};

use super::claims::{CONNECTIONS, REQUESTS, assert_same, connections, load, stop_and_assert};

fn trace(path: &str, asks: bool) -> Result<()> {
    let nginx = Nginx::start()?;
    let apache = Apache::start(nginx.port())?;
    let tracer = Tracer::of(&[apache.master()], &[])?;
    let known = load(apache.port(), path)?;
    let mut logged = apache.wait_for_log(REQUESTS)?;
    assert_same(&logged, &known);
    if asks {
        logged.extend(
            nginx
                .wait_for_exchanges(REQUESTS)?
                .into_iter()
                .map(LoggedExchange::by_peer),
        );
    }
    let exchanges = stop_and_assert("Apache", tracer, &logged)?;
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
