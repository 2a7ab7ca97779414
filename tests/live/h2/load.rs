//! Gateways under HTTP/2 load, compared with their access logs.

use anyhow::Result;
use support::{
    Exchange, Nginx, Tracer, curl,
    h2load::{H2load, Load},
    nginx::Setup,
    wrk::{self, Wrk},
};

use super::claims::{assert_http2, assert_no_complaint};
use crate::claims::{assert_bodies, assert_facts_of_client, assert_facts_of_server, assert_same_requests, stop_after};

/// One worker, since tlscope attaches to and detaches from fewer processes faster.
fn one_worker() -> Setup<'static> {
    Setup {
        workers: Some(1),
        ..Setup::default()
    }
}

/// Traces processes during loads, one after the other. Asserts that the exchanges match the log, and returns them.
fn trace_loads(nginx: &Nginx, pids: &[u32], loads: &[Load<'_>]) -> Result<Vec<Exchange>> {
    let tracer = Tracer::of(pids, &[])?;
    for load in loads {
        H2load::start(&nginx.url(""), *load)?.finish()?;
    }
    let (trace, log) = stop_after(tracer, nginx, loads.iter().map(|load| load.requests).sum())?;
    assert_no_complaint(&trace)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, nginx)?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, 0, 6);
    Ok(exchanges)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_a_thousand_open_streams_is_printed_once() -> Result<()> {
    let nginx = Nginx::start()?;
    trace_loads(&nginx, &nginx.workers()?, &[Load::of(50_000, "/small/NUMBER")]).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn fields_are_known_with_any_size_of_the_hpack_table() -> Result<()> {
    let nginx = Nginx::start_with(one_worker())?;
    // A table of 128 bytes has room for one of these fields.
    let loads = [0, 128, 4096].map(|table| Load {
        fields: &[
            "x-tenant: blue",
            "x-note: sixty bytes make an entry of nearly a hundred with name",
        ],
        table: Some(table),
        ..Load::of(2_000, "/small/NUMBER")
    });
    for exchange in trace_loads(&nginx, &nginx.workers()?, &loads)? {
        assert_eq!(exchange.request_header("x-tenant"), Some("blue"), "{exchange:?}");
        let note = exchange.request_header("x-note");
        assert!(note.is_some_and(|note| note.starts_with("sixty bytes")), "{exchange:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_curl_with_concurrent_streams_is_printed_once() -> Result<()> {
    const REQUESTS: usize = 500;
    let nginx = Nginx::start_with(one_worker())?;
    let tracer = Tracer::of(&nginx.workers()?, &[])?;
    let paths = nginx.url(&format!("/small/[1-{REQUESTS}]"));
    curl::request(&[
        "--http2",
        "--parallel",
        "--parallel-max",
        "50",
        "--no-progress-meter",
        &paths,
    ])?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, 0, 6);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_curl_over_http_2_is_printed_once() -> Result<()> {
    const REQUESTS: usize = 500;
    let nginx = Nginx::start()?;
    let curl = curl::Waiting::start("http2")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    let urls = (0..REQUESTS).map(|number| nginx.url(&format!("/small/{number}")));
    curl.request(&urls.collect::<Vec<_>>())?;
    // The trace ends with curl.
    let (trace, log) = (tracer.finish()?, nginx.wait_for_log(REQUESTS)?);
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, 0, 6);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn http_1_1_and_http_2_connections_are_distinguished() -> Result<()> {
    const EACH: usize = 4_000;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let wrk = Wrk::start(&nginx, wrk::Load::of(EACH, "/small/1-NUMBER"))?;
    H2load::start(&nginx.url(""), Load::of(EACH, "/small/2-NUMBER"))?.finish()?;
    let (trace, log) = stop_after(tracer, &nginx, 2 * EACH)?;
    wrk.stop()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)?;
    assert_bodies(&exchanges, 0, 6);
    for exchange in &exchanges {
        let second = exchange
            .text("/request/path")
            .is_some_and(|path| path.starts_with("/small/2-"));
        let expected = if second { "http/2" } else { "http/1.1" };
        assert_eq!(exchange.text("/protocol"), Some(expected), "{exchange:?}");
    }
    Ok(())
}
