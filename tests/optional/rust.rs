//! rustls: servers and clients built with several versions of it, in several ways.

use std::fs;

use anyhow::{Result, bail};
use support::{
    Exchange, LoggedExchange, Tracer, exchange_log,
    rust::{Build, Built, Runtime, Version},
};

use symbolizer::{HookKind, Role};

use crate::address_claims::{assert_addresses, connections};
use crate::go::assert_all;

/// The source of the addresses of a connection of rustls.
const SOURCE: &str = "ciphertext";

/// Traces a server and its client, and asserts that each exchange that they logged is printed once with its addresses.
fn both(built: &Built, runtime: Runtime, load: (usize, usize), protocol: &str) -> Result<Vec<Exchange>> {
    let mut server = built.serve(runtime)?;
    server.begin()?;
    let port = server.wait_for("port ")?.parse()?;
    let mut client = built.ask(runtime, port, load, protocol)?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let [asked, answered] = [client, server].map(|program| exchange_log::parse(&program.finish()?));
    let logged: Vec<LoggedExchange> = [asked?, answered?].concat();
    assert_eq!(logged.len(), 2 * load.0 * load.1);
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let exchanges = assert_addresses(&format!("rustls {runtime:?} {protocol}"), &trace, &logged)?;
    assert_all(&exchanges, "/tls", "rustls");
    assert_all(&exchanges, "/connection/source", SOURCE);
    for side in ["server", "client"] {
        assert_eq!(connections(&exchanges, side), load.0);
    }
    Ok(exchanges)
}

pub(crate) fn threads() -> Result<()> {
    let built = Built::by(Version::V23, Build::Release)?;
    let exchanges = both(&built, Runtime::Threads, (50, 40), "h1")?;
    assert_all(&exchanges, "/protocol", "http/1.1");
    Ok(())
}

pub(crate) fn tokio() -> Result<()> {
    let built = Built::by(Version::V23, Build::Release)?;
    for (protocol, name) in [("h1", "http/1.1"), ("h2", "http/2")] {
        let exchanges = both(&built, Runtime::Tokio, (20, 100), protocol)?;
        assert_all(&exchanges, "/protocol", name);
    }
    Ok(())
}

/// Other versions and builds, with what each is traced over.
const OTHERS: [(Version, Build, Runtime, &str); 13] = [
    (Version::V21, Build::Release, Runtime::Threads, "h1"),
    (Version::V21, Build::Release, Runtime::Tokio, "h2"),
    (Version::V22, Build::Release, Runtime::Threads, "h1"),
    (Version::V22, Build::Release, Runtime::Tokio, "h2"),
    (Version::V22, Build::Stripped(&Build::Release), Runtime::Threads, "h1"),
    (Version::V22, Build::Stripped(&Build::Release), Runtime::Tokio, "h2"),
    (Version::V22, Build::Small, Runtime::Threads, "h1"),
    (Version::V22, Build::Small, Runtime::Tokio, "h2"),
    (Version::V23, Build::Small, Runtime::Threads, "h1"),
    (Version::V23, Build::Small, Runtime::Tokio, "h2"),
    (Version::V23, Build::NewMangling, Runtime::Threads, "h1"),
    (Version::V23, Build::Fat, Runtime::Tokio, "h2"),
    (Version::V23, Build::Stripped(&Build::Release), Runtime::Tokio, "h1"),
];

/// Builds with the provider that rustls has by default.
const AWS_LC: [(Version, Build, Runtime, &str); 2] = [
    (Version::V23AwsLc, Build::Release, Runtime::Tokio, "h2"),
    (
        Version::V23AwsLc,
        Build::Stripped(&Build::Release),
        Runtime::Threads,
        "h1",
    ),
];

/// Traces programs with 1,000 exchanges, whose 2,000 sides all have to be there.
fn all_of(builds: &[(Version, Build, Runtime, &str)]) -> Result<()> {
    for (version, build, runtime, protocol) in builds {
        let built = Built::by(*version, *build)?;
        let exchanges = both(&built, *runtime, (20, 50), protocol)?;
        assert_eq!(exchanges.len(), 2_000, "{version:?} {build:?}");
    }
    Ok(())
}

pub(crate) fn other_builds() -> Result<()> {
    all_of(&OTHERS)
}

pub(crate) fn aws_lc() -> Result<()> {
    all_of(&AWS_LC)
}

/// Returns the probes that carry bytes, or begin connections, in a program.
fn sites(built: &Built) -> Result<Vec<(HookKind, Role, u64)>> {
    let plans = symbolizer::plan(&fs::read(built.path())?, None)?;
    let [plan] = &plans.plans[..] else {
        bail!("{:?}", plans.reasons)
    };
    let hooks = plan.hooks.iter().filter(|hook| hook.role != Role::End);
    Ok(hooks.map(|hook| (hook.kind, hook.role, hook.site.address.0)).collect())
}

/// Asserts that a program has the same probes with names and without, of which so many are where records are encrypted.
fn assert_same(version: Version, build: &'static Build, writes: usize) -> Result<()> {
    let [named, stripped] = [*build, Build::Stripped(build)].map(|build| sites(&Built::by(version, build)?));
    let named = named?;
    let count = |role| named.iter().filter(|(_, other, _)| *other == role).count();
    assert_eq!(count(Role::Write), writes, "{version:?} {build:?}");
    assert_eq!(count(Role::Clear), writes, "{version:?} {build:?}");
    assert_eq!(count(Role::Ciphertext), 1, "{version:?} {build:?}");
    assert_eq!(named, stripped?, "{version:?} {build:?}");
    Ok(())
}

pub(crate) fn without_names() -> Result<()> {
    assert_same(Version::V22, &Build::Release, 3)?;
    assert_same(Version::V23, &Build::Release, 3)
}

pub(crate) fn aws_lc_without_names() -> Result<()> {
    // The provider encrypts with an AEAD of TLS 1.3 in two ways.
    assert_same(Version::V23AwsLc, &Build::Release, 4)
}

pub(crate) fn refused() -> Result<()> {
    let refused = [
        (Version::V21, Build::Stripped(&Build::Release), "its rustls 0.21."),
        (Version::V22, Build::Stripped(&Build::Small), "its rustls 0.22."),
        (Version::V23, Build::Stripped(&Build::Small), "its rustls 0.23."),
        // The type of a record is put into it by another function than those that send.
        (Version::V22, Build::Smallest, "its rustls 0.22."),
        (Version::V23, Build::Smallest, "its rustls 0.23."),
    ];
    for (version, build, expected) in refused {
        let plans = symbolizer::plan(&fs::read(Built::by(version, build)?.path())?, None)?;
        assert_eq!(plans.plans, []);
        let [reason] = &plans.reasons[..] else {
            bail!("{:?}", plans.reasons)
        };
        let reason = reason.to_string();
        assert!(reason.starts_with(expected), "{reason}");
    }
    Ok(())
}
