//! A program that is linked with OpenSSL statically and has no names of its functions.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use support::{Tracer, binary, program::Program, run};

const CONNECTIONS: usize = 20;
const REQUESTS: usize = 10;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_a_stripped_server_is_seen() -> Result<()> {
    assert_all_seen(Program::c_stripped("server.c", &[])?)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_a_server_with_a_debug_file_is_seen() -> Result<()> {
    assert_all_seen(Program::c_with_debug_file("server.c", &[])?)
}

fn assert_all_seen(mut server: Program) -> Result<()> {
    let port = server.wait_for("port")?;
    let mut client = Program::python("raw.py", &[&port])?;
    let tracer = Tracer::of(&[server.pid()], &["--side", "server"])?;
    server.begin()?;
    let mut sent = BTreeMap::new();
    for connection in 0..CONNECTIONS {
        let paths: Vec<_> = (0..REQUESTS)
            .map(|request| format!("/{connection}/{request}"))
            .collect();
        let requests: Vec<_> = paths
            .iter()
            .map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .collect();
        client.send_line(&serde_json::to_string(&requests)?)?;
        sent.extend(paths.into_iter().map(|path| (path, 1)));
    }
    let count = CONNECTIONS * REQUESTS;
    client.wait_for_count("answered 200", count)?;
    tracer.wait_for_lines(count)?;
    let trace = tracer.stop()?;
    client.finish()?;
    server.finish()?;
    let mut seen = BTreeMap::new();
    let own = format!("127.0.0.1:{port}");
    let mut clients = BTreeMap::new();
    for exchange in trace.exchanges()? {
        let path = exchange.text("/request/path").context("no path")?.to_owned();
        assert!(exchange.is_whole(), "{exchange:?}");
        assert_eq!(exchange.response_header("x-path"), Some(path.as_str()), "{exchange:?}");
        assert_eq!(exchange.text("/connection/local"), Some(own.as_str()), "{exchange:?}");
        let (connection, _) = path.trim_start_matches('/').split_once('/').context("no connection")?;
        let client = exchange.text("/connection/remote").context("no address")?.to_owned();
        let known = clients.entry(connection.to_owned()).or_insert_with(|| client.clone());
        assert_eq!(*known, client, "{exchange:?}");
        *seen.entry(path).or_insert(0) += 1;
    }
    assert_eq!(seen, sent);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn inspect_says_how_a_stripped_server_is_traced() -> Result<()> {
    let server = Program::c_stripped("server.c", &[])?;
    let args = ["inspect", "-p", &server.pid().to_string(), "-o", "text"];
    let inspected = run::succeed(&mut binary::command(&args)?)?.stdout;
    for part in ["SSL_free", "the errors it reports and their file"] {
        assert!(inspected.contains(part), "{inspected}");
    }
    server.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn inspect_says_more_of_a_server_with_a_debug_file() -> Result<()> {
    let inspect = |server: &Program| {
        let args = ["inspect", "-p", &server.pid().to_string(), "-o", "text"];
        Ok::<_, anyhow::Error>(run::succeed(&mut binary::command(&args)?)?.stdout)
    };
    let (with, without) = (
        Program::c_with_debug_file("server.c", &[])?,
        Program::c_stripped("server.c", &[])?,
    );
    let (more, less) = (inspect(&with)?, inspect(&without)?);
    for part in ["SSL_do_handshake", "by a debug file"] {
        assert!(more.contains(part) && !less.contains(part), "{part}: {more}\n{less}");
    }
    with.finish()?;
    without.finish().map(drop)
}
