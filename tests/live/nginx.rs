//! nginx under load, compared with its access log.

use anyhow::Result;
use support::{
    Nginx, Trace, Tracer, binary, run, schema,
    wrk::{Load, Wrk},
};

use crate::claims::{assert_bodies, assert_facts_of_server, assert_same_requests, stop_after};

const REQUESTS: usize = 20_000;

fn assert_load_is_seen(nginx: &Nginx, pids: &[u32]) -> Result<()> {
    let tracer = Tracer::of(pids, &[])?;
    let wrk = Wrk::start(nginx, Load::of(REQUESTS, "/small/NUMBER"))?;
    let (trace, log) = stop_after(tracer, nginx, REQUESTS)?;
    wrk.stop()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, nginx)?;
    assert_bodies(&exchanges, 0, 6);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_two_workers_is_printed_once() -> Result<()> {
    let nginx = Nginx::start()?;
    assert_load_is_seen(&nginx, &nginx.workers()?)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn tracing_the_master_traces_its_workers() -> Result<()> {
    let nginx = Nginx::start()?;
    assert_load_is_seen(&nginx, &[nginx.master()])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tape_of_a_load_replays_every_request_once() -> Result<()> {
    const RECORDED: usize = 2_000;
    let nginx = Nginx::start()?;
    let directory = tempfile::tempdir()?;
    let tape = directory.path().join("load.tape").display().to_string();
    let recorder = Tracer::start(&["record", "-p", &nginx.master().to_string(), "-w", &tape])?;
    recorder.wait_until_ready()?;
    let wrk = Wrk::start(&nginx, Load::of(RECORDED, "/small/NUMBER"))?;
    let log = nginx.wait_for_log(RECORDED)?;
    wrk.stop()?;
    let ended = recorder.stop()?;
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0));
    assert!(
        ended.stderr.iter().any(|line| line.contains("plaintext")),
        "it warns that a tape contains plaintext"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&tape)?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let replayed = run::succeed(&mut binary::command(&["replay", &tape])?)?;
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    schema::check_lines(replayed.stdout.lines())?;
    let trace = Trace {
        code: replayed.code,
        stdout: lines(&replayed.stdout),
        stderr: lines(&replayed.stderr),
    };
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)
}
