//! Requests that servers reject: before their content is sent, or because they are not well-formed.

use anyhow::Result;
use support::{Exchange, Nginx, Tracer, curl, program::Program};

/// The content, which must not be printed.
const CONTENT: &str = "SecretSecretSecret";

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_requests_after_a_rejected_expect_are_decoded() -> Result<()> {
    let mut server = Program::python("refusing.py", &[])?;
    let tracer = Tracer::of(&[server.pid()], &[])?;
    server.begin()?;
    let url = format!("https://127.0.0.1:{}", server.wait_for("port ")?);
    let content = CONTENT.repeat(70_000);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &content)?;
    let data = format!("@{}", file.path().display());
    let (first, second) = (format!("{url}/first"), format!("{url}/second"));
    curl::request(&[
        "--data-binary",
        &data,
        &first,
        "--next",
        "--insecure",
        "--http1.1",
        "--silent",
        &second,
    ])?;
    server.wait_for("served GET 200")?;
    tracer.wait_for_lines(3)?;
    let trace = tracer.stop()?;
    server.finish()?;
    let summary = |exchange: &Exchange| {
        let text = |pointer| exchange.text(pointer).unwrap_or("none").to_owned();
        let number = |pointer| exchange.number(pointer);
        (
            text("/request/method"),
            text("/request/path"),
            number("/response/status"),
            number("/request/body_bytes"),
        )
    };
    let exchanges: Vec<_> = trace.exchanges()?.iter().map(summary).collect();
    let sent = |method: &str, path: &str, status, bytes| (method.into(), path.into(), Some(status), Some(bytes));
    let expected = [
        sent("POST", "/first", 417, 0),
        sent("POST", "/first", 200, content.len() as u64),
        sent("GET", "/second", 200, 0),
    ];
    assert_eq!(exchanges, expected);
    assert!(!trace.everything().contains(CONTENT));
    Ok(())
}

/// A request, and the expected method, path and `malformed` of its exchange.
type Case = (
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);

const LINE: Option<&str> = Some("start-line");
const FIELD: Option<&str> = Some("field");
const GET: Option<&str> = Some("GET");
const PATH: Option<&str> = Some("/small/a");

