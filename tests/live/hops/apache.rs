//! Apache, with the ids of `mod_unique_id`, and without any.

use anyhow::Result;
use support::Apache;

use super::{
    trace::{Load, assert_joined_by_id, assert_true, trace, trace_late},
    upstream::{Carrier, Upstream},
};
use crate::claims::show;

/// The ids of `mod_unique_id`, which are also returned to clients.
const IDS: &str = "RequestHeader set X-Request-ID %{UNIQUE_ID}e
    Header set X-Request-ID %{UNIQUE_ID}e";

const LOAD: Load<'_> = Load {
    path: "/app/same",
    ids: "none",
    connections: 20,
    each: 25,
};

fn start(upstream: &Upstream, carrier: Carrier, lines: &str) -> Result<Apache> {
    let url = upstream.url(carrier);
    Apache::start_with(upstream.port(carrier), &format!("ProxyPass / {url}/\n{lines}"))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ids_of_apache_join_each_request_with_that_to_its_upstream() -> Result<()> {
    let upstream = Upstream::start()?;
    for carrier in [Carrier::Tls, Carrier::Plain] {
        let apache = start(&upstream, carrier, IDS)?;
        let hops = match carrier {
            Carrier::Tls => trace_late(apache.master(), apache.port(), LOAD)?,
            Carrier::Plain => trace(apache.master(), apache.port(), LOAD)?,
        };
        assert_joined_by_id(&hops, LOAD);
        upstream.assert_asked(&hops, carrier);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn without_ids_nothing_of_apache_is_joined_wrongly() -> Result<()> {
    let upstream = Upstream::start()?;
    let apache = start(&upstream, Carrier::Plain, "")?;
    let load = Load {
        path: "/bare/same",
        ..LOAD
    };
    let hops = trace(apache.master(), apache.port(), load)?;
    let joined = assert_true(&hops, load.requests(), load.requests());
    show(&format!("Apache: joined without ids, of {}", load.requests()), joined);
    Ok(())
}
