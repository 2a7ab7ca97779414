//! Requests that are refused, before their content has come or because they are not well-formed.

use anyhow::Result;
use support::{Exchange, Tracer, curl, program::Program};

/// What was sent as content, which is printed nowhere.
const CONTENT: &str = "SecretSecretSecret";

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_client_that_is_refused_before_its_content_goes_on_with_the_next_request() -> Result<()> {
    let mut server = Program::python("refusing.py", &[])?;
    let tracer = Tracer::of(&[server.pid()], &[])?;
    server.begin()?;
    let url = format!("https://127.0.0.1:{}", server.wait_for("port ")?);
    let content = CONTENT.repeat(70_000);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &content)?;
    let data = format!("@{}", file.path().display());
    let (first, second) = (format!("{url}/first"), format!("{url}/second"));
    curl::ask(&[
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
    let said = |exchange: &Exchange| {
        let text = |pointer| exchange.text(pointer).unwrap_or("none").to_owned();
        let number = |pointer| exchange.number(pointer);
        (
            text("/request/method"),
            text("/request/path"),
            number("/response/status"),
            number("/request/body_bytes"),
        )
    };
    let exchanges: Vec<_> = trace.exchanges()?.iter().map(said).collect();
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
