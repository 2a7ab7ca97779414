//! Crystal, whose coroutines change stacks within calls of the TLS library, which a return probe would kill.

use std::process::Command;

use anyhow::{Result, ensure};
use support::{Tracer, certificate::Certificate, loopback, program::Program};

use crate::claims::{assert_bodies, assert_nothing_lost};

/// The number of requests of `load.py`.
const REQUESTS: usize = 2_000;

fn load(server: &mut Program) -> Result<()> {
    server.begin()?;
    let address = format!("{}:{}", loopback::IPV4, server.wait_for("port ")?);
    let mut client = Program::python("load.py", &["/small/", &address])?;
    client.begin()?;
    client.wait_for("done")?;
    client.finish().map(drop)
}

/// One server is traced, and another one maps the same library.
pub(crate) fn servers_survive_traced_or_not() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let Certificate { key, certificate } = Certificate::make(directory.path())?;
    let args = [key, certificate].map(|path| path.display().to_string());
    let mut server = Program::crystal("server.cr", &args.each_ref().map(String::as_str))?;
    let mut bystander = Program::run(Command::new(format!("/proc/{}/exe", server.pid())).args(args))?;
    let tracer = Tracer::of(&[server.pid()], &[])?;
    load(&mut server)?;
    load(&mut bystander)?;
    tracer.wait_for_lines(REQUESTS)?;
    let trace = tracer.stop()?;
    ensure!(trace.code == Some(0), "it ended with {:?}", trace.code);
    assert_nothing_lost(&trace, REQUESTS)?;
    assert_bodies(&trace.exchanges()?, 0, 6);
    server.finish()?;
    bystander.finish()?;
    Ok(())
}
