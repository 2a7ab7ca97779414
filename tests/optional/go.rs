//! Go: a server and a client built by several versions of its compiler, and Caddy between them.

use anyhow::Result;
use support::{
    Exchange, LoggedExchange, Trace, Tracer, exchange_log,
    go::{Build, Built, Version, Wrap},
    go_server::{Release, Server},
    program::Program,
};
use symbolizer::{HookKind, Role};

use crate::address_claims::{CONNECTIONS, REQUESTS, assert_addresses, assert_none_wrong, connections, trace_server};

/// Versions of Go whose servers are under the most load, each built in another way.
const BUILDS: [(Version, Build); 3] = [
    (Version::Go1_19, Build::Plain),
    (Version::Go1_23, Build::Stripped),
    (Version::Go1_27, Build::StrippedPie),
];

/// The other versions and ways, with the protocol that each is traced over.
const OTHERS: [(Version, Build, &str); 5] = [
    (Version::Go1_21, Build::Cgo, "h1"),
    (Version::Go1_25, Build::External, "h2"),
    (Version::Go1_26, Build::Pie, "h1"),
    (Version::Go1_27, Build::Cgo, "h2"),
    (Version::Go1_27, Build::Profiled, "h1"),
];

/// The source of the addresses of a connection of Go.
pub(crate) const SOURCE: &str = "net_conn";

pub(crate) fn assert_all(exchanges: &[Exchange], pointer: &str, expected: &str) {
    for exchange in exchanges {
        assert_eq!(exchange.text(pointer), Some(expected), "{exchange:?}");
    }
}

/// Starts a server, and returns its port.
pub(crate) fn serve(built: &Built, environment: &[(&str, &str)]) -> Result<(Program, u16)> {
    let mut server = built.serve(environment)?;
    server.begin()?;
    let port = server.wait_for("port ")?.parse()?;
    Ok((server, port))
}

pub(crate) fn server() -> Result<()> {
    for (version, build) in BUILDS {
        let built = Built::by(version, build)?;
        let (trace, logged) = trace_server(built.serve(&[])?, REQUESTS)?;
        let exchanges = assert_addresses(&format!("{version:?} {build:?}"), &trace, &logged)?;
        assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
        assert_all(&exchanges, "/connection/source", SOURCE);
        assert_all(&exchanges, "/tls", "go");
        assert_all(&exchanges, "/protocol", "http/1.1");
    }
    Ok(())
}

/// Traces a server and its client with some options, and asserts that each exchange that they logged is printed with its
/// addresses.
pub(crate) fn both(
    name: &str,
    built: &Built,
    load: (usize, usize),
    protocol: &str,
    options: &[&str],
) -> Result<Vec<Exchange>> {
    let (trace, logged) = trace_both(built, load, protocol, options)?;
    assert_addresses(name, &trace, &logged)
}

/// Traces a server and its client; returns what both logged.
fn trace_both(
    built: &Built,
    load: (usize, usize),
    protocol: &str,
    options: &[&str],
) -> Result<(Trace, Vec<LoggedExchange>)> {
    let (server, port) = serve(built, &[])?;
    let mut client = built.ask(&format!("https://127.0.0.1:{port}/"), load, protocol)?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], options)?;
    client.begin()?;
    client.wait_for("done")?;
    let logged = [client, server].map(|program| exchange_log::parse(&program.finish()?));
    let [asked, answered] = logged;
    let logged: Vec<LoggedExchange> = [asked?, answered?].concat();
    assert_eq!(logged.len(), 2 * load.0 * load.1);
    tracer.wait_for_lines(logged.len())?;
    Ok((tracer.stop()?, logged))
}

pub(crate) fn other_builds() -> Result<()> {
    let all = BUILDS.into_iter().map(|(version, _)| version);
    let all: Vec<_> = all.chain(OTHERS.map(|(version, _, _)| version)).collect();
    assert!(Version::ALL.iter().all(|version| all.contains(version)));
    for (version, build, protocol) in OTHERS {
        let built = Built::by(version, build)?;
        let exchanges = both(&format!("{version:?} {build:?}"), &built, (20, 20), protocol, &[])?;
        assert_all(&exchanges, "/connection/source", SOURCE);
        assert_all(&exchanges, "/tls", "go");
        assert_eq!(
            (connections(&exchanges, "server"), connections(&exchanges, "client")),
            (20, 20)
        );
    }
    Ok(())
}

pub(crate) fn both_over_http_2() -> Result<()> {
    for (version, build) in [BUILDS[0], BUILDS[2]] {
        let built = Built::by(version, build)?;
        let exchanges = both(&format!("{version:?} {build:?} HTTP/2"), &built, (20, 100), "h2", &[])?;
        assert_all(&exchanges, "/protocol", "http/2");
        assert_all(&exchanges, "/connection/source", SOURCE);
        assert_eq!(connections(&exchanges, "client"), 20);
    }
    Ok(())
}

/// Counts the exchanges whose addresses have a source.
fn count_from(exchanges: &[Exchange], source: &str) -> usize {
    let from = |exchange: &&Exchange| exchange.text("/connection/source") == Some(source);
    exchanges.iter().filter(from).count()
}

pub(crate) fn wrapped() -> Result<()> {
    for (version, build, protocol) in [
        (Version::Go1_19, Build::Plain, "h2"),
        (Version::Go1_27, Build::StrippedPie, "h1"),
    ] {
        let built = Built::by(version, build)?.wrapping(Wrap::Each);
        let exchanges = both(&format!("{version:?} wrapped"), &built, (20, 100), protocol, &[])?;
        // One of five connections has the one below it in a field.
        assert_eq!(count_from(&exchanges, SOURCE), 3_200);
        assert_eq!(count_from(&exchanges, "nested_send"), 800);
    }
    Ok(())
}

