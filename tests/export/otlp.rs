//! OpenTelemetry: what a collector gets of a tape.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{
    binary,
    certificate::Certificate,
    otlp::{Collector, Report},
    run,
    secrets::find_secret,
};
use tracer_ebpf::{AddressSource, Direction};

use crate::{
    Test,
    exported::{many, one, replay, replay_with, unsent},
    tape_builder::{OWN_NETNS, RESPONSE, TapeBuilder},
};

pub(crate) const TESTS: &[Test] = &[
    ("every_exchange_is_one_span_over_http", every_exchange_over_http),
    ("every_exchange_is_one_span_over_grpc", every_exchange_over_grpc),
    ("upstream_spans_are_below_those_of_the_clients_of_a_gateway", hops),
    ("an_upstream_exchange_that_is_alone_is_a_span_too", alone),
    ("a_span_waits_for_the_end_of_its_exchange", waits_for_the_end),
    ("logs_are_the_lines_of_the_output", logs),
    ("metrics_count_every_exchange", metrics),
    ("no_signal_shows_a_secret", secrets),
    ("exchanges_of_exports_are_not_sent", own),
    ("tls_and_headers_come_from_the_environment", environment),
];

/// Connections, and exchanges on each.
const CONNECTIONS: u64 = 100;
const EACH: u64 = 200;

fn every_exchange_over_http() -> Result<()> {
    every_exchange(Collector::http)
}

fn every_exchange_over_grpc() -> Result<()> {
    every_exchange(Collector::grpc)
}

fn every_exchange(url: fn(&Collector) -> &str) -> Result<()> {
    let mut collector = Collector::start()?;
    let url = url(&collector).to_owned();
    let args = ["--otlp", &url, "--otlp-capture-headers", "x-tenant"];
    let output = replay(&many(CONNECTIONS, EACH)?, &args)?;
    assert_eq!(unsent(&output.stderr), 0, "{}", output.stderr);
    let report = collector.report()?;
    assert_eq!(report.spans()?.len(), usize::try_from(CONNECTIONS * EACH)?);
    let mut seen = BTreeSet::new();
    for span in report.spans()? {
        let path = span["attributes"]["url.path"].as_str().context("no path")?;
        let id: u64 = path.trim_start_matches('/').parse()?;
        assert!(seen.insert(id), "{path} is there twice");
        assert_eq!(span["trace"], format!("{id:032x}"));
        assert_eq!(span["parent"], format!("{id:016x}"));
        assert_server_span(span, path);
    }
    let spans: BTreeSet<_> = report.spans()?.iter().map(|span| span["span"].to_string()).collect();
    assert_eq!(spans.len(), seen.len(), "ids of spans differ");
    assert_eq!(find_secret(&report.text), None);
    assert_eq!(find_secret(&output.stderr), None);
    Ok(())
}

/// Asserts that a span has what the conventions require of one of a server, and nothing that they do not name.
fn assert_server_span(span: &Value, path: &str) {
    assert_eq!(
        (&span["name"], &span["kind"], &span["status"]),
        (&json!("GET"), &json!(2), &json!(0)),
        "{span}"
    );
    assert_eq!(
        span["resource"],
        json!({"service.name": "nginx", "process.pid": 7, "tlscope.process": "nginx"})
    );
    let expected = json!({
        "http.request.method": "GET",
        "http.request.header.x-tenant": ["acme"],
        "http.request.body.size": 0,
        "http.response.status_code": 200,
        "http.response.body.size": 2,
        "url.scheme": "https",
        "url.path": path,
        "url.query": "page=2&token=[redacted]",
        "server.address": "a.test",
        "server.port": 443,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": 50_312,
        "network.local.address": "127.0.0.1",
        "network.local.port": 8443,
        "network.protocol.version": "1.1",
        "user_agent.original": "curl/8",
    });
    let own = |name: &str| name.starts_with("tlscope.");
    let mut found = span["attributes"].clone();
    if let Some(found) = found.as_object_mut() {
        found.retain(|name, _| !own(name));
    }
    assert_eq!(found, expected);
    assert_eq!(
        span["end"]
            .as_u64()
            .zip(span["start"].as_u64())
            .map(|(end, start)| end - start),
        Some(1_000_000)
    );
}

