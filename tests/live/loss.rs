//! Forced loss: every lost byte is reported with its position, and no exchange is paired wrongly.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use serde_json::Value;
use support::{
    Access, Nginx, Trace, Tracer, access_log, curl,
    program::Program,
    wait,
    wrk::{Load, Wrk},
};

const BEFORE: usize = 1_000;
const DURING: usize = 10_000;
const REQUESTS: usize = 16_000;
const LAST: &str = "/small/last";

/// Stops the tracer with SIGSTOP while requests fill its smallest rings, and continues it.
fn trace_with_loss() -> Result<(Trace, Vec<Access>)> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["--ring-kib", "256"])?;
    let wrk = Wrk::start(&nginx, Load::of(REQUESTS, "/small/NUMBER"))?;
    tracer.wait_for_lines(BEFORE)?;
    tracer.signal(libc::SIGSTOP)?;
    let stopped_at = nginx.log()?.len();
    nginx.wait_until_logged(stopped_at + DURING)?;
    tracer.signal(libc::SIGCONT)?;
    nginx.wait_until_logged(REQUESTS)?;
    wrk.stop()?;
    // Once a later request is printed, everything captured before it is printed.
    wait::until_true("the last request", || {
        curl::request(&[&nginx.url(LAST)])?;
        Ok(tracer.has_printed(LAST))
    })?;
    Ok((tracer.stop()?, nginx.log()?))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_lost_byte_is_reported_with_its_position() -> Result<()> {
    let (trace, log) = trace_with_loss()?;
    let totals = trace.totals()?;
    assert!(trace.code == Some(0) && totals.lost_records > 0, "{totals:?}");
    assert!(trace.stderr.iter().any(|line| line.contains("the ring was full")));
    let seen = assert_no_pair_is_wrong(&trace, &log)?;
    let missing = log
        .iter()
        .filter(|access| access.uri != LAST && !seen.contains(&access.id))
        .count();
    assert!(
        u64::try_from(missing)? <= totals.lost_records,
        "{missing} requests are missing: {totals:?}"
    );
    let losses = trace.lines_of("loss")?;
    assert!(
        losses
            .iter()
            .all(|loss| loss["cause"] == "lost" && loss["position"].is_u64()),
        "{losses:?}"
    );
    let reported: u64 = losses.iter().filter_map(|loss| loss["bytes"].as_u64()).sum();
    assert_eq!(reported, totals.lost_bytes, "every lost byte has a position");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn wholly_lost_connections_are_reported_during_the_trace() -> Result<()> {
    const CONNECTIONS: usize = 40;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(
        &[nginx.master()],
        &["--ring-kib", "256", "--connections", "--call-bytes", "20000"],
    )?;
    tracer.signal(libc::SIGSTOP)?;
    // Each request has its own connection. All but the first ones find the rings full.
    let urls = nginx.url(&format!("/large/[1-{CONNECTIONS}]"));
    curl::request(&["--header", "Connection: close", "--output", "/dev/null", &urls])?;
    // One connection stays open and idle.
    let mut silent = Program::python("client.py", &[&nginx.port().to_string(), "1"])?;
    silent.begin()?;
    silent.wait_for("done")?;
    tracer.signal(libc::SIGCONT)?;
    wait::until_true("a line for each connection", || {
        Ok(tracer.count_lines(r#""type":"connection""#) >= CONNECTIONS)
    })?;
    let ids = |lines: &[String]| -> HashSet<String> {
        let of = |line: &String| {
            Some(
                line.split(r#""connection":{"id":""#)
                    .nth(1)?
                    .split('"')
                    .next()?
                    .to_owned(),
            )
        };
        lines.iter().filter_map(of).collect()
    };
    wait::until_true("loss lines for most connections", || {
        Ok(ids(&tracer.printed(r#""cause":"lost""#)).len() > CONNECTIONS / 2)
    })?;
    let trace = tracer.stop()?;
    let totals = trace.totals()?;
    let lost = |loss: &Value| (loss["cause"] == "lost").then(|| loss["bytes"].as_u64()).flatten();
    let reported: u64 = trace.lines_of("loss")?.iter().filter_map(lost).sum();
    assert!(totals.lost_bytes > 0, "{totals:?}");
    assert_eq!(reported, totals.lost_bytes, "every lost byte is reported once");
    let open = trace.lines_of("connection")?;
    let open = open.iter().filter(|connection| connection["open"] == true).count();
    assert!(open <= 1, "{open} connections are marked as open");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_trace_that_joins_late_pairs_no_exchange_wrongly() -> Result<()> {
    const CONNECTIONS: usize = 32;
    let nginx = Nginx::start()?;
    let wrk = Wrk::start(&nginx, Load::of(100_000_000, "/small/NUMBER"))?;
    nginx.wait_until_logged(CONNECTIONS * 10)?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    tracer.wait_for_lines(REQUESTS)?;
    let trace = tracer.stop()?;
    wrk.stop()?;
    let totals = trace.totals()?;
    assert_eq!((trace.code, totals.lost_records), (Some(0), 0));
    // Each connection may have been within an exchange at the beginning, and at the end.
    assert!(totals.half <= 2 * u64::try_from(CONNECTIONS)?, "{totals:?}");
    assert_no_pair_is_wrong(&trace, &nginx.log()?).map(drop)
}

/// Asserts that each request and each response is in the log and is printed once, and that pairs match. Returns the ids
/// of the exchanges that were seen.
fn assert_no_pair_is_wrong(trace: &Trace, log: &[Access]) -> Result<HashSet<String>> {
    let by_id = access_log::by_id(log);
    let by_path: HashMap<_, _> = log.iter().map(|access| (access.uri.as_str(), access)).collect();
    let (mut requests, mut responses, mut seen) = (HashSet::new(), HashSet::new(), HashSet::new());
    let exchanges = trace.exchanges()?;
    let known = exchanges
        .iter()
        .filter(|exchange| exchange.text("/request/path") != Some(LAST));
    for exchange in known {
        let requested = exchange.text("/request/path").map(|path| by_path.get(path));
        let answered = exchange.request_id().map(|id| by_id.get(id));
        assert!(
            requested != Some(None) && answered != Some(None),
            "invented: {exchange:?}"
        );
        let (requested, answered) = (requested.flatten(), answered.flatten());
        if let (Some(requested), Some(answered)) = (requested, answered) {
            assert_eq!(requested, answered, "paired wrongly: {exchange:?}");
        }
        assert!(
            requested.is_none_or(|access| requests.insert(access.id.clone())),
            "asked twice: {exchange:?}"
        );
        assert!(
            answered.is_none_or(|access| responses.insert(access.id.clone())),
            "answered twice: {exchange:?}"
        );
        seen.extend(requested.or(answered).map(|access| access.id.clone()));
    }
    Ok(seen)
}
