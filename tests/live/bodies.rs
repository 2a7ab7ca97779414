//! Bodies with every kind of framing, and pipelined requests.

use anyhow::Result;
use support::{
    Exchange, Nginx, Tracer, curl,
    nginx::{CHUNKED, LARGE},
    wrk::{Load, Wrk},
};

use crate::claims::{assert_bodies, assert_facts_of_server, assert_same_requests, stop_after, without_loss};

fn trace_load(load: Load<'_>) -> Result<Vec<Exchange>> {
    let traced = || {
        let nginx = Nginx::start()?;
        let tracer = Tracer::of(&[nginx.master()], &[])?;
        let wrk = Wrk::start(&nginx, load)?;
        let (trace, log) = stop_after(tracer, &nginx, load.requests)?;
        wrk.stop()?;
        Ok((trace, log, nginx))
    };
    let (trace, log, nginx) = without_loss(traced, |(trace, ..)| trace)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)?;
    Ok(exchanges)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn large_responses_are_decoded_to_their_end() -> Result<()> {
    let exchanges = trace_load(Load::of(2_000, "/large/NUMBER"))?;
    assert_bodies(&exchanges, 0, LARGE);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn large_uploads_are_decoded_to_their_end() -> Result<()> {
    const UPLOAD: u16 = 0x4000;
    let load = Load {
        method: "PUT",
        body: 16 * usize::from(UPLOAD),
        ..Load::of(1_000, "/upload/NUMBER")
    };
    let exchanges = trace_load(load)?;
    assert_bodies(&exchanges, 16 * u64::from(UPLOAD), 0);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn chunked_bodies_are_counted_without_framing() -> Result<()> {
    let exchanges = trace_load(Load::of(5_000, "/chunked/NUMBER"))?;
    assert_bodies(&exchanges, 0, CHUNKED);
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange.response_header("transfer-encoding") == Some("chunked"))
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn pipelined_requests_are_paired_with_their_responses() -> Result<()> {
    let load = Load {
        depth: 8,
        ..Load::of(8_000, "/small/NUMBER")
    };
    let exchanges = trace_load(load)?;
    assert_bodies(&exchanges, 0, 6);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn http_1_0_responses_end_with_their_connection_or_their_length() -> Result<()> {
    const EACH: usize = 100;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    // A body without a length, which ends with the connection; then bodies with a length on a kept-alive connection.
    curl::request(&[
        "--http1.0",
        "--output",
        "/dev/null",
        &nginx.url(&format!("/chunked/[1-{EACH}]")),
    ])?;
    let small = nginx.url(&format!("/small/[1-{EACH}]"));
    curl::request(&["--http1.0", "--header", "Connection: keep-alive", &small])?;
    let (trace, log) = stop_after(tracer, &nginx, 2 * EACH)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)?;
    let (closed, kept): (Vec<_>, Vec<_>) = exchanges
        .into_iter()
        .partition(|exchange| exchange.response_header("content-length").is_none());
    assert_eq!((closed.len(), kept.len()), (EACH, EACH));
    assert_bodies(&closed, 0, CHUNKED);
    assert_bodies(&kept, 0, 6);
    assert!(
        closed
            .iter()
            .chain(&kept)
            .all(|exchange| exchange.text("/protocol") == Some("http/1.0"))
    );
    Ok(())
}
