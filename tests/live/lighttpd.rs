//! What is asserted of lighttpd with each of its TLS libraries.

use std::collections::BTreeMap;

use anyhow::Result;
use support::{
    Exchange, Lighttpd, LoggedExchange, Tracer, curl,
    h2load::{H2load, Load},
    kernel,
    lighttpd::Library,
    program::Program,
    wait,
};

use crate::{
    addresses::claims::{CONNECTIONS, REQUESTS, assert_same, connections, hosts, load, stop_and_assert},
    claims::{assert_bodies, assert_nothing_lost, multiset},
};

/// Asserts that a text of every exchange is the expected one.
pub(crate) fn assert_all(exchanges: &[Exchange], pointer: &str, expected: &str) {
    for exchange in exchanges {
        assert_eq!(exchange.text(pointer), Some(expected), "{exchange:?}");
    }
}

/// Waits for this many exchanges and stops the tracer. Asserts that nothing was lost and nothing else was printed.
pub(crate) fn finish(tracer: Tracer, exchanges: usize) -> Result<Vec<Exchange>> {
    tracer.wait_for_lines(exchanges)?;
    let trace = tracer.stop()?;
    assert_nothing_lost(&trace, exchanges)?;
    trace.exchanges()
}

/// Asserts that every exchange over HTTP/1.1 has the addresses in the log of lighttpd.
pub(crate) fn assert_addresses_in_log(library: Library, source: &str) -> Result<()> {
    let lighttpd = Lighttpd::start(library)?;
    let tracer = Tracer::of(&[lighttpd.pid()], &[])?;
    let requested = load(lighttpd.port(), "/small/")?;
    let logged = lighttpd.wait_for_log(REQUESTS)?;
    assert_same(&logged, &requested);
    let exchanges = stop_and_assert(&format!("lighttpd with {library:?}"), tracer, &logged)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    assert_bodies(&exchanges, 0, 6);
    assert_all(&exchanges, "/protocol", "http/1.1");
    assert_all(&exchanges, "/connection/source", source);
    Ok(())
}

/// Asserts that every exchange over HTTP/2 has the addresses that curl prints.
pub(crate) fn assert_http_2(library: Library) -> Result<()> {
    let lighttpd = Lighttpd::start(library)?;
    let tracer = Tracer::of(&[lighttpd.pid()], &[])?;
    let hosts = hosts()?;
    let address = |number: usize| format!("https://{}:{}/small/{number}", hosts[number % 2], lighttpd.port());
    let urls: Vec<_> = (0..REQUESTS).map(address).collect();
    let requested = curl::Waiting::start("http2")?.request_in_parallel(&urls, CONNECTIONS)?;
    let logged: Vec<_> = requested.into_iter().map(LoggedExchange::by_peer).collect();
    let exchanges = stop_and_assert(&format!("lighttpd with {library:?} over HTTP/2"), tracer, &logged)?;
    assert_same(&lighttpd.wait_for_log(REQUESTS)?, &logged);
    assert_bodies(&exchanges, 0, 6);
    assert_all(&exchanges, "/protocol", "http/2");
    Ok(())
}

/// Asserts that every request of many streams is printed once, with the addresses in the log.
pub(crate) fn assert_concurrent_streams(library: Library) -> Result<()> {
    let sent = Load {
        fields: &["x-request-id: load"],
        streams: 10,
        ..Load::of(REQUESTS, "/small/NUMBER")
    };
    let lighttpd = Lighttpd::start(library)?;
    let tracer = Tracer::of(&[lighttpd.pid()], &[])?;
    H2load::start(&lighttpd.url(""), sent)?.finish()?;
    tracer.wait_for_lines(REQUESTS)?;
    let trace = tracer.stop()?;
    assert_nothing_lost(&trace, REQUESTS)?;
    let exchanges = trace.exchanges()?;
    assert_all(&exchanges, "/protocol", "http/2");
    assert_bodies(&exchanges, 0, 6);
    let logged = lighttpd.wait_for_log(REQUESTS)?;
    let remotes = |exchange: &Exchange| exchange.text("/connection/remote").unwrap_or("none").to_owned();
    let printed: Vec<_> = exchanges.iter().map(remotes).collect();
    assert_eq!(
        multiset(printed.iter().map(String::as_str)),
        multiset(logged.iter().map(|one| one.remote.as_str()))
    );
    // Each connection requests each path once.
    let mut requested = BTreeMap::new();
    for (exchange, remote) in exchanges.iter().zip(&printed) {
        *requested
            .entry((remote, exchange.text("/request/path")))
            .or_insert(0_usize) += 1;
    }
    assert_eq!(requested.len(), REQUESTS);
    Ok(())
}

