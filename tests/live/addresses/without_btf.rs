//! Kernels without BTF: addresses come from `/proc`, and later processes and libraries are found by polling.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{
    Nginx, Tracer, binary, curl, exchange_log, kernel,
    load::{CLIENTS, Steady},
    nginx::Setup,
    program::Program,
    run, wait,
};

use super::{
    claims::{REQUESTS, assert_none_wrong, assert_same, load},
    unix,
};
use crate::claims::{assert_facts_of_client, assert_same_requests, stop_after};

/// The reason for missing addresses.
const REASON: &str = "unconfirmed";

/// The text in lines with addresses from `/proc`.
const NAMED: &str = r#""source":"proc""#;

fn printed_once(stderr: &[String], text: &str) -> bool {
    stderr.iter().filter(|line| line.contains(text)).count() == 1
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_connection_has_wrong_addresses() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::without_btf(&[nginx.master()])?;
    let requested = load(nginx.port(), "/small/")?;
    let logged = nginx.wait_for_exchanges(REQUESTS)?;
    assert_same(&logged, &requested);
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    assert!(printed_once(&trace.stderr, "no BTF"), "{:?}", trace.stderr);
    assert_none_wrong("nginx without BTF", &trace, &logged, &[REASON])?;
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_kept_alive_connection_gets_its_addresses() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::without_btf(&[nginx.master()])?;
    let load = Steady::start(&nginx)?;
    // Each kept-alive connection has its own port.
    let named = || -> Result<BTreeSet<String>> {
        let lines = tracer.printed(NAMED).into_iter();
        let kept = lines.filter(|line| line.contains("/small/kept"));
        kept.map(|line| Ok(serde_json::from_str::<Value>(&line)?["connection"]["remote"].to_string()))
            .collect()
    };
    wait::until_true("an address of each kept connection", || Ok(named()?.len() == CLIENTS))?;
    load.stop()?;
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

/// When the tracer looks up descriptors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lookup {
    /// While connections are opened and closed.
    AtOnce,
    /// When the last connection has the descriptor of the first one.
    TooLate,
}

/// Asserts that no connection gets the addresses of a later one that has its descriptor or `SSL` object.
fn assert_nothing_is_lent(connections: usize, lookup: Lookup) -> Result<()> {
    let servers = [Nginx::start()?, Nginx::start()?];
    let [first, second] = servers.each_ref().map(|nginx| nginx.port().to_string());
    for trick in ["free", "leak", "clear", "state", "dup2"] {
        let args = ["fd", trick, &connections.to_string(), &first, &second];
        let mut program = Program::c("sockets.c", &args)?;
        let tracer = Tracer::without_btf(&[program.pid()])?;
        if lookup == Lookup::TooLate {
            stop(tracer.pid())?;
        }
        program.begin()?;
        program.wait_for("done")?;
        if lookup == Lookup::TooLate {
            tracer.signal(libc::SIGCONT)?;
        }
        let same: usize = program.wait_for("descriptors")?.parse()?;
        assert_eq!(same, connections - 1, "guards the test: {trick}");
        let logged = exchange_log::parse(&program.lines())?;
        tracer.wait_for_lines(logged.len())?;
        let trace = tracer.stop()?;
        assert_none_wrong(trick, &trace, &logged, &[REASON])?;
    }
    Ok(())
}

/// Stops a process, and waits until it has stopped.
fn stop(pid: u32) -> Result<()> {
    kernel::signal(pid, libc::SIGSTOP)?;
    wait::until_true("the tracer is stopped", || {
        Ok(fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") T "))
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_reused_descriptor_gives_no_connection_wrong_addresses() -> Result<()> {
    assert_nothing_is_lent(200, Lookup::AtOnce)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_late_lookup_that_finds_another_socket_gives_no_addresses() -> Result<()> {
    assert_nothing_is_lent(2, Lookup::TooLate)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn workers_of_a_reload_and_their_end_are_found_by_polling() -> Result<()> {
    let mut nginx = Nginx::start_with(Setup {
        workers: Some(1),
        ..Setup::default()
    })?;
    let tracer = Tracer::without_btf(&[nginx.master()])?;
    curl::request(&[&nginx.url("/small/before")])?;
    tracer.wait_for_lines(1)?;
    nginx.reload()?;
    let worker = *nginx.workers()?.first().context("nginx has no worker")?;
    let of_worker = format!("\"pid\":{worker},");
    wait::until_true("an exchange of the new worker", || {
        curl::request(&[&nginx.url("/small/after")])?;
        Ok(tracer.has_printed(&of_worker))
    })?;
    nginx.stop()?;
    let trace = tracer.finish()?;
    assert_eq!(trace.code, Some(1), "every traced process has ended");
    let named = |line: &&String| line.contains(&of_worker) && line.contains("\"process\":\"nginx\"");
    assert!(trace.stdout.iter().filter(named).count() > 0, "{:?}", trace.stdout);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_library_loaded_later_is_found_by_polling() -> Result<()> {
    const ASKED: usize = 50;
    let nginx = Nginx::start()?;
    let mut python = Program::python("late.py", &[&nginx.port().to_string(), &ASKED.to_string()])?;
    let tracer = Tracer::without_btf(&[python.pid()])?;
    python.begin()?;
    python.wait_for("imported")?;
    tracer.wait_for_message(&["attached to", &format!("({})", python.pid()), "libssl"])?;
    python.send_line("ask")?;
    let (trace, log) = stop_after(tracer, &nginx, ASKED)?;
    python.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_connection_on_a_unix_socket_has_a_wrong_path() -> Result<()> {
    let nginx = Nginx::start()?;
    let waiting = curl::Waiting::start("http1.1")?;
    let tracer = Tracer::without_btf(&[nginx.master()])?;
    waiting.request_over(&nginx.unix_socket(), &unix::urls())?;
    let logged = nginx.wait_for_exchanges(unix::REQUESTS)?;
    assert_same(&logged, &unix::expected_exchanges(&nginx));
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    assert_none_wrong("nginx on a unix socket without BTF", &trace, &logged, &[REASON])?;
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_server_on_a_unix_socket_has_its_path_once_a_connection_continues() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::without_btf(&[nginx.master()])?;
    wait::until_true("an exchange with the path", || {
        curl::Waiting::start("http1.1")?.request_over(&nginx.unix_socket(), &unix::urls())?;
        Ok(tracer.has_printed(NAMED))
    })?;
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn inspect_reports_that_the_kernel_has_no_btf() -> Result<()> {
    let nginx = Nginx::start()?;
    let mut inspect = binary::command_without_btf(&["inspect", "-p", &nginx.master().to_string()])?;
    let output = run::succeed(&mut inspect)?;
    assert!(output.stdout.contains("SSL_read"), "{}", output.stdout);
    assert!(
        output.stderr_lines() == 1 && output.stderr.contains("no BTF"),
        "{}",
        output.stderr
    );
    Ok(())
}
