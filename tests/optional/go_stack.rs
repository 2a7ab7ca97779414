//! Go up to 1.16, whose functions take their arguments on the stack.

use anyhow::Result;
use support::go::{Build, Built, Version};
use symbolizer::{HookKind, Role};

use crate::address_claims::connections;
use crate::go::{EXITS, SOURCE, assert_all, both, churn, kinds};
use crate::go_soak::attached_and_detached_by;

/// Ways of building a program, with the protocol that each is traced over.
const BUILDS: [(Build, &str); 6] = [
    (Build::Plain, "h1"),
    (Build::Stripped, "h2"),
    (Build::StrippedPie, "h1"),
    (Build::Cgo, "h2"),
    (Build::External, "h1"),
    (Build::NotInlined, "h2"),
];

/// 20 connections, and 100 requests on each.
const LOAD: (usize, usize) = (20, 100);

pub(crate) fn builds() -> Result<()> {
    for (build, protocol) in BUILDS {
        let built = Built::by(Version::Go1_15, build)?;
        if build == Build::NotInlined {
            assert_eq!(kinds(&built, Role::Read)?, [HookKind::Exit]);
        } else {
            assert!(kinds(&built, Role::Read)?.contains(&HookKind::Tap));
        }
        traced(&built, &format!("Go 1.15 {build:?}"), protocol, &[])?;
    }
    Ok(())
}

pub(crate) fn exits() -> Result<()> {
    for (build, protocol) in [(Build::Plain, "h1"), (Build::StrippedPie, "h2"), (Build::Cgo, "h1")] {
        let built = Built::by(Version::Go1_15, build)?;
        traced(&built, &format!("Go 1.15 {build:?} by exits"), protocol, EXITS)?;
    }
    Ok(())
}

fn traced(built: &Built, name: &str, protocol: &str, options: &[&str]) -> Result<()> {
    let exchanges = both(name, built, LOAD, protocol, options)?;
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

pub(crate) fn addresses_come_back() -> Result<()> {
    churn(Version::Go1_15, &[])?;
    churn(Version::Go1_15, EXITS)
}

pub(crate) fn attached_and_detached() -> Result<()> {
    attached_and_detached_by(Version::Go1_15, &[])?;
    attached_and_detached_by(Version::Go1_15, EXITS)
}
