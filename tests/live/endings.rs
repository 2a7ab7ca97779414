//! How a trace ends: by count, by time, by signal, with its process, or by being killed; nothing stays attached.

use std::fs;

use anyhow::Result;
use support::{
    Nginx, Tracer, curl,
    kernel::Holdings,
    program::Program,
    wrk::{Load, Wrk},
};

use crate::claims::{assert_same_requests, stop_after};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_count_or_a_duration_ends_a_trace() -> Result<()> {
    let nginx = Nginx::start()?;
    let counted = Tracer::of(&[nginx.master()], &["-n", "2"])?;
    let held = counted.holdings()?;
    curl::ask(&[&nginx.url("/small/[1-5]")])?;
    let trace = counted.finish()?;
    assert_eq!(
        (trace.code, trace.stdout.len(), trace.totals()?.exchanges),
        (Some(0), 2, 2)
    );
    held.wait_until_gone()?;
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
    let held = tracer.holdings()?;
    curl::ask(&[&nginx.url("/small/[1-5]")])?;
    tracer.wait_for_lines(5)?;
    nginx.stop()?;
    let trace = tracer.finish()?;
    assert_eq!((trace.code, trace.totals()?.exchanges), (Some(1), 5));
    let said = trace.stderr.iter().filter(|line| line.contains("ended")).count();
    assert_eq!(said, 1, "one line says why");
    held.wait_until_gone()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_end_of_one_traced_process_does_not_disturb_the_others() -> Result<()> {
    let nginx = Nginx::start()?;
    let other = Program::python("client.py", &["1", "0"])?;
    let tracer = Tracer::of(&[nginx.master(), other.pid()], &[])?;
    drop(other);
    curl::ask(&[&nginx.url("/small/[1-5]")])?;
    let (trace, log) = stop_after(tracer, &nginx, 5)?;
    assert_same_requests(&trace, &log).map(drop)
}

/// Ends the tracer in the middle of a load; nginx must go on answering, and the kernel must be as before.
fn end_under_load(end: impl FnOnce(Tracer) -> Result<()>) -> Result<()> {
    const PRINTED: usize = 3_000;
    const AFTERWARDS: usize = 10_000;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let held = tracer.holdings()?;
    assert!(!held.programs.is_empty() && !held.links.is_empty(), "{held:?}");
    let wrk = Wrk::start(&nginx, Load::of(100_000_000, "/small/NUMBER"))?;
    tracer.wait_for_lines(PRINTED)?;
    end(tracer)?;
    nginx.wait_until_logged(nginx.log()?.len() + AFTERWARDS)?;
    wrk.stop()?;
    held.wait_until_gone()?;
    curl::ask(&["--fail", &nginx.url("/small/afterwards")]).map(drop)
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
    let said = || fs::read_to_string(&stderr).unwrap_or_default();
    support::wait::until_true("ready", || Ok(said().contains("tlscope: ready")))?;
    support::wait::until_true("the end of the pipeline", || {
        curl::ask(&[&nginx.url("/small/x")])?;
        Ok(shell.try_wait()?.is_some())
    })?;
    assert_eq!(fs::read_to_string(&first)?.lines().count(), 1);
    assert!(
        !said().contains("panicked") && !said().to_lowercase().contains("broken pipe"),
        "{}",
        said()
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_kernel_lists_every_bpf_object_of_a_tracer() -> Result<()> {
    // Guards the other tests: what they wait for to be gone must have been there.
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let Holdings {
        programs,
        links,
        maps,
        bytes: _,
    } = tracer.holdings()?;
    assert!(!programs.is_empty() && programs.is_subset(&support::kernel::listed("prog")?));
    assert!(!links.is_empty() && links.is_subset(&support::kernel::listed("link")?));
    assert!(!maps.is_empty() && maps.is_subset(&support::kernel::listed("map")?));
    tracer.stop().map(drop)
}