/// Makes a tape of a request to a gateway, and of the one that the gateway made of it.
fn gateway(client: &str, gateway: &str) -> Result<TapeBuilder> {
    let request = |fields: &str| format!("GET /x HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: 4711\r\n{fields}\r\n");
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, OWN_NETNS)?
        .facts(2, AddressSource::BIO, OWN_NETNS)?
        .data(1, Direction::READ, request(client).as_bytes())?
        .data(2, Direction::WRITE, request(gateway).as_bytes())?
        .data(2, Direction::READ, RESPONSE)?
        .data(1, Direction::WRITE, RESPONSE)?;
    Ok(tape)
}

const CLIENTS: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
const GATEWAYS: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";

fn hops() -> Result<()> {
    for (client, passed_on, trace, parent, links) in [
        ("", "", None, "", json!([])),
        (
            CLIENTS,
            CLIENTS,
            Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            "00f067aa0ba902b7",
            json!([]),
        ),
        (
            CLIENTS,
            GATEWAYS,
            Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            "00f067aa0ba902b7",
            json!(["b7ad6b7169203331"]),
        ),
        (
            "",
            GATEWAYS,
            Some("0af7651916cd43dd8448eb211c80319c"),
            "",
            json!(["b7ad6b7169203331"]),
        ),
    ] {
        let tape = gateway(client, passed_on)?;
        let mut collector = Collector::start()?;
        let args = ["--hops", "--otlp", collector.grpc()];
        replay(&tape, &args.map(str::to_owned).each_ref().map(String::as_str))?;
        let first = collector.report()?;
        let [server, client] = sides(&first)?;
        assert_eq!((&server["parent"], &server["links"]), (&json!(parent), &json!([])));
        assert_eq!(
            (&client["parent"], &client["trace"]),
            (&server["span"], &server["trace"])
        );
        assert_eq!(client["links"], links);
        if let Some(trace) = trace {
            assert_eq!(server["trace"], trace);
        }
        assert_eq!(client["attributes"]["url.full"], "https://a.test/x");
        assert_eq!(client["attributes"]["tlscope.joined"], "request-id");
        assert_eq!(server["attributes"]["tlscope.gateway_us"], 2000);
    }
    Ok(())
}

fn alone() -> Result<()> {
    let mut tape = TapeBuilder::new();
    let asked = format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{GATEWAYS}\r\n");
    tape.facts(2, AddressSource::BIO, OWN_NETNS)?
        .data(2, Direction::WRITE, asked.as_bytes())?
        .data(2, Direction::READ, RESPONSE)?;
    let mut collector = Collector::start()?;
    let url = collector.http().to_owned();
    replay(&tape, &["--hops", "--otlp", &url])?;
    let report = collector.report()?;
    let [span] = &report.spans()?[..] else {
        anyhow::bail!("{}", report.text)
    };
    assert_eq!(
        (&span["kind"], &span["parent"]),
        (&json!(3), &json!("b7ad6b7169203331"))
    );
    Ok(())
}

/// Returns the span of a server and that of a client.
fn sides(report: &Report) -> Result<[&Value; 2]> {
    let spans = report.spans()?;
    assert_eq!(spans.len(), 2, "{spans:?}");
    let of = |kind: u64| {
        spans
            .iter()
            .find(|span| span["kind"] == kind)
            .context("a side is missing")
    };
    Ok([of(2)?, of(3)?])
}

