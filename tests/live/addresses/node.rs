//! Node.js: OpenSSL in the executable, or in a library in Debian's build; memory BIOs, and one event loop that sends
//! the ciphertext of all connections.

use anyhow::Result;
use support::{Nginx, certificate::Certificate, load::Busy, program::Program};
use tempfile::TempDir;

use super::claims::{CONNECTIONS, REQUESTS, assert_addresses, connections, hosts, trace_server};

/// Starts a server with a key in `directory`, optionally with a backend that it asks for each request.
fn start(directory: &TempDir, backend: &[&str]) -> Result<Program> {
    let Certificate { key, certificate } = Certificate::make(directory.path())?;
    let own = [
        key.display().to_string(),
        certificate.display().to_string(),
        hosts()?.join(","),
    ];
    let args: Vec<_> = own.iter().map(String::as_str).chain(backend.iter().copied()).collect();
    Program::node("server.js", &args)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_a_node_server_has_its_addresses() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (trace, logged) = trace_server(start(&directory, &[])?, REQUESTS)?;
    let exchanges = assert_addresses("Node.js", &trace, &logged)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    Ok(())
}

/// A busy machine brings the end of a handshake and the request together: the response then leaves in one message with the
/// session tickets, which begin it and are made before a call is seen.
#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_a_node_server_on_a_busy_machine_has_its_addresses() -> Result<()> {
    let _busy = Busy::start(3)?;
    let directory = tempfile::tempdir()?;
    for _ in 0..2 {
        let (trace, logged) = trace_server(start(&directory, &[])?, REQUESTS)?;
        assert_addresses("Node.js on a busy machine", &trace, &logged)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_exchange_has_the_addresses_of_another_connection_of_the_node_loop() -> Result<()> {
    let nginx = Nginx::start()?;
    let [_, host] = hosts()?;
    let directory = tempfile::tempdir()?;
    let (trace, logged) = trace_server(start(&directory, &[host, &nginx.port().to_string()])?, 2 * REQUESTS)?;
    assert_addresses(
        "Node.js between a client, a TLS server and a plain one",
        &trace,
        &logged,
    )
    .map(drop)
}
