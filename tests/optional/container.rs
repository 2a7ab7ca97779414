//! Containers by their id, which is in the name of a cgroup.

use anyhow::{Context as _, Result, ensure};
use support::{Nginx, Tracer, binary, cgroup::Container, curl, nginx::Setup, run};

use crate::claims::{assert_facts_of_server, assert_same_requests};

const REQUESTS: usize = 20;

/// The number of digits of an id that `docker ps` prints.
const SHORT: usize = 12;

fn start_in(container: &Container) -> Result<Nginx> {
    Nginx::start_with(Setup {
        exec_prefix: &container.exec_prefix()?,
        workers: Some(1),
        ..Setup::default()
    })
}

fn send_requests(nginx: &Nginx) -> Result<()> {
    curl::request(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    nginx.wait_until_logged(REQUESTS)
}

fn wait_until_attached(tracer: &Tracer, nginx: &Nginx) -> Result<()> {
    tracer.wait_for_message(&["attached to", &format!("({})", nginx.master())])
}

fn short(container: &Container) -> Result<&str> {
    container.id().get(..SHORT).context("the id is too short")
}

pub(crate) fn now_and_later() -> Result<()> {
    let container = Container::make()?;
    let (now, other) = (start_in(&container)?, Nginx::start()?);
    let tracer = Tracer::ready(&["trace", "--container", short(&container)?])?;
    // The library is already probed, so no request is missed.
    let later = start_in(&container)?;
    for nginx in [&other, &now, &later] {
        send_requests(nginx)?;
    }
    tracer.wait_for_lines(2 * REQUESTS)?;
    let trace = tracer.stop()?;
    ensure!(trace.code == Some(0), "it ended with {:?}", trace.code);
    assert_same_requests(&trace, &[now.log()?, later.log()?].concat()).map(drop)
}

pub(crate) fn waited_for() -> Result<()> {
    let container = Container::make()?;
    let tracer = Tracer::ready(&["trace", "--container", container.id(), "--wait"])?;
    let nginx = start_in(&container)?;
    wait_until_attached(&tracer, &nginx)?;
    send_requests(&nginx)?;
    tracer.wait_for_lines(REQUESTS)?;
    let trace = tracer.stop()?;
    let exchanges = assert_same_requests(&trace, &nginx.log()?)?;
    assert_facts_of_server(&exchanges, &nginx.log()?, &nginx)
}

pub(crate) fn refused() -> Result<()> {
    let container = Container::make()?;
    let id = container.id().to_owned();
    drop(container);
    let output = run::run(&mut binary::command(&["trace", "--container", &id])?)?;
    ensure!(
        (output.code, output.stdout.as_str(), output.stderr_lines()) == (Some(1), "", 1) && output.stderr.contains(&id),
        "{output:?}"
    );
    Ok(())
}
