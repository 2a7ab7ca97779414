//! All kinds of messages: bodies, large heads, padding, pushes, early hints, trailers, and cancelled streams.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use support::{
    Access, Exchange, Nginx, Trace, Tracer, curl,
    h2load::{H2load, Load},
    nghttp,
    nginx::{LARGE, Setup},
    program::Program,
};

use super::claims::{assert_http2, assert_known, assert_no_complaint};
use crate::claims::{assert_bodies, assert_facts_of_server, assert_same_requests, stop_after, without_loss};

/// Traces nginx while `ask` sends this many requests.
fn trace_nginx(setup: Setup<'_>, requests: usize, send: impl FnOnce(&Nginx) -> Result<()>) -> Result<Seen> {
    let workers = Some(1);
    let nginx = Nginx::start_with(Setup { workers, ..setup })?;
    // What goes to a server without TLS is not logged.
    let tracer = Tracer::of(&nginx.workers()?, &["--no-plaintext"])?;
    send(&nginx)?;
    let (trace, log) = stop_after(tracer, &nginx, requests)?;
    Ok(Seen { trace, log, nginx })
}

/// The traffic as tlscope and nginx saw it.
struct Seen {
    trace: Trace,
    log: Vec<Access>,
    nginx: Nginx,
}

impl Seen {
    /// Asserts that the exchanges match the log. Returns them in the order of their streams.
    fn check(&self) -> Result<Vec<Exchange>> {
        assert_no_complaint(&self.trace)?;
        let mut exchanges = assert_same_requests(&self.trace, &self.log)?;
        assert_facts_of_server(&exchanges, &self.log, &self.nginx)?;
        exchanges.sort_by_key(|exchange| exchange.number("/stream"));
        Ok(exchanges)
    }
}

