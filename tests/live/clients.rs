//! Traced clients, compared with the access log of nginx.

use anyhow::Result;
use support::{Nginx, Trace, Tracer, curl, program::Program};

use crate::claims::{
    assert_addresses_of_client, assert_bodies, assert_facts_of_client, assert_nothing_lost, assert_same_requests,
    stop_after,
};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_curl_is_printed_once() -> Result<()> {
    const REQUESTS: usize = 1_000;
    let nginx = Nginx::start()?;
    let curl = curl::Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    curl.request(
        &(0..REQUESTS)
            .map(|number| nginx.url(&format!("/small/{number}")))
            .collect::<Vec<_>>(),
    )?;
    let (trace, log) = (tracer.finish()?, nginx.wait_for_log(REQUESTS)?);
    // The trace ends with curl.
    assert_eq!(trace.code, Some(1));
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_bodies(&exchanges, 0, 6);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_a_python_client_is_printed_once() -> Result<()> {
    const REQUESTS: usize = 1_000;
    let nginx = Nginx::start()?;
    let mut python = Program::python("client.py", &[&nginx.port().to_string(), &REQUESTS.to_string()])?;
    let tracer = Tracer::of(&[python.pid()], &[])?;
    python.begin()?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    python.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, "bio")?;
    assert_bodies(&exchanges, 0, 6);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_to_a_python_server_is_printed_once() -> Result<()> {
    const REQUESTS: usize = 200;
    let (trace, served) = trace_python_server(&[], &["--data", "body"], REQUESTS, REQUESTS)?;
    assert_eq!(trace.code, Some(0));
    assert_nothing_lost(&trace, REQUESTS)?;
    let exchanges = trace.exchanges()?;
    assert_bodies(&exchanges, 4, 6);
    let mut printed: Vec<_> = exchanges.iter().filter_map(|exchange| exchange.request_id()).collect();
    printed.sort_unstable();
    let mut served: Vec<_> = served.iter().filter_map(|line| line.strip_prefix("served ")).collect();
    served.sort_unstable();
    assert_eq!(printed, served);
    for exchange in &exchanges {
        assert_eq!(exchange.text("/side"), Some("server"));
        let path = exchange.text("/request/path").unwrap_or_default();
        assert_eq!(path.rsplit('/').next(), exchange.request_id(), "{exchange:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_response_over_the_call_limit_is_complete_with_a_reported_gap() -> Result<()> {
    const HUGE: u64 = 3 * 1024 * 1024;
    const REQUESTS: usize = 5;
    // The limit is on what one call brings; a lift brings one record at a time.
    let (trace, _) = trace_python_server(&["--hooks", "exit"], &["--output", "/dev/null"], REQUESTS, 2 * REQUESTS)?;
    assert_eq!((trace.code, trace.totals()?.lost_records), (Some(0), 0));
    let exchanges = trace.exchanges()?;
    assert_eq!(exchanges.len(), REQUESTS);
    assert_bodies(&exchanges, 0, HUGE);
    let gaps = trace.lines_of("loss")?;
    assert_eq!(gaps.len(), REQUESTS);
    assert!(
        gaps.iter()
            .all(|gap| gap["cause"] == "over_limit" && gap["direction"] == "write"),
        "{gaps:?}"
    );
    Ok(())
}

/// Traces a Python server while curl sends requests. Returns the trace and the lines that the server printed.
fn trace_python_server(
    tracer_args: &[&str],
    args: &[&str],
    requests: usize,
    lines: usize,
) -> Result<(Trace, Vec<String>)> {
    let mut python = Program::python("server.py", &[])?;
    let tracer = Tracer::of(&[python.pid()], tracer_args)?;
    python.begin()?;
    let port = python.wait_for("port ")?;
    curl::request(&[args, &[&format!("https://127.0.0.1:{port}/[1-{requests}]")]].concat())?;
    tracer.wait_for_lines(lines)?;
    Ok((tracer.stop()?, python.finish()?))
}