/// Asserts that bodies of both directions are counted to the last byte, over HTTP/1.1 and HTTP/2.
pub(crate) fn assert_bodies_counted(library: Library) -> Result<()> {
    const EACH: usize = 20;
    const UPLOAD: usize = 1_234_567;
    for version in ["--http1.1", "--http2"] {
        let lighttpd = Lighttpd::start(library)?;
        let tracer = Tracer::of(&[lighttpd.pid()], &[])?;
        let large = lighttpd.url(&format!("/large/[1-{EACH}]"));
        curl::request(&[version, "--output", "/dev/null", &large])?;
        let folder = tempfile::tempdir()?;
        let upload = folder.path().join("upload");
        std::fs::write(&upload, vec![b'u'; UPLOAD])?;
        let data = format!("@{}", upload.display());
        let count = lighttpd.url(&format!("/count/[1-{EACH}]"));
        let counted = curl::request(&[version, "--data-binary", &data, &count])?.stdout;
        assert_eq!(counted, format!("{UPLOAD}\n").repeat(EACH));
        let exchanges = finish(tracer, 2 * EACH)?;
        let (gets, posts): (Vec<_>, Vec<_>) = exchanges
            .into_iter()
            .partition(|exchange| exchange.text("/request/method") == Some("GET"));
        assert_eq!((gets.len(), posts.len()), (EACH, EACH));
        assert_bodies(&gets, 0, support::lighttpd::LARGE);
        assert_bodies(&posts, UPLOAD.try_into()?, 8);
    }
    Ok(())
}

/// Asserts that the exchanges of workers which lighttpd forks are traced with the addresses in the log: the trace waits for the
/// program to begin. Where a call may end at an instruction that is single-stepped, a process is probed once it was examined.
pub(crate) fn assert_followed(library: Library) -> Result<()> {
    const WORKERS: usize = 2;
    let tracer = Tracer::ready(&["trace", "--name", "lighttpd", "--wait"])?;
    let lighttpd = Lighttpd::start_with(library, Some(WORKERS))?;
    let workers = wait::until("workers", || {
        let workers = kernel::children(lighttpd.pid())?;
        Ok((workers.len() == WORKERS).then_some(workers))
    })?;
    for worker in &workers {
        tracer.wait_for_message(&["attached to lighttpd", &worker.to_string()])?;
    }
    load(lighttpd.port(), "/small/")?;
    let logged = lighttpd.wait_for_log(REQUESTS)?;
    let exchanges = stop_and_assert(&format!("workers of lighttpd with {library:?}"), tracer, &logged)?;
    for exchange in &exchanges {
        let pid = exchange.number("/pid").and_then(|pid| u32::try_from(pid).ok());
        assert!(
            pid.is_some_and(|pid| workers.contains(&pid)),
            "{workers:?}: {exchange:?}"
        );
    }
    Ok(())
}

/// Asserts that connections which are older than the trace have the addresses in the log.
pub(crate) fn assert_joined_late(library: Library) -> Result<()> {
    const EACH: usize = 100;
    const LATE: usize = 4;
    let lighttpd = Lighttpd::start(library)?;
    let address = format!("127.0.0.1:{}", lighttpd.port());
    let mut clients = Vec::new();
    for number in 0..LATE {
        let client = Program::python("kept.py", &[&address, &number.to_string(), &EACH.to_string()])?;
        clients.push(client);
    }
    let earlier = lighttpd.wait_for_log(LATE)?.len();
    let tracer = Tracer::of(&[lighttpd.pid()], &[])?;
    for client in &mut clients {
        client.begin()?;
    }
    for client in clients {
        client.wait_for("done")?;
        client.finish()?;
    }
    let logged = lighttpd.wait_for_log(earlier + LATE * EACH)?.split_off(earlier);
    stop_and_assert(&format!("lighttpd with {library:?} joined late"), tracer, &logged).map(drop)
}
