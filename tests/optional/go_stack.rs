//! Go up to 1.16, whose functions take their arguments on the stack.

use anyhow::Result;
use support::go::{Build, Built, Version};

use crate::address_claims::connections;
use crate::go::{SOURCE, assert_all, both};

/// Ways of building a program, with the protocol that each is traced over.
const BUILDS: [(Build, &str); 5] = [
    (Build::Plain, "h1"),
    (Build::Stripped, "h2"),
    (Build::StrippedPie, "h1"),
    (Build::Cgo, "h2"),
    (Build::External, "h1"),
];

/// 20 connections, and 100 requests on each.
const LOAD: (usize, usize) = (20, 100);

pub(crate) fn builds() -> Result<()> {
    for (build, protocol) in BUILDS {
        let built = Built::by(Version::Go1_15, build)?;
        traced(&built, &format!("Go 1.15 {build:?}"), protocol)?;
    }
    Ok(())
}

fn traced(built: &Built, name: &str, protocol: &str) -> Result<()> {
    let exchanges = both(name, built, LOAD, protocol, &[])?;
    assert_all(&exchanges, "/tls", "go");
    assert_all(&exchanges, "/connection/source", SOURCE);
    // Go's client of HTTP/1.1 may open another connection before one is idle again.
    let used = connections(&exchanges, "client");
    assert!(
        used == LOAD.0 || used > LOAD.0 && protocol == "h1",
        "{used} connections"
    );
    assert_eq!(connections(&exchanges, "server"), used);
    Ok(())
}
