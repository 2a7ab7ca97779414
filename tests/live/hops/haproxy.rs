//! haproxy, with ids that it makes, and without any.

use anyhow::Result;
use support::{Haproxy, haproxy::Setup};

use super::{
    trace::{Hop, Load, assert_joined_by_id, assert_true, trace, trace_late},
    upstream::{Carrier, Upstream},
};
use crate::claims::show;

/// Ids of haproxy, as in its manual, which it also returns to clients.
const IDS: &str = "option forwardfor
    unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
    unique-id-header X-Request-ID
    http-response set-header X-Request-ID %[unique-id]";

const LOAD: Load<'_> = Load {
    path: "/app/same",
    ids: "none",
    connections: 50,
    each: 40,
};

fn start(upstream: &Upstream, carrier: Carrier, threads: usize, frontend: &str) -> Result<Haproxy> {
    Haproxy::start_with(Setup {
        backend: upstream.port(carrier),
        is_secure: carrier == Carrier::Tls,
        threads,
        frontend,
    })
}

/// Asserts that the ids of haproxy join everything.
fn assert_ids_join(hops: &[Hop], upstream: &Upstream, carrier: Carrier) {
    assert_joined_by_id(hops, LOAD);
    upstream.assert_asked(hops, carrier);
    for hop in hops {
        let added = hop.0["upstreams"][0]["request_diff"]["added"].to_string();
        assert!(
            added.contains("x-forwarded-for") && added.contains("x-request-id"),
            "{added}"
        );
    }
}

/// Traces haproxy without ids: nothing may be joined wrongly.
fn nothing_is_wrong(carrier: Carrier, threads: usize, path: &str) -> Result<()> {
    let upstream = Upstream::start()?;
    let haproxy = start(&upstream, carrier, threads, "")?;
    let load = Load { path, ..LOAD };
    let hops = trace(haproxy.master(), haproxy.port(), load)?;
    let joined = assert_true(&hops, load.requests(), load.requests());
    let what = format!("haproxy, {carrier:?}, {threads} threads, {path}: joined without ids");
    show(&format!("{what}, of {}", load.requests()), joined);
    for hop in &hops {
        let is_alone = hop.0.get("downstream").is_none();
        assert!(!is_alone || hop.0.get("candidates").is_some(), "{}", hop.0);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ids_of_haproxy_join_each_request_with_that_to_an_upstream_with_tls() -> Result<()> {
    let upstream = Upstream::start()?;
    let haproxy = start(&upstream, Carrier::Tls, 2, IDS)?;
    let hops = trace(haproxy.master(), haproxy.port(), LOAD)?;
    assert_ids_join(&hops, &upstream, Carrier::Tls);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ids_of_haproxy_join_each_request_with_that_to_an_upstream_without_tls() -> Result<()> {
    let upstream = Upstream::start()?;
    let haproxy = start(&upstream, Carrier::Plain, 2, IDS)?;
    let hops = trace_late(haproxy.master(), haproxy.port(), LOAD)?;
    assert_ids_join(&hops, &upstream, Carrier::Plain);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn without_ids_nothing_of_haproxy_is_joined_wrongly() -> Result<()> {
    nothing_is_wrong(Carrier::Tls, 1, "/bare/same")?;
    nothing_is_wrong(Carrier::Plain, 4, "/bare/same")?;
    nothing_is_wrong(Carrier::Plain, 1, "/bare/NUMBER")
}
