//! Memory of tlscope and of its BPF objects, and messages about full tables.

use anyhow::Result;
use serde_json::Value;
use support::{
    Nginx, Tracer,
    certificate::Certificate,
    curl,
    program::Program,
    wrk::{Load, Wrk},
};

const MIB: u64 = 1024 * 1024;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn tracing_an_idle_nginx_takes_little_user_and_kernel_memory() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    curl::request(&[&nginx.url("/small/1")])?;
    tracer.wait_for_lines(1)?;
    let (held, in_kernel) = (tracer.resident_kib()? * 1024, tracer.bpf_objects()?.bytes);
    assert!(held < 48 * MIB, "{held} bytes resident");
    // Each further CPU has a ring.
    let cpus = u64::try_from(std::thread::available_parallelism()?.get())?;
    let rings = cpus.saturating_sub(2) * 17 * MIB;
    assert!(in_kernel < 40 * MIB + rings, "{in_kernel} bytes of maps and rings");
    let trace = tracer.stop()?;
    assert_eq!(trace.exchanges()?.len(), 1);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_program_of_a_hundred_megabytes_is_analysed_in_less_memory_than_its_size() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let Certificate { key, certificate } = Certificate::make(directory.path())?;
    let args = [
        &key.display().to_string(),
        &certificate.display().to_string(),
        "127.0.0.1",
    ];
    let program = Program::node("server.js", &args)?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    let peak = tracer.peak_kib()? * 1024;
    assert!(peak < 80 * MIB, "{peak} bytes at the peak");
    tracer.stop().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_full_table_of_calls_is_reported_during_the_trace() -> Result<()> {
    let mut program = Program::c("deaths.c", &[])?;
    let tracer = Tracer::of(&[program.pid()], &["--max-connections", "16"])?;
    // 64 calls are in flight at once.
    program.send_line("cancel 64")?;
    tracer.wait_for_message(&["the table of calls in flight was full (16): calls are not captured"])?;
    let trace = tracer.stop()?;
    program.finish()?;
    let lost = "48 records, 0 bytes: too many calls in flight";
    assert!(
        trace.stderr.iter().any(|line| line.contains(lost)),
        "{:?}",
        trace.stderr
    );
    let health = trace.lines_of("health")?;
    let of_calls = |line: &&Value| line["subject"] == "table" && line["name"] == "calls" && line["state"] == "dropped";
    let dropped = health
        .iter()
        .filter(of_calls)
        .filter_map(|line| line["dropped"].as_u64());
    assert_eq!(dropped.sum::<u64>(), 48, "{health:?}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_full_table_of_connections_is_reported_during_the_trace() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["--max-connections", "16"])?;
    let load = Load {
        connections: 64,
        ..Load::of(1000, "/small/NUMBER")
    };
    let wrk = Wrk::start(&nginx, load)?;
    nginx.wait_until_logged(1000)?;
    wrk.stop()?;
    tracer.wait_for_message(&["the table of connections was full (16)", "--max-connections"])?;
    tracer.stop().map(drop)
}
