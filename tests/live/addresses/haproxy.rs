//! haproxy, which uses custom BIOs for clients and servers.

use anyhow::Result;
use support::{Haproxy, LoggedExchange, Nginx, Tracer};

use super::claims::{CONNECTIONS, REQUESTS, assert_same, connections, load, stop_and_assert};

/// Traces haproxy under load. Returns its exchanges, as logged by the client and the backend.
fn trace(name: &str, haproxy: &Haproxy, nginx: &Nginx) -> Result<Vec<LoggedExchange>> {
    let tracer = Tracer::of(&[haproxy.master()], &[])?;
    let mut known = load(haproxy.port(), "/small/")?;
    known.extend(
        nginx
            .wait_for_exchanges(REQUESTS)?
            .into_iter()
            .map(LoggedExchange::by_peer),
    );
    let exchanges = stop_and_assert(name, tracer, &known)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    Ok(known)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_haproxy_has_the_addresses_in_its_log_on_both_sides() -> Result<()> {
    let nginx = Nginx::start()?;
    let haproxy = Haproxy::start(nginx.port(), 1)?;
    let known = trace("haproxy", &haproxy, &nginx)?;
    assert_same(&haproxy.wait_for_log(REQUESTS)?, &known);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn connections_that_move_between_threads_of_haproxy_keep_their_addresses() -> Result<()> {
    let nginx = Nginx::start()?;
    let haproxy = Haproxy::start(nginx.port(), 4)?;
    trace("haproxy with four threads", &haproxy, &nginx).map(drop)
}