fn assert_load_is_seen(load: Load<'_>, response: u64) -> Result<()> {
    let send = |nginx: &Nginx| H2load::start(&nginx.url(""), load)?.finish();
    let traced = || trace_nginx(Setup::default(), load.requests, send);
    let seen = without_loss(traced, |seen| &seen.trace)?;
    let exchanges = seen.check()?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, load.body.try_into()?, response);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn large_responses_are_decoded_to_their_end() -> Result<()> {
    let load = Load {
        connections: 4,
        streams: 10,
        ..Load::of(400, "/large/NUMBER")
    };
    assert_load_is_seen(load, LARGE)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn request_bodies_are_counted_without_their_framing() -> Result<()> {
    let load = Load {
        body: 100_000,
        streams: 10,
        ..Load::of(1_000, "/post/NUMBER")
    };
    assert_load_is_seen(load, 0)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn responses_without_a_body_are_complete() -> Result<()> {
    let setup = Setup {
        locations: "location /unchanged { if_modified_since before; rewrite ^ /large break; }",
        ..Setup::default()
    };
    let seen = trace_nginx(setup, 4, |nginx| {
        let url = |path| nginx.url(path);
        curl::request(&["--http2", "--head", &url("/large/head")])?;
        curl::request(&["--http2", "--data", "body", &url("/post/204")])?;
        let since = "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT";
        curl::request(&["--http2", "--header", since, &url("/unchanged")])?;
        curl::request(&["--http2", "--upload-file", "/dev/null", &url("/upload/201")]).map(drop)
    })?;
    let exchanges = seen.check()?;
    assert_http2(&exchanges);
    let answer = |path: &str| {
        let exchange = exchanges
            .iter()
            .find(|exchange| exchange.text("/request/path") == Some(path));
        let exchange = exchange.with_context(|| format!("{path} is missing"))?;
        assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
        assert_eq!(exchange.number("/response/body_bytes"), Some(0), "{exchange:?}");
        let numbers = ["/response/status", "/request/body_bytes"].map(|pointer| exchange.number(pointer));
        anyhow::Ok(numbers)
    };
    assert_eq!(answer("/large/head")?, [Some(200), Some(0)]);
    assert_eq!(answer("/post/204")?, [Some(204), Some(4)]);
    assert_eq!(answer("/unchanged")?, [Some(304), Some(0)]);
    assert_eq!(answer("/upload/201")?, [Some(201), Some(0)]);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_head_in_many_padded_frames_is_one_head() -> Result<()> {
    const BODY: usize = 50_000;
    let content = tempfile::NamedTempFile::new()?;
    std::fs::write(content.path(), vec![b'u'; BODY])?;
    let data = format!("--data={}", content.path().display());
    let seen = trace_nginx(Setup::default(), 1, |nginx| {
        nghttp::request(&["--continuation", "--padding=200", &data, &nginx.url("/post/padded")]).map(drop)
    })?;
    let exchanges = seen.check()?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, BODY.try_into()?, 0);
    let fields = exchanges
        .first()
        .context("no exchange is printed")?
        .fields("/request/headers");
    let long = |(name, value): &&(Option<&str>, Option<&str>)| {
        name.is_some_and(|name| name.starts_with("continuation-test-"))
            && value.is_some_and(|value| value.len() > 4_000)
    };
    // They exceed the size of a frame.
    assert!(fields.iter().filter(long).count() * 4_000 > 16_384, "{fields:?}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_pushed_response_is_an_exchange_of_its_own() -> Result<()> {
    let locations = "location /pushing { http2_push /small/pushed; return 200 'push\\n'; }";
    let setup = Setup {
        locations,
        ..Setup::default()
    };
    let seen = trace_nginx(setup, 2, |nginx| nghttp::request(&[&nginx.url("/pushing")]).map(drop))?;
    let exchanges = seen.check()?;
    let [pushed, requested] = exchanges.as_slice() else {
        panic!("{exchanges:?}");
    };
    assert_eq!(pushed.number("/stream"), Some(2));
    assert_eq!(pushed.text("/request/path"), Some("/small/pushed"));
    assert_eq!(requested.text("/request/path"), Some("/pushing"));
    for exchange in &exchanges {
        assert_known(exchange);
        assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn streams_that_a_client_cancels_are_printed_as_reset() -> Result<()> {
    const EACH: usize = 20;
    const WINDOW: u64 = 65_535;
    // Accepts connections into its backlog and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let locations = format!("location /silent/ {{ proxy_pass http://{}; }}", silent.local_addr()?);
    let nginx = Nginx::start_with(Setup {
        locations: &locations,
        workers: Some(1),
        ..Setup::default()
    })?;
    let mut client = Program::python("http2_reset.py", &[&nginx.port().to_string(), &EACH.to_string()])?;
    // What goes to a server without TLS is not logged.
    let tracer = Tracer::of(&nginx.workers()?, &["--no-plaintext"])?;
    client.begin()?;
    let (trace, log) = stop_after(tracer, &nginx, 2 * EACH + 1)?;
    client.finish()?;
    assert_no_complaint(&trace)?;
    let (exchanges, totals) = (trace.exchanges()?, trace.totals()?);
    assert_eq!((exchanges.len(), totals.half), (log.len(), EACH.try_into()?));
    for exchange in &exchanges {
        let path = exchange.text("/request/path").unwrap_or_default();
        let expected = match path.split('/').nth(1) {
            Some("large") => (Some(200), Some(WINDOW), Some("reset")),
            Some("silent") => (None, None, Some("reset")),
            _ => (Some(200), Some(6), Some("complete")),
        };
        let seen = (
            exchange.number("/response/status"),
            exchange.number("/response/body_bytes"),
            exchange.text("/ended"),
        );
        assert_eq!(seen, expected, "{exchange:?}");
    }
    let paths = |prefix: &str| {
        let begins = |exchange: &&Exchange| {
            exchange
                .text("/request/path")
                .is_some_and(|path| path.starts_with(prefix))
        };
        exchanges.iter().filter(begins).count()
    };
    assert_eq!((paths("/large/"), paths("/silent/"), paths("/small/")), (EACH, EACH, 1));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn early_hints_and_trailers_belong_to_their_exchange() -> Result<()> {
    let mut server = Program::python("http2_server.py", &[])?;
    let tracer = Tracer::of(&[server.pid()], &[])?;
    server.begin()?;
    let url = format!("https://127.0.0.1:{}/hints", server.wait_for("port ")?);
    let content = tempfile::NamedTempFile::new()?;
    std::fs::write(content.path(), "body")?;
    let data = format!("--data={}", content.path().display());
    nghttp::request(&[
        "--trailer",
        "x-first: 1",
        "--trailer",
        "x-api-key: pLanted",
        &data,
        &url,
    ])?;
    tracer.wait_for_lines(1)?;
    let trace = tracer.stop()?;
    assert_no_complaint(&trace)?;
    let exchanges = trace.exchanges()?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, 4, 6);
    let [exchange] = exchanges.as_slice() else {
        panic!("{exchanges:?}");
    };
    let hint = |number| {
        let link = format!("</style-{number}.css>; rel=preload");
        serde_json::json!({"status": 103, "headers": [["link", link]]})
    };
    assert_eq!(exchange.0["informational"], serde_json::json!([hint(1), hint(2)]));
    let trailers = [(Some("x-first"), Some("1")), (Some("x-api-key"), Some("[redacted]"))];
    assert_eq!(exchange.fields("/request/trailers"), trailers);
    let trailers = [(Some("x-checksum"), Some("abc")), (Some("x-trailers"), Some("2"))];
    assert_eq!(exchange.fields("/response/trailers"), trailers);
    assert_eq!(
        server.finish()?.iter().filter(|line| *line == "served /hints").count(),
        1
    );
    Ok(())
}
