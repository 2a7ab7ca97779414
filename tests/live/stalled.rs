//! A stalled reader of stdout, which loses lines and has no other effect.

use std::{
    io,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{
    Nginx, Trace, Tracer, curl,
    lines::Lines,
    wait,
    wrk::{Load, Wrk},
};

/// More requests than the output buffer has room for.
const REQUESTS: usize = 40_000;

/// The maximum duration of the end, without the removal of the probes. The kernel takes some twenty RCU grace periods
/// for that, which are long if every CPU is busy, and the last of them pass while the process exits.
const SOON: Duration = Duration::from_secs(2);

/// The time for printing buffered lines at the end.
const GRACE: Duration = Duration::from_secs(1);

/// Measures the end of a trace under the same load without a stall, which is the time for removing the probes.
fn usual_end(nginx: &Nginx) -> Result<Duration> {
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let began = Instant::now();
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    Ok(began.elapsed())
}

/// Waits for the totals of a tracer that was interrupted, and for its end.
fn finish_soon(tracer: Tracer, began: Instant) -> Result<Trace> {
    tracer.wait_for_message(&["exchanges="])?;
    let took = began.elapsed();
    assert!(took < SOON, "{took:?}");
    let trace = tracer.finish()?;
    assert_eq!(trace.code, Some(0));
    Ok(trace)
}

/// Returns the number at the end of the message that contains `text`.
fn number_in_message(trace: &Trace, text: &str) -> Option<u64> {
    let message = trace.stderr.iter().find(|line| line.contains(text))?;
    message.rsplit(' ').next()?.parse().ok()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_stalled_reader_under_load_does_not_delay_the_end() -> Result<()> {
    let nginx = Nginx::start()?;
    let (reader, writer) = io::pipe()?;
    let tracer = Tracer::printing_to(writer, &[nginx.master()], &[])?;
    let objects = tracer.bpf_objects()?;
    let wrk = Wrk::start(&nginx, Load::of(100_000_000, "/small/NUMBER"))?;
    tracer.wait_for_message(&["has stalled"])?;
    let began = Instant::now();
    tracer.signal(libc::SIGINT)?;
    let trace = finish_soon(tracer, began)?;
    let (dropped, unwritten) = (
        number_in_message(&trace, "lines dropped"),
        number_in_message(&trace, "lines not written"),
    );
    assert!(dropped > Some(0) && unwritten > Some(0), "{dropped:?} {unwritten:?}");
    assert_eq!(trace.totals()?.lost_records, 0, "the rings were drained");
    objects.wait_until_gone()?;
    nginx.wait_until_logged(nginx.log()?.len() + 1_000)?;
    wrk.stop()?;
    drop(reader);
    curl::request(&["--fail", &nginx.url("/small/afterwards")]).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_stalled_reader_does_not_delay_the_end_of_a_duration_or_a_signal() -> Result<()> {
    let nginx = Nginx::start()?;
    let (reader, writer) = io::pipe()?;
    let wrk = Wrk::start(&nginx, Load::of(100_000_000, "/small/NUMBER"))?;
    let tracer = Tracer::printing_to(writer.try_clone()?, &[nginx.master()], &["--duration", "1s"])?;
    let began = Instant::now();
    let trace = tracer.finish()?;
    let took = began.elapsed();
    let usual = usual_end(&nginx)?;
    let allowed = Duration::from_secs(1) + SOON.max(usual + GRACE);
    assert!(
        trace.code == Some(0) && took < allowed,
        "{took:?}, without a stall {usual:?}"
    );
    // With -n, tlscope waits for the reader until a signal.
    let tracer = Tracer::printing_to(writer, &[nginx.master()], &["-n", "5000"])?;
    let objects = tracer.bpf_objects()?;
    nginx.wait_until_logged(nginx.log()?.len() + 10_000)?;
    tracer.wait_until_detached(&objects)?;
    let began = Instant::now();
    let trace = tracer.stop()?;
    assert!(trace.code == Some(0) && began.elapsed() < SOON, "{:?}", began.elapsed());
    objects.wait_until_gone()?;
    wrk.stop()?;
    drop(reader);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_reader_that_resumes_gets_whole_lines_and_the_number_of_dropped_ones() -> Result<()> {
    let nginx = Nginx::start()?;
    let (reader, writer) = io::pipe()?;
    let tracer = Tracer::printing_to(writer, &[nginx.master()], &[])?;
    let wrk = Wrk::start(&nginx, Load::of(REQUESTS, "/small/NUMBER"))?;
    nginx.wait_until_logged(REQUESTS)?;
    wrk.stop()?;
    tracer.wait_for_message(&["has stalled"])?;
    // Starts to read. Once the buffer has room, a new request is printed.
    let lines = Lines::read(reader);
    let mut requested = 0;
    wait::until_true("a request that is printed", || {
        curl::request(&[&nginx.url("/small/last")])?;
        requested += 1;
        Ok(lines.any(|line| line.contains("/small/last")))
    })?;
    let trace = tracer.stop()?;
    let (mut exchanges, mut dropped) = (0, 0);
    for line in lines.finish() {
        let line: Value = serde_json::from_str(&line).with_context(|| format!("not a whole line: {line}"))?;
        exchanges += u64::from(line["type"] == "exchange");
        if line["type"] == "health" {
            assert_eq!(line["subject"], "output");
            dropped += line["dropped"].as_u64().unwrap_or(0);
        }
    }
    let totals = trace.totals()?;
    assert_eq!((exchanges, totals.lost_records), (totals.exchanges, 0));
    assert_eq!(exchanges + dropped, u64::try_from(REQUESTS + requested)?);
    assert_eq!(number_in_message(&trace, "lines dropped"), Some(dropped));
    assert!(dropped > 0);
    Ok(())
}