fn waits_for_the_end() -> Result<()> {
    let (head, body) = RESPONSE.split_at(RESPONSE.len() - 2);
    let (asked, answered) = ("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n", head.len() as u64);
    let (read, write) = (Direction::READ, Direction::WRITE);
    let mut tape = one()?;
    tape.facts(2, AddressSource::BIO, OWN_NETNS)?
        .data(2, read, asked.as_bytes())?
        .data(2, write, head)?
        .wait(3000)
        .data_at(2, write, answered, body)?
        .data_at(2, read, asked.len() as u64, asked.replace("slow", "open").as_bytes())?
        .data_at(2, write, RESPONSE.len() as u64, head)?
        .wait(3000);
    let mut collector = Collector::start()?;
    let url = collector.http().to_owned();
    let output = replay(&tape, &["--otlp", &url])?;
    assert!(output.stdout.contains(r#""type":"end""#), "{}", output.stdout);
    let report = collector.report()?;
    let of = |path: &str| -> Result<Value> {
        let mut found = report
            .spans()?
            .iter()
            .filter(|span| span["attributes"]["url.path"] == path);
        let span = found.next().context("a span is missing")?;
        assert!(found.next().is_none(), "{path} is there twice");
        Ok(span.clone())
    };
    let slow = of("/slow")?;
    let nanos = |span: &Value| {
        span["end"]
            .as_u64()
            .zip(span["start"].as_u64())
            .map(|(end, start)| end - start)
    };
    assert_eq!(nanos(&slow), Some(3_002_000_000));
    assert_eq!(slow["attributes"]["http.response.body.size"], 2);
    assert_eq!(slow["attributes"]["tlscope.ended"], "complete");
    of("/x")?;
    of("/open")?;
    assert_eq!(report.spans()?.len(), 3);
    Ok(())
}

fn logs() -> Result<()> {
    let mut collector = Collector::start()?;
    let url = collector.http().to_owned();
    let output = replay(&many(3, 5)?, &["--otlp", &url, "--otlp-signals", "logs,traces"])?;
    let report = collector.report()?;
    let bodies: Vec<_> = report
        .logs()?
        .iter()
        .filter_map(|record| record["body"].as_str())
        .collect();
    assert_eq!(bodies, output.stdout.lines().collect::<Vec<_>>());
    let spans: BTreeMap<_, _> = report
        .spans()?
        .iter()
        .map(|span| (span["attributes"]["tlscope.id"].to_string(), span))
        .collect();
    for record in report.logs()? {
        let line: Value = serde_json::from_str(record["body"].as_str().context("no body")?)?;
        let span = spans.get(&line["id"].to_string()).context("it has no span")?;
        assert_eq!((&record["trace"], &record["span"]), (&span["trace"], &span["span"]));
        assert_eq!(record["severity"], "INFO");
    }
    Ok(())
}

fn metrics() -> Result<()> {
    let mut collector = Collector::start()?;
    let url = collector.grpc().to_owned();
    replay(&many(3, 5)?, &["--otlp", &url, "--otlp-signals=metrics"])?;
    let report = collector.report()?;
    assert!(report.spans()?.is_empty() && report.logs()?.is_empty());
    let (records, durations): (Vec<_>, Vec<_>) = report
        .metrics()?
        .iter()
        .partition(|point| point["name"] == "tlscope.records");
    let ([records], [point]) = (&records[..], &durations[..]) else {
        anyhow::bail!("{:?}", report.metrics()?)
    };
    // Each exchange is a record that was read and one that was written.
    let function = json!({"tlscope.library": "openssl", "tlscope.function": "SSL_read"});
    assert_eq!(
        (&records["unit"], &records["count"], &records["attributes"]),
        (&json!("{record}"), &json!(30), &function)
    );
    assert_eq!(
        (&point["name"], &point["unit"]),
        (&json!("http.server.request.duration"), &json!("s"))
    );
    assert_eq!((&point["count"], &point["sum"]), (&json!(15), &json!(0.015)));
    assert_eq!(point["buckets"], json!([15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(
        point["bounds"],
        json!([
            0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0
        ])
    );
    let expected = json!({
        "http.request.method": "GET", "url.scheme": "https", "network.protocol.version": "1.1",
        "http.response.status_code": 200,
    });
    assert_eq!(point["attributes"], expected);
    Ok(())
}

fn secrets() -> Result<()> {
    let mut counts = [0; 3];
    for tape in crate::tapes::all()? {
        let mut collector = Collector::start()?;
        let mut command = binary::command(&["replay"])?;
        command
            .arg(&tape)
            .args(["--hops", "--otlp-signals", "traces,logs,metrics"])
            .args(["--otlp-capture-headers", "all", "--otlp", collector.http()]);
        let output = run::succeed(&mut command)?;
        let report = collector.report()?;
        let text = report.text.replace("},", "},\n");
        assert_eq!(
            find_secret(&text).or(find_secret(&output.stderr)),
            None,
            "{}",
            tape.display()
        );
        let found = [report.spans()?, report.logs()?, report.metrics()?].map(Vec::len);
        counts.iter_mut().zip(found).for_each(|(count, found)| *count += found);
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
    Ok(())
}

fn own() -> Result<()> {
    let request = |agent: &str| format!("POST /v1/traces HTTP/1.1\r\nHost: a.test\r\nUser-Agent: {agent}\r\n\r\n");
    let mut tape = TapeBuilder::new();
    for (connection, agent) in [
        (1, concat!("tlscope/", env!("CARGO_PKG_VERSION"), " (OTLP)")),
        (2, "another/1"),
    ] {
        tape.facts(connection, AddressSource::BIO, OWN_NETNS)?
            .data(connection, Direction::READ, request(agent).as_bytes())?
            .data(connection, Direction::WRITE, RESPONSE)?;
    }
    let mut collector = Collector::start()?;
    let url = collector.http().to_owned();
    let output = replay(&tape, &["--otlp", &url, "--otlp-signals", "traces,logs"])?;
    assert_eq!(output.stdout.lines().count(), 2);
    let report = collector.report()?;
    let [span] = &report.spans()?[..] else {
        anyhow::bail!("{}", report.text)
    };
    assert_eq!(span["attributes"]["user_agent.original"], "another/1");
    assert_eq!(report.logs()?.len(), 1);
    // Requests to the collector have that name.
    let agent = &report.requests()?[0]["fields"]["user-agent"];
    assert_eq!(agent, concat!("tlscope/", env!("CARGO_PKG_VERSION"), " (OTLP)"));
    Ok(())
}

fn environment() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make_of_server(folder.path())?;
    let mut collector = Collector::start_tls(&certificate)?;
    let url = collector.http().to_owned();
    let authorities = certificate.certificate.to_string_lossy();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authorities),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20pLanted01,x-scope=a",
        ),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    // Variables alone send nothing.
    replay_with(&one()?, &[], &variables)?;
    assert!(collector.report()?.requests()?.is_empty());
    let output = replay_with(&one()?, &["--otlp", "--otlp-header", "x-scope=b"], &variables)?;
    let report = collector.report()?;
    let [span] = &report.spans()?[..] else {
        anyhow::bail!("{}", output.stderr)
    };
    assert_eq!(span["resource"]["service.name"], "shop");
    assert_eq!(span["resource"]["deployment.environment.name"], "test");
    let fields = &report.requests()?[0]["fields"];
    assert_eq!(
        (&fields["authorization"], &fields["x-scope"]),
        (&json!("Bearer pLanted01"), &json!("b"))
    );
    assert_eq!(find_secret(&output.stderr), None);
    // Without the certificate, the collector is not trusted.
    let output = replay_with(&one()?, &["--otlp", &url], &[])?;
    assert_eq!(unsent(&output.stderr), 1, "{}", output.stderr);
    Ok(())
}