/// Requests that nginx rejects. The invalid part of each is, or is followed by, a word that must not be printed.
const CASES: [Case; 40] = [
    ("GET /small/a Secret HTTP/1.1\r\nHost: a\r\n\r\n", GET, None, LINE),
    ("GET /small/a\tSecret HTTP/1.1\r\nHost: a\r\n\r\n", GET, None, LINE),
    ("GET /Secret\u{1} HTTP/1.1\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("GET /Secret\u{7f} HTTP/1.1\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("GET /Secret\0 HTTP/1.1\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("GET /Secret\rSecret HTTP/1.1\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("GET /small/a http/1.1\r\nHost: Secret\r\n\r\n", GET, PATH, LINE),
    ("GET /small/a Http/1.1\r\nHost: Secret\r\n\r\n", GET, PATH, LINE),
    ("GET /small/a HTTP/2.0\r\nHost: Secret\r\n\r\n", GET, PATH, LINE),
    ("GET /small/a HTTP/1.1x\r\nHost: Secret\r\n\r\n", GET, PATH, LINE),
    ("GET /small/a HTTP/x.1\r\nHost: Secret\r\n\r\n", GET, PATH, LINE),
    ("GET /small/a HTTP/\r\nHost: Secret\r\n\r\n", GET, PATH, LINE),
    ("GET /Secret HTTP1.1\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("GET /Secret HTP/1.1\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("GET /Secret HTTP/1.1 Secret\r\nHost: Secret\r\n\r\n", GET, None, LINE),
    ("PUT /small/a http/1.1\r\nHost: Secret\r\n\r\n", Some("PUT"), PATH, LINE),
    ("get /small/a http/1.1\r\nHost: Secret\r\n\r\n", Some("get"), PATH, LINE),
    ("get /small/a HTTP/1.1\r\nHost: a\r\n\r\n", Some("get"), PATH, None),
    ("Get /small/a HTTP/1.1\r\nHost: a\r\n\r\n", Some("Get"), PATH, None),
    ("G(T /Secret HTTP/1.1\r\nHost: Secret\r\n\r\n", None, None, LINE),
    ("\u{16}\u{3}\u{1}Secret\r\n\r\n", None, None, LINE),
    (" GET /Secret HTTP/1.1\r\nHost: Secret\r\n\r\n", None, None, LINE),
    ("GET\t/Secret HTTP/1.1\r\nHost: Secret\r\n\r\n", None, None, LINE),
    (": Secret\r\n\r\n", None, None, LINE),
    ("Secret\r\n\r\n", None, None, LINE),
    ("Secret and more\r\n\r\n", None, None, LINE),
    ("{\"password\":\"Secret\"}\r\n\r\n", None, None, LINE),
    (
        "GET /small/a HTTP/1.1\r\nHost: a\r\nX: a\0Secret\r\n\r\n",
        GET,
        PATH,
        FIELD,
    ),
    (
        "GET /small/a HTTP/1.1\r\nHost: a\r\nX: a\rSecret: b\r\n\r\n",
        GET,
        PATH,
        FIELD,
    ),
    (
        "GET /small/a HTTP/1.1\r\nHost: a\r\nSecret : Secret\r\n\r\n",
        GET,
        PATH,
        FIELD,
    ),
    (
        "GET /small/a HTTP/1.1\r\n Secret: Secret\r\nHost: a\r\n\r\n",
        GET,
        PATH,
        FIELD,
    ),
    (
        "POST /small/a HTTP/1.1\r\nHost: a\r\nContent-Length : 6\r\n\r\nSecret",
        Some("POST"),
        PATH,
        FIELD,
    ),
    ("GET /small/a HTTP/1.1\r\nX: y\r\n\r\n", GET, PATH, None),
    ("GET /small/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", GET, PATH, None),
    (
        "POST /small/a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nSecret",
        Some("POST"),
        PATH,
        None,
    ),
    (
        "POST /small/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 6\r\n\r\nSecret",
        Some("POST"),
        PATH,
        None,
    ),
    (
        "POST /small/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nSecret",
        Some("POST"),
        PATH,
        None,
    ),
    (
        "POST /small/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\nSecret",
        Some("POST"),
        PATH,
        None,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: LONG\r\n\r\n",
        GET,
        Some("/"),
        Some("unfinished"),
    ),
    ("GET /LONG HTTP/1.1\r\nHost: a\r\n\r\n", GET, None, Some("unfinished")),
];

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_well_formed_part_of_a_request_that_nginx_rejects_is_printed() -> Result<()> {
    let nginx = Nginx::start()?;
    let mut client = Program::python("raw.py", &[&nginx.port().to_string()])?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    for (sent, ..) in CASES {
        client.send_line(&serde_json::to_string(&[sent.replace("LONG", &"Secret".repeat(5000))])?)?;
    }
    client.wait_for_count("answered", CASES.len())?;
    tracer.wait_for_lines(CASES.len())?;
    let trace = tracer.stop()?;
    let exchanges = trace.exchanges()?;
    assert_eq!(exchanges.len(), CASES.len(), "{exchanges:#?}");
    let answers = client.finish()?;
    let answers = answers.iter().filter_map(|line| line.strip_prefix("answered "));
    for ((exchange, (sent, method, path, malformed)), answer) in exchanges.iter().zip(CASES).zip(answers) {
        let summary = [
            exchange.text("/request/method"),
            exchange.text("/request/path"),
            exchange.text("/request/malformed"),
        ];
        assert_eq!(summary, [method, path, malformed], "{sent:?}: {exchange:?}");
        let status = exchange.number("/response/status").map(|status| status.to_string());
        assert_eq!(status.as_deref(), Some(answer), "{sent:?}: {exchange:?}");
        assert!(answer.starts_with(['4', '5']), "{sent:?} is answered {answer}");
    }
    assert!(!trace.everything().contains("Secret"), "invalid parts are not printed");
    Ok(())
}
