//! Libraries that a process loads after tlscope is ready.

use anyhow::Result;
use support::{Nginx, Tracer, libraries::Libraries, program::Program};

use crate::claims::{
    assert_addresses_of_client, assert_facts_of_client, assert_nothing_lost, assert_same_requests, stop_after,
};

const REQUESTS: usize = 50;

/// Traces a Python process that imports `ssl` late, and sends requests once tlscope reports that it has attached.
fn trace_import(nginx: &Nginx, mut python: Program, tracer: Tracer, file: &str) -> Result<()> {
    python.begin()?;
    python.wait_for("imported")?;
    tracer.wait_for_message(&["attached to", &format!("({})", python.pid()), file])?;
    python.send_line("ask")?;
    let (trace, log) = stop_after(tracer, nginx, REQUESTS)?;
    python.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, nginx, "bio")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_process_without_tls_is_traced_once_it_loads_a_library() -> Result<()> {
    let nginx = Nginx::start()?;
    let python = Program::python("late.py", &[&nginx.port().to_string(), &REQUESTS.to_string()])?;
    let tracer = Tracer::of(&[python.pid()], &[])?;
    trace_import(&nginx, python, tracer, "libssl")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_library_that_no_process_had_mapped_is_probed_when_it_is_loaded() -> Result<()> {
    let nginx = Nginx::start()?;
    let libraries = Libraries::copy()?;
    let args = [nginx.port().to_string(), REQUESTS.to_string()];
    let python = Program::python_with(libraries.path(), "late.py", &args.each_ref().map(String::as_str))?;
    // Another process maps the system's library, which is probed. The copy must be probed, too.
    let other = Program::python("client.py", &["1", "0"])?;
    let tracer = Tracer::of(&[python.pid(), other.pid()], &[])?;
    trace_import(&nginx, python, tracer, &libraries.path().display().to_string())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_library_that_is_already_probed_is_traced_from_its_first_call() -> Result<()> {
    let nginx = Nginx::start()?;
    let mut python = Program::python("late.py", &[&nginx.port().to_string(), &REQUESTS.to_string()])?;
    let other = Program::python("client.py", &["1", "0"])?;
    let tracer = Tracer::of(&[python.pid(), other.pid()], &[])?;
    // It sends requests as soon as it has loaded the library.
    python.begin()?;
    python.send_line("ask")?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    python.finish()?;
    assert_nothing_lost(&trace, REQUESTS)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, "bio")
}
