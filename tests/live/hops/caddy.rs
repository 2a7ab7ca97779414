//! Caddy, whose goroutines move between threads.

use anyhow::Result;
use support::go_server::{Release, Server};

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

fn start(upstream: &Upstream, carrier: Carrier) -> Result<Server> {
    let transport = match carrier {
        Carrier::Tls => "tls_insecure_skip_verify\n   versions 1.1",
        Carrier::Plain => "versions 1.1",
    };
    Server::caddy_before(Release::Caddy2_6, &upstream.url(carrier), transport)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ids_of_clients_join_each_request_of_caddy_with_that_to_its_upstream() -> Result<()> {
    let upstream = Upstream::start()?;
    for carrier in [Carrier::Tls, Carrier::Plain] {
        let caddy = start(&upstream, carrier)?;
        let hops = match carrier {
            Carrier::Tls => {
                let hops = trace_late(caddy.pid(), caddy.port(), LOAD)?;
                assert_joined_by_id_late(&hops, LOAD);
                hops
            }
            Carrier::Plain => {
                let hops = trace(caddy.pid(), caddy.port(), LOAD)?;
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
fn without_ids_nothing_of_caddy_is_joined_wrongly() -> Result<()> {
    let upstream = Upstream::start()?;
    let caddy = start(&upstream, Carrier::Tls)?;
    let load = Load {
        path: "/bare/same",
        ids: "none",
        ..LOAD
    };
    let hops = trace(caddy.pid(), caddy.port(), load)?;
    let joined = assert_true(&hops, load.requests(), load.requests());
    show(&format!("Caddy: joined without ids, of {}", load.requests()), joined);
    Ok(())
}
