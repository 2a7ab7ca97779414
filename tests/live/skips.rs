//! Large bodies, which are skipped once their length is known, and what follows them on the same connection.

use std::{fs::File, path::PathBuf};

use anyhow::{Context as _, Result};
use support::{Metrics, Nginx, Trace, Tracer, curl, nginx::Setup};
use tempfile::TempDir;

/// Bytes of a large body.
const LARGE: u64 = 48 * 1024 * 1024;

/// Bytes of the body of a small response.
const SMALL: u64 = 6;

/// A file of [`LARGE`] bytes, which takes no room.
fn large_file() -> Result<(TempDir, PathBuf)> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("large");
    File::create(&path)?.set_len(LARGE)?;
    Ok((directory, path))
}

/// Uploads a file, in two ways if `chunked`, downloads it, and makes small requests in between, on one connection.
fn transfer(nginx: &Nginx, version: &str, chunked: bool) -> Result<usize> {
    let (_directory, file) = large_file()?;
    let file = file.to_str().context("a path that is no UTF-8")?;
    let (stored, small) = (nginx.url("/upload/large"), nginx.url("/small/1"));
    let common = [
        version,
        "--silent",
        "--show-error",
        "--fail",
        "--insecure",
        "--output",
        "/dev/null",
    ];
    let mut arguments = vec!["--header", "Expect:", "--upload-file", file, &stored];
    let mut requests = vec![
        vec![small.as_str()],
        vec![&stored],
        vec![&small],
        vec![&stored],
        vec![&small],
    ];
    if chunked {
        let header = "Transfer-Encoding: chunked";
        requests.push(vec![
            "--header",
            header,
            "--header",
            "Expect:",
            "--upload-file",
            file,
            &stored,
        ]);
        requests.push(vec![&small]);
    }
    for request in &requests {
        arguments.push("--next");
        arguments.extend(common);
        arguments.extend(request);
    }
    let first = [&common[..], &arguments].concat();
    curl::request(&first)?;
    Ok(1 + requests.len())
}

/// The method and the path of an exchange, and the lengths of its bodies.
type Bodies = (String, Option<u64>, Option<u64>);

/// Returns the bodies of each exchange, and asserts that all are whole.
fn bodies(trace: &Trace) -> Result<Vec<Bodies>> {
    let exchanges = trace.exchanges()?;
    let of = |exchange: &support::Exchange| {
        assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
        assert!(exchange.is_whole(), "{exchange:?}");
        let method = exchange.text("/request/method").unwrap_or_default();
        let path = exchange.text("/request/path").unwrap_or_default();
        (
            format!("{method} {path}"),
            exchange.number("/request/body_bytes"),
            exchange.number("/response/body_bytes"),
        )
    };
    Ok(exchanges.iter().map(of).collect())
}

/// The bytes that were not copied, by a message of `-v`.
fn skipped(trace: &Trace) -> Option<u64> {
    let message = trace.stderr.iter().find(|line| line.contains("that were not copied"))?;
    message.rsplit(' ').next()?.parse().ok()
}

/// Traces the transfers, and asserts that each exchange is printed once, with all bytes of its bodies.
fn trace(hooks: &str, version: &str, chunked: bool) -> Result<Trace> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["--hooks", hooks, "--hold", "60s", "-v"])?;
    let requests = transfer(&nginx, version, chunked)?;
    tracer.wait_for_lines(requests)?;
    let trace = tracer.stop()?;
    let (put, get) = ("PUT /upload/large", "GET /upload/large");
    let small = ("GET /small/1", 0, SMALL);
    let mut expected = vec![(put, LARGE, 0), small, (get, 0, LARGE), small, (get, 0, LARGE), small];
    if chunked {
        expected.extend([(put, LARGE, 0), small]);
    }
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(request, sent, received)| (request.to_owned(), Some(sent), Some(received)))
        .collect();
    assert_eq!(bodies(&trace)?, expected);
    let totals = trace.totals()?;
    assert_eq!((totals.half, totals.lost_records, totals.lost_bytes), (0, 0, 0));
    assert_eq!(trace.lines_of("loss")?.len(), 0);
    Ok(trace)
}

/// Some of the bytes are skipped: how many depends on how fast they move.
fn trace_http1(hooks: &str) -> Result<()> {
    let trace = trace(hooks, "--http1.1", true)?;
    let skipped = skipped(&trace).context("no byte was skipped")?;
    assert!(skipped < 4 * LARGE, "{skipped}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn what_follows_a_skipped_body_is_seen_by_taps_and_lifts() -> Result<()> {
    trace_http1("tap")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn what_follows_a_skipped_body_is_seen_by_exits() -> Result<()> {
    trace_http1("exit")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn large_bodies_over_http_2_are_counted_and_what_follows_them_is_seen() -> Result<()> {
    trace("auto", "--http2", false).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn connections_that_the_filter_leaves_out_are_not_captured() -> Result<()> {
    const REQUESTS: usize = 2000;
    let left_out = Nginx::start_with(Setup {
        locations: &format!("location /page/ {{ return 200 \"{}\"; }}", "x".repeat(3000)),
        ..Setup::default()
    })?;
    let wanted = Nginx::start()?;
    let port = wanted.port().to_string();
    let args = ["--local-port", &port, "--metrics", "127.0.0.1:0"];
    let tracer = Tracer::of(&[left_out.master(), wanted.master()], &args)?;
    let metrics = Metrics::of(&tracer)?;
    let mut before = 0;
    // Responses of large calls, and of small ones: these look up what is announced now and then.
    for path in ["page", "small"] {
        curl::request(&[&left_out.url(&format!("/{path}/[1-{REQUESTS}]"))])?;
        let records = usize::try_from(metrics.scrape()?.count("tlscope_records_total", &[])?)?;
        // Each request would be a record, and each response.
        assert!(records - before < REQUESTS / 2, "{} records", records - before);
        before = records;
    }
    curl::request(&[&wanted.url("/small/wanted")])?;
    tracer.wait_for_lines(1)?;
    let trace = tracer.stop()?;
    let exchanges = trace.exchanges()?;
    assert_eq!((exchanges.len(), trace.totals()?.lost_records), (1, 0));
    Ok(())
}