pub(crate) fn exits() -> Result<()> {
    for (version, build) in BUILDS {
        let built = Built::by(version, build)?;
        for protocol in ["h1", "h2"] {
            let name = format!("{version:?} {build:?} {protocol} by exits");
            let exchanges = both(&name, &built, (50, 40), protocol, EXITS)?;
            assert_all(&exchanges, "/connection/source", SOURCE);
            assert_all(&exchanges, "/tls", "go");
            // Go's client of HTTP/1.1 may open another connection before one is idle again.
            let used = connections(&exchanges, "client");
            assert!(used == 50 || used > 50 && protocol == "h1", "{used} connections");
            assert_eq!(connections(&exchanges, "server"), used);
        }
    }
    Ok(())
}

pub(crate) fn handed_over() -> Result<()> {
    let built = Built::by(Version::Go1_27, Build::StrippedPie)?.wrapping(Wrap::Handed);
    let (trace, logged) = trace_both(&built, (20, 20), "h1", &[])?;
    let exchanges = assert_none_wrong("Go whose writes are handed over", &trace, &logged, &["custom-bio"])?;
    assert_eq!(count_from(&exchanges, "nested_send"), 0);
    Ok(())
}

/// Hooks at the entries and exits of calls alone.
pub(crate) const EXITS: &[&str] = &["--hooks", "exit"];

/// Lists the kinds of hooks that are proven for what a program does with Go's TLS.
pub(crate) fn kinds(built: &Built, role: Role) -> Result<Vec<HookKind>> {
    let plans = symbolizer::plan(&std::fs::read(built.path())?, None)?;
    let hooks = plans.plans.iter().flat_map(|plan| &plan.hooks);
    Ok(hooks.filter(|hook| hook.role == role).map(|hook| hook.kind).collect())
}

pub(crate) fn fallback() -> Result<()> {
    for version in [Version::Go1_19, Version::Go1_27] {
        let built = Built::by(version, Build::NotInlined)?;
        // What copies to the caller, and what takes from it, is in other functions, so that there is no tap.
        for role in [Role::Read, Role::Write] {
            assert_eq!(kinds(&built, role)?, [HookKind::Exit]);
        }
        let name = format!("{version:?} without inlining");
        let exchanges = both(&name, &built, (50, 40), "h1", &[])?;
        assert_all(&exchanges, "/tls", "go");
    }
    Ok(())
}

pub(crate) fn addresses_come_back() -> Result<()> {
    churn(Version::Go1_27, &[])?;
    churn(Version::Go1_27, EXITS)
}

/// Traces a server with some options, whose connections are short and whose stacks move.
pub(crate) fn churn(version: Version, options: &[&str]) -> Result<()> {
    let built = Built::by(version, Build::Stripped)?;
    // Collects garbage all the time. Each handler makes its stack grow, and a connection has two requests.
    let (server, port) = serve(&built, &[("GOGC", "1")])?;
    let url = format!("https://127.0.0.1:{port}/");
    let tracer = Tracer::of(&[server.pid()], options)?;
    let mut logged = Vec::new();
    for _ in 0..4 {
        let mut client = built.ask(&url, (250, 2), "h1")?;
        client.begin()?;
        client.wait_for("done")?;
        logged.extend(
            exchange_log::parse(&client.finish()?)?
                .into_iter()
                .map(LoggedExchange::by_peer),
        );
    }
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let name = format!("{version:?} that collects garbage {options:?}");
    let exchanges = assert_addresses(&name, &trace, &logged)?;
    assert_eq!(connections(&exchanges, "server"), 1000);
    server.finish().map(drop)
}

/// Traces Caddy between a client and a server, from the middle of its connections on or from their beginnings.
fn proxied(release: Release, protocol: &str, versions: &str, is_late: bool) -> Result<Vec<Exchange>> {
    let built = Built::by(Version::Go1_19, Build::Plain)?;
    let (server, port) = serve(&built, &[])?;
    let caddy = Server::caddy(release, port, versions)?;
    let (url, load) = (caddy.url("/"), (20, 100));
    let mut client = if is_late {
        built.ask_warm(&url, load, protocol)?
    } else {
        built.ask(&url, load, protocol)?
    };
    let tracer = Tracer::of(&[caddy.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let [asked, answered] = [client, server].map(|program| exchange_log::parse(&program.finish()?));
    let logged: Vec<_> = asked?
        .into_iter()
        .chain(answered?)
        .map(LoggedExchange::by_peer)
        .collect();
    assert_eq!(logged.len(), 2 * load.0 * load.1);
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let exchanges = assert_addresses(&format!("{release:?} {protocol}"), &trace, &logged)?;
    assert_all(&exchanges, "/tls", "go");
    Ok(exchanges)
}

pub(crate) fn caddy_attached_late() -> Result<()> {
    let exchanges = proxied(Release::Caddy2_6, "h1", "1.1", true)?;
    assert_all(&exchanges, "/protocol", "http/1.1");
    Ok(())
}

pub(crate) fn caddy_over_http_2() -> Result<()> {
    let exchanges = proxied(Release::Caddy2_6, "h2", "1.1 2", false)?;
    assert_all(&exchanges, "/protocol", "http/2");
    Ok(())
}

pub(crate) fn later_caddy() -> Result<()> {
    let exchanges = proxied(Release::Caddy2_11, "h1", "1.1", true)?;
    assert_all(&exchanges, "/protocol", "http/1.1");
    let exchanges = proxied(Release::Caddy2_11, "h2", "1.1 2", false)?;
    assert_all(&exchanges, "/protocol", "http/2");
    Ok(())
}
