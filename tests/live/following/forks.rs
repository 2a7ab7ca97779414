//! Processes that are forked while their parent is traced, from their first request.

use std::collections::BTreeSet;

use anyhow::Result;
use support::{Access, Exchange, Nginx, Tracer, program::Program};

use crate::claims::{assert_addresses_of_client, assert_facts_of_client, assert_same_requests, stop_after};

const CHILDREN: usize = 100;

/// A traced parent, and the exchanges of it and its children.
struct Traced {
    nginx: Nginx,
    parent: u32,
    log: Vec<Access>,
    exchanges: Vec<Exchange>,
}

/// Traces a parent that executes a command of forks.c with this many requests.
fn trace_parent(work: &str, requests: usize) -> Result<Traced> {
    let nginx = Nginx::start()?;
    let mut program = Program::c("forks.c", &[&nginx.port().to_string()])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.send_line(work)?;
    program.wait_for("did")?;
    let (trace, log) = stop_after(tracer, &nginx, requests)?;
    let parent = program.pid();
    program.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    Ok(Traced {
        nginx,
        parent,
        log,
        exchanges,
    })
}

fn assert_each_by_its_own_process(traced: &Traced) {
    let pids: BTreeSet<_> = traced
        .exchanges
        .iter()
        .map(|exchange| exchange.number("/pid"))
        .collect();
    assert_eq!(pids.len(), traced.exchanges.len(), "{pids:?}");
    assert!(!pids.contains(&Some(u64::from(traced.parent))), "{pids:?}");
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_first_request_of_each_child_is_printed() -> Result<()> {
    let traced = trace_parent(&format!("fork {CHILDREN} 1 1"), CHILDREN)?;
    assert_each_by_its_own_process(&traced);
    assert_addresses_of_client(&traced.exchanges, &traced.log, &traced.nginx, "bio")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_first_request_of_each_grandchild_is_printed() -> Result<()> {
    let traced = trace_parent(&format!("fork {CHILDREN} 1 2"), CHILDREN)?;
    assert_each_by_its_own_process(&traced);
    assert_addresses_of_client(&traced.exchanges, &traced.log, &traced.nginx, "bio")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_program_executed_by_a_child_is_traced() -> Result<()> {
    const CURLS: usize = 10;
    let traced = trace_parent(&format!("exec {CURLS}"), CURLS)?;
    assert_each_by_its_own_process(&traced);
    let named = |exchange: &Exchange| exchange.text("/process") == Some("curl");
    assert!(traced.exchanges.iter().all(named), "{:?}", traced.exchanges.first());
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn children_are_not_traced_with_no_follow() -> Result<()> {
    const OWN: usize = 3;
    let nginx = Nginx::start()?;
    let mut program = Program::c("forks.c", &[&nginx.port().to_string()])?;
    let tracer = Tracer::of(&[program.pid()], &["--no-follow"])?;
    program.send_line(&format!("fork {CHILDREN} 1 1"))?;
    // The parent sends its requests last, so that any others would be printed before them.
    program.send_line(&format!("ask {OWN}"))?;
    let log = nginx.wait_for_log(CHILDREN + OWN)?;
    tracer.wait_for_lines(OWN)?;
    let trace = tracer.stop()?;
    program.finish()?;
    let own: Vec<_> = log
        .into_iter()
        .filter(|access| access.uri.starts_with("/small/parent-"))
        .collect();
    assert_eq!((trace.code, own.len()), (Some(0), OWN));
    assert_same_requests(&trace, &own).map(drop)
}
