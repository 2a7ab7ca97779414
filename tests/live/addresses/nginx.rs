//! nginx: its connections are known by their descriptors.

use anyhow::Result;
use support::{Nginx, Tracer};

use super::claims::{CONNECTIONS, REQUESTS, assert_same, connections, load, stop_and_assert};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_an_nginx_has_the_addresses_that_its_log_has() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let asked = load(nginx.port(), "/small/")?;
    let told = nginx.wait_for_told(REQUESTS)?;
    assert_same(&told, &asked);
    let exchanges = stop_and_assert("nginx", tracer, &told)?;
    assert_eq!(connections(&exchanges, "server"), CONNECTIONS);
    Ok(())
}
