//! Overlay file systems, where the mapped inode is not the inode of the path.

use anyhow::Result;
use support::{
    Nginx, Tracer,
    libraries::{Libraries, Overlay},
    program::Program,
};

use crate::claims::{assert_addresses_of_client, assert_facts_of_client, assert_same_requests, stop_after};

const REQUESTS: usize = 50;

pub(crate) fn library_is_traced() -> Result<()> {
    let nginx = Nginx::start()?;
    let libraries = Libraries::copy()?;
    let overlay = Overlay::over(libraries.path())?;
    let args = [nginx.port().to_string(), REQUESTS.to_string()];
    let mut python = Program::python_with(&overlay.path(), "client.py", &args.each_ref().map(String::as_str))?;
    let tracer = Tracer::of(&[python.pid()], &[])?;
    python.begin()?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    python.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, "bio")
}
