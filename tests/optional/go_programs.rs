//! Programs of Go that use other libraries or are built in unusual ways, Prometheus, and what is refused.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use support::{
    LoggedExchange, Tracer, binary, exchange_log,
    go::{self, Build, Built, Library, Version},
    go_server::Server,
    run,
};

use crate::address_claims::{assert_addresses, connections};
use crate::go::{EXITS, SOURCE, assert_all, both};

/// uTLS: `UConn` writes by a function of its own, and reads by that of the connection within.
pub(crate) fn utls() -> Result<()> {
    let built = Built::with(Library::Utls)?;
    for (name, options) in [("uTLS", &[][..]), ("uTLS by exits", EXITS)] {
        let exchanges = both(name, &built, (20, 50), "h1", options)?;
        assert_all(&exchanges, "/tls", "go");
        assert_all(&exchanges, "/connection/source", SOURCE);
        assert_eq!(connections(&exchanges, "server"), connections(&exchanges, "client"));
    }
    Ok(())
}

pub(crate) fn grpc() -> Result<()> {
    let built = Built::with(Library::Grpc)?;
    let exchanges = both("Go's gRPC", &built, (20, 100), "h2", &[])?;
    assert_all(&exchanges, "/tls", "go");
    assert_all(&exchanges, "/protocol", "http/2");
    assert_all(&exchanges, "/request/path", "/grpc.health.v1.Health/Check");
    assert_eq!(connections(&exchanges, "server"), 20);
    Ok(())
}

pub(crate) fn prometheus() -> Result<()> {
    let prometheus = Server::prometheus()?;
    let built = Built::by(Version::Go1_19, Build::Plain)?;
    // Its connections are older than the trace.
    let mut client = built.ask_warm(&prometheus.url("/-/healthy"), (50, 100), "h1")?;
    let tracer = Tracer::of(&[prometheus.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let logged = exchange_log::parse(&client.finish()?)?.into_iter();
    let logged: Vec<_> = logged.map(LoggedExchange::by_peer).collect();
    assert_eq!(logged.len(), 5000);
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let exchanges = assert_addresses("Prometheus", &trace, &logged)?;
    assert_all(&exchanges, "/tls", "go");
    assert_all(&exchanges, "/request/path", "/-/healthy");
    Ok(())
}

/// A library that Go has built for programs in C brings its own runtime, and is mapped as any other. Up to Go 1.25 the C linker
/// puts its table of functions among other data.
pub(crate) fn shared() -> Result<()> {
    let built = Built::by(Version::Go1_19, Build::Shared)?;
    let exchanges = both("Go in a program in C", &built, (20, 50), "h1", &[])?;
    assert_all(&exchanges, "/tls", "go");
    assert_all(&exchanges, "/connection/source", SOURCE);
    Ok(())
}

/// Asserts that a file has nothing to probe, for a reason.
fn assert_refused(file: &Path, reason: &str) -> Result<()> {
    let output = run::run(&mut binary::command(&["inspect", &file.display().to_string()])?)?;
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains(reason), "{}", output.stderr);
    Ok(())
}

pub(crate) fn refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // garble writes another number there, which the runtime is told.
    let program = go::tiny(Version::Go1_27, "amd64", &[], folder.path())?;
    let mut image = fs::read(&program)?;
    let table = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let at = image.windows(table.len()).position(|bytes| bytes == table);
    let first = at.and_then(|at| image.get_mut(at));
    *first.context("there is no table of functions")? ^= 0x55;
    fs::write(&program, image)?;
    assert_refused(&program, "the table of its Go functions is scrambled")
}

/// GCC's library of Go.
pub(crate) const LIBGO: &str = "/usr/lib/x86_64-linux-gnu/libgo.so.21";

pub(crate) fn of_gcc() -> Result<()> {
    assert_refused(Path::new(LIBGO), "crypto/tls compiled by gccgo is not supported yet")
}
