//! Which kinds of probes are attached, and for how long.

use anyhow::Result;
use serde_json::Value;
use support::{
    Apache, Haproxy, Nginx, Trace, Tracer, certificate::Certificate, curl, loopback, program::Program, wait,
};

/// Requests on one connection each, which are more than the calls that confirm a tap or a lift.
const REQUESTS: usize = 300;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_return_probe_is_attached_to_any_gateway_or_client() -> Result<()> {
    let nginx = Nginx::start()?;
    let haproxy = Haproxy::start(nginx.port(), 1)?;
    let apache = Apache::start(nginx.port())?;
    let directory = tempfile::tempdir()?;
    let Certificate { key, certificate } = Certificate::make(directory.path())?;
    let [key, certificate] = [key, certificate].map(|path| path.display().to_string());
    let mut node = Program::node("server.js", &[&key, &certificate, loopback::IPV4])?;
    let mut python = Program::python("server.py", &[])?;
    let curl = curl::Waiting::start("http1.1")?;
    let gateways = [nginx.master(), haproxy.master(), apache.master()];
    let tracer = Tracer::of(
        &[gateways.as_slice(), &[node.pid(), python.pid(), curl.pid()]].concat(),
        &[],
    )?;
    assert_no_return_probe(&tracer)?;
    for program in [&mut node, &mut python] {
        program.begin()?;
        program.wait_for("port ")?;
    }
    let url = |port: &str, path: &str| format!("https://127.0.0.1:{port}{path}");
    let mut urls: Vec<_> = [(haproxy.port(), "/small/haproxy"), (apache.port(), "/proxied/apache")]
        .map(|(port, path)| url(&port.to_string(), path))
        .into();
    for (program, path) in [(&node, "/node"), (&python, "/python")] {
        urls.push(url(&program.wait_for("port ")?, path));
    }
    curl.request(&urls)?;
    // Each is printed by curl and by its server, and by both gateways also for nginx.
    tracer.wait_for_lines(2 * urls.len() + 2 * 2)?;
    assert_no_return_probe(&tracer)?;
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

fn assert_no_return_probe(tracer: &Tracer) -> Result<()> {
    let kinds = tracer.link_kinds()?;
    assert!(kinds.iter().any(|kind| kind.starts_with("uprobe")), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind.contains("uretprobe")), "{kinds:?}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn return_probes_are_attached_if_they_are_asked_for() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["--hooks", "return"])?;
    let kinds = tracer.link_kinds()?;
    assert!(kinds.iter().any(|kind| kind.contains("uretprobe")), "{kinds:?}");
    curl::request(&[&nginx.url("/small/1")])?;
    tracer.wait_for_lines(1)?;
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_probes_of_calls_are_detached_once_cheaper_ones_are_confirmed() -> Result<()> {
    let nginx = Nginx::start()?;
    let trace = trace_until_fewer_links(nginx.master(), &nginx.url("/small/"), 1)?;
    assert_complete(&trace, 2 * REQUESTS)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_probes_of_calls_that_read_are_detached_where_only_those_that_write_are_needed() -> Result<()> {
    let nginx = Nginx::start()?;
    // It gives its connections BIOs of its own, whose responses only calls show.
    let haproxy = Haproxy::start(nginx.port(), 1)?;
    let url = format!("https://127.0.0.1:{}/small/", haproxy.port());
    // Each request is forwarded to nginx.
    let trace = trace_until_fewer_links(haproxy.master(), &url, 2)?;
    assert_complete(&trace, 4 * REQUESTS)?;
    for exchange in trace.exchanges()? {
        assert!(exchange.text("/connection/remote").is_some(), "{exchange:?}");
    }
    Ok(())
}

/// Sends requests until probes are detached, and as many again, of which each is printed as so many lines.
fn trace_until_fewer_links(pid: u32, url: &str, lines: usize) -> Result<Trace> {
    let tracer = Tracer::of(&[pid], &[])?;
    let before = tracer.bpf_objects()?.links.len();
    let urls = format!("{url}[1-{REQUESTS}]");
    curl::request(&["--output", "/dev/null", &urls])?;
    wait::until_true("fewer links", || Ok(tracer.bpf_objects()?.links.len() < before))?;
    curl::request(&["--output", "/dev/null", &urls])?;
    tracer.wait_for_lines(2 * REQUESTS * lines)?;
    tracer.stop()
}

fn assert_complete(trace: &Trace, exchanges: usize) -> Result<()> {
    let totals = trace.totals()?;
    assert_eq!(
        (totals.exchanges, totals.half, totals.lost_records),
        (exchanges as u64, 0, 0)
    );
    Ok(())
}

/// The lines about hooks that did not serve a process.
fn refusals(trace: &Trace) -> Result<Vec<(Value, Value)>> {
    let mut lines = trace.lines_of("health")?;
    lines.retain(|line| line["subject"] == "hooks");
    Ok(lines
        .into_iter()
        .map(|line| (line["name"].clone(), line["cause"].clone()))
        .collect())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_lift_that_does_not_serve_is_reported_once_for_each_cause() -> Result<()> {
    // Its connections go through pairs of sockets of no address, and the second one writes early data.
    let mut program = Program::c("early.c", &["client", "taken"])?;
    let tracer = Tracer::of(&[program.pid()], &["--no-follow"])?;
    program.begin()?;
    program.wait_for("done")?;
    program.finish()?;
    let trace = tracer.stop()?;
    let causes = refusals(&trace)?;
    assert!(causes.contains(&("lift".into(), "early_data".into())), "{causes:?}");
    let mut distinct = causes.clone();
    distinct.dedup();
    assert_eq!(distinct, causes, "each once");
    assert_eq!(trace.lines_of("loss")?.len(), 0);
    let notes = trace
        .stderr
        .iter()
        .filter(|line| line.contains("the lift of") && line.contains("does not serve program"));
    assert_eq!(notes.count(), causes.len(), "{:?}", trace.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tap_that_is_proven_and_wrong_is_given_up_at_the_first_calls() -> Result<()> {
    /// As many calls as may pass until it is noticed.
    const UNNOTICED: usize = 100;
    let mut program = Program::c_with_fixture("shifted.c", "delivery.c", &[&REQUESTS.to_string()])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    program.wait_for("done")?;
    program.finish()?;
    let trace = tracer.stop()?;
    assert_eq!(refusals(&trace)?, [("tap".into(), "mismatch".into())]);
    // What the tap brought is no request; what the calls bring are the program's, one after the other.
    let requests = trace.exchanges()?;
    let paths: Vec<_> = requests
        .iter()
        .filter_map(|exchange| exchange.text("/request/path"))
        .collect();
    assert!(paths.len() >= REQUESTS - UNNOTICED, "{}", paths.len());
    let expected: Vec<_> = (REQUESTS - paths.len()..REQUESTS)
        .map(|number| format!("/{number}"))
        .collect();
    assert_eq!(paths, expected);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn hooks_that_serve_are_not_reported() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let urls = format!("{}[1-{REQUESTS}]", nginx.url("/small/"));
    curl::request(&["--output", "/dev/null", &urls])?;
    tracer.wait_for_lines(REQUESTS)?;
    let trace = tracer.stop()?;
    assert_eq!(refusals(&trace)?, []);
    Ok(())
}
