//! Python asyncio: memory BIOs, and one event loop that sends the ciphertext of all connections.

use anyhow::Result;
use support::{Nginx, program::Program};

use super::claims::{CONNECTIONS, REQUESTS, assert_addresses, connections, hosts, trace_server};

/// Starts a server, optionally with a backend that it asks for each request.
fn start(backend: &[&str]) -> Result<Program> {
    Program::python("asyncio_server.py", &[&[hosts()?.join(",").as_str()], backend].concat())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_an_asyncio_server_has_its_addresses() -> Result<()> {
    let (trace, logged) = trace_server(start(&[])?, REQUESTS)?;
    let exchanges = assert_addresses("asyncio", &trace, &logged)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_exchange_has_the_addresses_of_another_connection_of_the_asyncio_loop() -> Result<()> {
    let nginx = Nginx::start()?;
    let [_, host] = hosts()?;
    let (trace, logged) = trace_server(start(&[host, &nginx.port().to_string()])?, 2 * REQUESTS)?;
    assert_addresses(
        "asyncio between a client, a TLS server and a plain one",
        &trace,
        &logged,
    )
    .map(drop)
}
