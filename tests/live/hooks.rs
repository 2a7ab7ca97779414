//! Which kinds of probes are attached, and for how long.

use anyhow::Result;
use support::{Apache, Haproxy, Nginx, Tracer, certificate::Certificate, curl, loopback, program::Program, wait};

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
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let before = tracer.bpf_objects()?.links.len();
    let urls = format!("{}[1-{REQUESTS}]", nginx.url("/small/"));
    curl::request(&["--output", "/dev/null", &urls])?;
    wait::until_true("fewer links", || Ok(tracer.bpf_objects()?.links.len() < before))?;
    // What comes later is captured all the same.
    curl::request(&["--output", "/dev/null", &urls])?;
    tracer.wait_for_lines(2 * REQUESTS)?;
    let trace = tracer.stop()?;
    let totals = trace.totals()?;
    assert_eq!(
        (totals.exchanges, totals.half, totals.lost_records),
        (2 * REQUESTS as u64, 0, 0)
    );
    Ok(())
}
