//! Libraries that are replaced or removed while they are mapped: tlscope probes the mapped file.

use anyhow::Result;
use support::{
    Nginx, Tracer, curl,
    libraries::{self, Libraries},
    nginx::Setup,
    program::Program,
};

use crate::claims::{assert_addresses_of_client, assert_facts_of_client, assert_same_requests, stop_after};

const REQUESTS: usize = 50;

/// Traces a client after a change to the libraries that it has loaded.
fn trace_after(change: impl FnOnce(&Libraries) -> Result<()>) -> Result<()> {
    let nginx = Nginx::start()?;
    let libraries = Libraries::copy()?;
    let args = [nginx.port().to_string(), REQUESTS.to_string()];
    let mut python = Program::python_with(libraries.path(), "client.py", &args.each_ref().map(String::as_str))?;
    change(&libraries)?;
    assert!(
        libraries::maps_deleted_libssl(python.pid())?,
        "the mapped library was not changed"
    );
    let tracer = Tracer::of(&[python.pid()], &[])?;
    python.begin()?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    python.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, "bio")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_library_replaced_on_disk_is_probed_as_it_is_mapped() -> Result<()> {
    trace_after(Libraries::replace)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_library_removed_from_disk_is_probed_as_it_is_mapped() -> Result<()> {
    trace_after(Libraries::remove)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_gateway_upgraded_to_a_new_library_stays_traced() -> Result<()> {
    const BEFORE: usize = 5;
    let libraries = Libraries::copy()?;
    let folder = libraries.path().display().to_string();
    let mut nginx = Nginx::start_with(Setup {
        libraries: Some(&folder),
        workers: Some(1),
        background: true,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    curl::request(&[&nginx.url(&format!("/small/[1-{BEFORE}]"))])?;
    libraries.replace()?;
    nginx.upgrade()?;
    assert!(
        !libraries::maps_deleted_libssl(nginx.master())?,
        "it maps the old library"
    );
    let master = format!("({})", nginx.master());
    tracer.wait_for_message(&["attached to", &master, &folder])?;
    curl::request(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    let (trace, log) = stop_after(tracer, &nginx, BEFORE + REQUESTS)?;
    assert_same_requests(&trace, &log).map(drop)
}
