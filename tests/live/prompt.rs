//! Lines are printed when their responses end, not when a buffer is full or more traffic follows.

use anyhow::Result;
use support::{Nginx, Tracer, program::Program};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_line_of_a_response_is_printed_while_its_connection_is_idle() -> Result<()> {
    const REQUESTS: usize = 20;
    let nginx = Nginx::start()?;
    let mut client = Program::python("one_by_one.py", &[&nginx.port().to_string()])?;
    let tracer = Tracer::of(&[nginx.master(), client.pid()], &[])?;
    for number in 1..=REQUESTS {
        client.send_line(&number.to_string())?;
        client.wait_for_count("answered", number)?;
        // The server's line and the client's. Nothing else is sent until both are there.
        tracer.wait_for_lines(2 * number)?;
    }
    client.finish()?;
    let trace = tracer.stop()?;
    assert_eq!(trace.exchanges()?.len(), 2 * REQUESTS);
    Ok(())
}
