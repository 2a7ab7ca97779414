//! Spans of a gateway, in a collector that is down while there is traffic.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use support::{
    Nginx, Tracer,
    nginx::Setup,
    otlp::{Collector, Report},
    program::Program,
    secrets::find_secret,
    wait,
};

/// Connections of the client, and requests on each.
const CONNECTIONS: usize = 10;
const EACH: usize = 100;
const REQUESTS: usize = CONNECTIONS * EACH;

/// Traces nginx in front of another. Each request is one span of the server, with one of the client below it.
pub(crate) fn gateway() -> Result<()> {
    let upstream = Nginx::start_with(Setup {
        locations: "location /app/ { return 200 'small\\n'; }",
        workers: Some(1),
        ..Setup::default()
    })?;
    let nginx = Nginx::start_with(Setup {
        locations: &format!("location /app/ {{ proxy_pass https://127.0.0.1:{}; }}", upstream.port()),
        workers: Some(1),
        ..Setup::default()
    })?;
    for url in [Collector::http, Collector::grpc] {
        let mut collector = Collector::start()?;
        let url = url(&collector).to_owned();
        let report = trace(&nginx, &mut collector, &url)?;
        check(&report).with_context(|| url)?;
    }
    Ok(())
}

/// Traces requests while the collector is down. Returns what it gets when it is there again.
fn trace(nginx: &Nginx, collector: &mut Collector, url: &str) -> Result<Report> {
    let (port, connections, each) = (nginx.port().to_string(), CONNECTIONS.to_string(), EACH.to_string());
    let mut client = Program::python("hops.py", &[&port, "/app/NUMBER", &connections, &each, "own", "ready"])?;
    let options = [
        "--hops",
        "--hold",
        "50ms",
        "-o",
        "json",
        "--otlp-capture-headers",
        "x-probe",
    ];
    let tracer = Tracer::of(&[nginx.master()], &[&options[..], &["--otlp", url]].concat())?;
    collector.stop()?;
    client.begin()?;
    client.wait_for("done")?;
    tracer.wait_for_message(&["spans to", "trying again"])?;
    collector.start_again()?;
    let report = wait::until("the spans", || {
        let report = collector.report()?;
        let is_whole = report.spans()?.len() >= 2 * REQUESTS;
        Ok(is_whole.then_some(report))
    })?;
    tracer.wait_for_message(&["spans to", "works again"])?;
    client.finish()?;
    let trace = tracer.stop()?;
    ensure!(
        trace.code == Some(0) && trace.totals()?.lost_records == 0,
        "{}",
        trace.everything()
    );
    ensure!(!trace.everything().contains("not sent") && !trace.everything().contains("not exported"));
    Ok(report)
}

/// Asserts that there is one span for each side of each request, and that the one of the client is below that of the server.
fn check(report: &Report) -> Result<()> {
    let mut by_probe: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for span in report.spans()? {
        let probe = span["attributes"]["http.request.header.x-probe"].to_string();
        by_probe.entry(probe).or_default().push(span);
    }
    assert_eq!((by_probe.len(), report.spans()?.len()), (REQUESTS, 2 * REQUESTS));
    for spans in by_probe.values() {
        let of = |kind: u64| {
            spans
                .iter()
                .find(|span| span["kind"] == kind)
                .context("a side is missing")
        };
        let (server, client) = (of(2)?, of(3)?);
        assert_eq!(
            (&client["parent"], &client["trace"]),
            (&server["span"], &server["trace"])
        );
        assert_eq!(server["parent"], "");
        for span in [server, client] {
            assert_eq!(span["resource"]["service.name"], "nginx");
            assert!(span["resource"]["host.name"].is_string(), "{span}");
            assert!(span["end"].as_u64() >= span["start"].as_u64(), "{span}");
            assert_eq!(span["attributes"]["tlscope.ended"], "complete");
        }
    }
    assert_eq!(find_secret(&report.text.replace("},", "},\n")), None);
    Ok(())
}
