//! Programs that change stacks within calls of the TLS library, which a return probe would kill.

use anyhow::Result;
use support::{Tracer, program::Program};

use crate::claims::{assert_bodies, assert_nothing_lost};

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 2_500;

fn start() -> Result<Program> {
    Program::c("fibres.c", &[&CONNECTIONS.to_string(), &REQUESTS.to_string()])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn programs_that_change_stacks_within_calls_survive_traced_or_not() -> Result<()> {
    let (mut program, mut bystander) = (start()?, start()?);
    let tracer = Tracer::of(&[program.pid()], &[])?;
    for one in [&mut program, &mut bystander] {
        one.begin()?;
    }
    for one in [&program, &bystander] {
        one.wait_for("done")?;
    }
    // The client and the server are both traced.
    let exchanges = 2 * CONNECTIONS * REQUESTS;
    tracer.wait_for_lines(exchanges)?;
    let trace = tracer.stop()?;
    for one in [program, bystander] {
        one.finish()?;
    }
    assert_eq!(trace.code, Some(0));
    assert_nothing_lost(&trace, exchanges)?;
    assert_bodies(&trace.exchanges()?, 0, 6);
    Ok(())
}
