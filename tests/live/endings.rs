//! Ends of a trace: by count, duration, signal, `kill -9`, or with its processes. No probe stays attached.

use std::fs;

use anyhow::Result;
use support::{
    Nginx, Tracer, curl,
    kernel::BpfObjects,
    program::Program,
    wrk::{Load, Wrk},
};

use crate::claims::{assert_same_requests, stop_after};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_count_or_a_duration_ends_a_trace() -> Result<()> {
    let nginx = Nginx::start()?;
    let counted = Tracer::of(&[nginx.master()], &["-n", "2"])?;
    let objects = counted.bpf_objects()?;
    curl::request(&[&nginx.url("/small/[1-5]")])?;
    let trace = counted.finish()?;
    assert_eq!(
        (trace.code, trace.stdout.len(), trace.totals()?.exchanges),
        (Some(0), 2, 2)
    );
    objects.wait_until_gone()?;
    let timed = Tracer::of(&[nginx.master()], &["--duration", "200ms"])?;
    let trace = timed.finish()?;
    assert_eq!((trace.code, trace.stdout.len()), (Some(0), 0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_interrupt_right_after_the_start_exits_with_0() -> Result<()> {
    let nginx = Nginx::start()?;
    let trace = Tracer::of(&[nginx.master()], &[])?.stop()?;
    assert_eq!((trace.code, trace.totals()?.exchanges), (Some(0), 0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_end_of_every_traced_process_ends_the_trace() -> Result<()> {
    let mut nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let objects = tracer.bpf_objects()?;
    curl::request(&[&nginx.url("/small/[1-5]")])?;
    tracer.wait_for_lines(5)?;
    nginx.stop()?;
    let trace = tracer.finish()?;
    assert_eq!((trace.code, trace.totals()?.exchanges), (Some(1), 5));
    let printed = trace.stderr.iter().filter(|line| line.contains("ended")).count();
    assert_eq!(printed, 1, "one line has the reason");
    objects.wait_until_gone()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_end_of_one_traced_process_does_not_disturb_the_others() -> Result<()> {
    let nginx = Nginx::start()?;
    let other = Program::python("client.py", &["1", "0"])?;
    let tracer = Tracer::of(&[nginx.master(), other.pid()], &[])?;
    drop(other);
    curl::request(&[&nginx.url("/small/[1-5]")])?;
    let (trace, log) = stop_after(tracer, &nginx, 5)?;
    assert_same_requests(&trace, &log).map(drop)
}

/// Ends the tracer under load. Asserts that nginx continues to answer, and that the kernel frees all BPF objects.
fn end_under_load(end: impl FnOnce(Tracer) -> Result<()>) -> Result<()> {
    const PRINTED: usize = 3_000;
    const AFTERWARDS: usize = 10_000;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let objects = tracer.bpf_objects()?;
    assert!(!objects.programs.is_empty() && !objects.links.is_empty(), "{objects:?}");
    let wrk = Wrk::start(&nginx, Load::of(100_000_000, "/small/NUMBER"))?;
    tracer.wait_for_lines(PRINTED)?;
    end(tracer)?;
    nginx.wait_until_logged(nginx.log()?.len() + AFTERWARDS)?;
    wrk.stop()?;
    objects.wait_until_gone()?;
    curl::request(&["--fail", &nginx.url("/small/afterwards")]).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_kill_under_load_leaves_nothing_behind() -> Result<()> {
    end_under_load(|tracer| {
        tracer.signal(libc::SIGKILL)?;
        assert_eq!(tracer.finish()?.code, None);
        Ok(())
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_interrupt_under_load_leaves_nothing_behind() -> Result<()> {
    end_under_load(|tracer| {
        assert_eq!(tracer.stop()?.code, Some(0));
        Ok(())
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn signals_that_arrive_together_are_one_request_to_end() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    curl::request(&[&nginx.url("/small/[1-5]")])?;
    tracer.wait_for_lines(5)?;
    // As `timeout` does, which signals its child and then its process group. Two of one kind may become one in the kernel.
    tracer.signal(libc::SIGTERM)?;
    tracer.signal(libc::SIGINT)?;
    let trace = tracer.finish()?;
    assert_eq!((trace.code, trace.totals()?.exchanges), (Some(0), 5));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_closed_stdout_ends_the_trace_quietly() -> Result<()> {
    let nginx = Nginx::start()?;
    let directory = tempfile::tempdir()?;
    let first = directory.path().join("first");
    let line = format!("exec \"$0\" trace -p {} 2>\"$1\" | head -n 1 >\"$2\"", nginx.master());
    let stderr = directory.path().join("stderr");
    let mut shell = std::process::Command::new("sh");
    shell
        .arg("-c")
        .arg(line)
        .arg(support::binary::tlscope()?)
        .arg(&stderr)
        .arg(&first);
    let mut shell = shell.spawn()?;
    let printed = || fs::read_to_string(&stderr).unwrap_or_default();
    support::wait::until_true("ready", || Ok(printed().contains("tlscope: ready")))?;
    support::wait::until_true("the end of the pipeline", || {
        curl::request(&[&nginx.url("/small/x")])?;
        Ok(shell.try_wait()?.is_some())
    })?;
    assert_eq!(fs::read_to_string(&first)?.lines().count(), 1);
    assert!(
        !printed().contains("panicked") && !printed().to_lowercase().contains("broken pipe"),
        "{}",
        printed()
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_kernel_lists_every_bpf_object_of_a_tracer() -> Result<()> {
    // Verifies what the other tests rely on: bpftool lists the objects whose end they wait for.
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let BpfObjects {
        programs,
        links,
        maps,
        bytes: _,
    } = tracer.bpf_objects()?;
    assert!(!programs.is_empty() && programs.is_subset(&support::kernel::listed_ids("prog")?));
    assert!(!links.is_empty() && links.is_subset(&support::kernel::listed_ids("link")?));
    assert!(!maps.is_empty() && maps.is_subset(&support::kernel::listed_ids("map")?));
    tracer.stop().map(drop)
}
