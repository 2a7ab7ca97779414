//! Node.js, whose requests wait for a free connection to the upstream server.

use anyhow::Result;
use support::{certificate::Certificate, program::Program};
use tempfile::TempDir;

use super::{
    trace::{Load, assert_joined_by_id, assert_joined_by_id_late, assert_true, trace, trace_late},
    upstream::{Carrier, Upstream},
};
use crate::claims::show;

const LOAD: Load<'_> = Load {
    path: "/app/same",
    ids: "own",
    connections: 20,
    each: 25,
};

/// Starts the gateway with a key in `directory`, and returns it with its port.
fn start(directory: &TempDir, upstream: &Upstream, carrier: Carrier) -> Result<(Program, u16)> {
    let Certificate { key, certificate } = Certificate::make(directory.path())?;
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let mut gateway = Program::node("gateway.js", &[&key, &certificate, &upstream.url(carrier)])?;
    gateway.begin()?;
    let port = gateway.wait_for("port ")?.parse()?;
    Ok((gateway, port))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ids_of_clients_join_each_request_of_node_with_that_to_its_upstream() -> Result<()> {
    let (directory, upstream) = (tempfile::tempdir()?, Upstream::start()?);
    for carrier in [Carrier::Tls, Carrier::Plain] {
        let (gateway, port) = start(&directory, &upstream, carrier)?;
        let hops = match carrier {
            Carrier::Tls => {
                let hops = trace_late(gateway.pid(), port, LOAD)?;
                assert_joined_by_id_late(&hops, LOAD);
                hops
            }
            Carrier::Plain => {
                let hops = trace(gateway.pid(), port, LOAD)?;
                assert_joined_by_id(&hops, LOAD);
                hops
            }
        };
        upstream.assert_asked(&hops, carrier);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn without_ids_nothing_of_node_is_joined_wrongly() -> Result<()> {
    let (directory, upstream) = (tempfile::tempdir()?, Upstream::start()?);
    let (gateway, port) = start(&directory, &upstream, Carrier::Tls)?;
    let load = Load {
        path: "/bare/same",
        ids: "none",
        ..LOAD
    };
    let hops = trace(gateway.pid(), port, load)?;
    let joined = assert_true(&hops, load.requests(), load.requests());
    show(&format!("Node.js: joined without ids, of {}", load.requests()), joined);
    Ok(())
}
