//! Processes and threads that end inside a call of the TLS library: they leave no entries in the kernel's tables.

use anyhow::{Result, ensure};
use support::{Nginx, Tracer, curl, program::Program, wait};

/// The tables with entries of processes.
const TABLES: [&str; 6] = ["TARGETS", "PROCESSES", "CALLS", "CONNECTIONS", "CIPHERTEXTS", "THREADS"];

/// Counts the entries of all tables.
fn left(tracer: &Tracer) -> Result<usize> {
    let bpf_objects = tracer.bpf_objects()?;
    TABLES.into_iter().map(|table| bpf_objects.entries(table)).sum()
}

/// Waits until there are at most `few` entries.
fn wait_until_few(tracer: &Tracer, few: usize) -> Result<()> {
    wait::until_true("tables without what ended processes left", || Ok(left(tracer)? <= few))
}

/// Waits until no call is in flight.
pub(crate) fn wait_until_no_calls(tracer: &Tracer) -> Result<()> {
    wait::until_true("no call in flight", || {
        let bpf_objects = tracer.bpf_objects()?;
        Ok(bpf_objects.entries("CALLS")? + bpf_objects.entries("THREADS")? == 0)
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
    program.send_line(&format!("kill {KILLED}"))?;
    program.wait_for("did")?;
    wait_until_few(&tracer, before)?;
    curl::request(&[&nginx.url("/small/after")])?;
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
    program.send_line("cancel 256")?;
    program.wait_for("did")?;
    // The connections stay, since nothing frees them.
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
    program.send_line("jump 12")?;
    program.wait_for("did")?;
    wait_until_no_calls(&tracer)?;
    let trace = tracer.stop()?;
    program.finish()?;
    assert_eq!(trace.code, Some(0));
    Ok(())
}
