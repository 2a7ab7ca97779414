//! s2n-tls, linked into a program in Rust: a server, and a server with its client.

use anyhow::{Context as _, Result, ensure};
use support::{LoggedExchange, Tracer, binary, exchange_log, run, s2n::Built};

use crate::{
    address_claims::{CONNECTIONS, REQUESTS, assert_addresses, connections, trace_server},
    claims::assert_bodies,
    go::assert_all,
};

/// The source of the addresses.
const BY_SEND: &str = "nested_send";

/// The size of the bodies that the client sends, in bytes.
const BODY: u64 = 1024 * 1024 + 3;

pub(crate) fn server() -> Result<()> {
    let (trace, logged) = trace_server(Built::by(false)?.serve()?, REQUESTS)?;
    let exchanges = assert_addresses("s2n-tls", &trace, &logged)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    assert_all(&exchanges, "/connection/source", BY_SEND);
    assert_all(&exchanges, "/tls", "s2n");
    Ok(())
}

pub(crate) fn both() -> Result<()> {
    const LOAD: (usize, usize) = (10, 20);
    let built = Built::by(false)?;
    let mut server = built.serve()?;
    server.begin()?;
    let port = server.wait_for("port ")?.parse()?;
    let mut client = built.ask(port, LOAD.0, LOAD.1)?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let [asked, answered] = [client, server].map(|program| exchange_log::parse(&program.finish()?));
    let logged: Vec<LoggedExchange> = [asked?, answered?].concat();
    assert_eq!(logged.len(), 2 * LOAD.0 * LOAD.1);
    tracer.wait_for_lines(logged.len())?;
    let exchanges = assert_addresses("s2n-tls on both sides", &tracer.stop()?, &logged)?;
    assert_all(&exchanges, "/connection/source", BY_SEND);
    let (gets, posts): (Vec<_>, Vec<_>) = exchanges
        .into_iter()
        .partition(|exchange| exchange.text("/request/method") == Some("GET"));
    ensure!(!gets.is_empty() && !posts.is_empty(), "both methods are used");
    assert_bodies(&gets, 0, 6);
    assert_bodies(&posts, BODY, 7);
    Ok(())
}

pub(crate) fn stripped() -> Result<()> {
    let program = Built::by(true)?.serve()?;
    let pid = program.pid().to_string();
    let output = run::run(&mut binary::command(&["inspect", "-p", &pid])?)?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    let line = output.stderr.lines().next().context("nothing is said")?;
    ensure!(line.contains("no TLS library that tlscope knows"), "{line}");
    program.finish().map(drop)
}
