//! nginx under steady load, traced by the PID of its first master through reloads and a binary upgrade.

use std::collections::BTreeSet;

use anyhow::Result;
use support::{Nginx, Tracer, load::Steady, nginx::Setup};

use crate::claims::{assert_facts_of_server, assert_same_requests, matched, stop_after};

/// The number of requests between two changes.
const REQUESTS: usize = 300;

const RELOADS: usize = 3;

const WORKERS: usize = 2;

fn serve_on(nginx: &Nginx) -> Result<()> {
    nginx.wait_until_logged(nginx.log()?.len() + REQUESTS)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_is_printed_once_through_reloads_and_an_upgrade() -> Result<()> {
    let mut nginx = Nginx::start_with(Setup {
        workers: Some(WORKERS),
        background: true,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let load = Steady::start(&nginx)?;
    for _ in 0..RELOADS {
        serve_on(&nginx)?;
        nginx.reload()?;
    }
    serve_on(&nginx)?;
    nginx.upgrade()?;
    serve_on(&nginx)?;
    let answered = load.stop()?;
    let (trace, log) = stop_after(tracer, &nginx, answered)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)?;
    let mut workers = BTreeSet::new();
    for (exchange, access) in matched(&exchanges, &log)? {
        assert_eq!(exchange.number("/pid"), access.pid, "{exchange:?}");
        workers.insert(access.pid);
    }
    // Verifies the test itself: each generation of workers has served requests.
    assert!(workers.len() > RELOADS + 1, "{workers:?}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_end_of_all_descendants_ends_the_trace() -> Result<()> {
    let mut nginx = Nginx::start_with(Setup {
        background: true,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let objects = tracer.bpf_objects()?;
    nginx.upgrade()?;
    support::curl::request(&[&nginx.url("/small/[1-5]")])?;
    tracer.wait_for_lines(5)?;
    nginx.stop()?;
    let trace = tracer.finish()?;
    assert_eq!((trace.code, trace.totals()?.exchanges), (Some(1), 5));
    let printed = trace.stderr.iter().filter(|line| line.contains("ended")).count();
    assert_eq!(printed, 1, "one line has the reason");
    objects.wait_until_gone()
}
