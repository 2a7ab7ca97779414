//! Processes and threads that end inside a call of their TLS library: nothing is left of them, and others are seen.

use anyhow::{Result, ensure};
use support::{Nginx, Tracer, curl, program::Program, wait};

/// The tables that may hold something of a process.
const TABLES: [&str; 6] = ["TARGETS", "PROCESSES", "CALLS", "CONNECTIONS", "CIPHERTEXTS", "THREADS"];

/// How many entries there are that the two traced programs have no use for.
fn left(tracer: &Tracer) -> Result<usize> {
    let holdings = tracer.holdings()?;
    TABLES.into_iter().map(|table| holdings.entries(table)).sum()
}

/// Waits until there are as few entries as before.
fn wait_until_few(tracer: &Tracer, few: usize) -> Result<()> {
    wait::until_true("tables without what ended processes left", || Ok(left(tracer)? <= few))
}

/// Waits until no call is in flight.
fn wait_until_no_calls(tracer: &Tracer) -> Result<()> {
    wait::until_true("no call in flight", || {
        let holdings = tracer.holdings()?;
        Ok(holdings.entries("CALLS")? + holdings.entries("THREADS")? == 0)
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn twenty_thousand_processes_killed_in_their_first_call_leave_no_entries() -> Result<()> {
    const KILLED: usize = 20_000;
    let nginx = Nginx::start()?;
    let mut program = Program::c("deaths.c", &[])?;
    let tracer = Tracer::of(&[program.pid(), nginx.master()], &[])?;
    let before = left(&tracer)?;
    program.tell(&format!("kill {KILLED}"))?;
    program.wait_for("did")?;
    wait_until_few(&tracer, before)?;
    curl::ask(&[&nginx.url("/small/after")])?;
    tracer.wait_for_lines(1)?;
    let trace = tracer.stop()?;
    program.finish()?;
    ensure!(trace.exchanges()?.len() == 1, "{:?}", trace.stdout);
    let unusual = |line: &&String| line.contains("too many") || line.contains("overlooked") || line.contains("full");
    ensure!(!trace.stderr.iter().any(|line| unusual(&line)), "{:?}", trace.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn threads_cancelled_in_a_call_leave_no_entries() -> Result<()> {
    let mut program = Program::c("deaths.c", &[])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.tell("cancel 256")?;
    program.wait_for("did")?;
    // The connections are there as long as nobody frees them.
    wait_until_no_calls(&tracer)?;
    let trace = tracer.stop()?;
    program.finish()?;
    assert_eq!(trace.code, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn calls_left_by_longjmp_leave_no_entries_once_the_connection_continues() -> Result<()> {
    let mut program = Program::c("deaths.c", &[])?;
    let tracer = Tracer::of(&[program.pid()], &["--max-connections", "16"])?;
    program.tell("jump 12")?;
    program.wait_for("did")?;
    wait_until_no_calls(&tracer)?;
    let trace = tracer.stop()?;
    program.finish()?;
    assert_eq!(trace.code, Some(0));
    Ok(())
}
