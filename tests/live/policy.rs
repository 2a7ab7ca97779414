//! `--policy` on a real gateway: the starting set is quiet on ordinary requests, and not on an odd one.

use std::path::Path;

use anyhow::Result;
use support::{Nginx, Tracer, curl, schema};

use crate::claims::stop_after;

const REQUESTS: usize = 20;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_starting_set_tells_an_odd_request_from_ordinary_ones() -> Result<()> {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/policy/starter.toml");
    let nginx = Nginx::start()?;
    let policy = policy.display().to_string();
    let tracer = Tracer::of(&[nginx.master()], &["-o", "json", "--policy", &policy])?;
    curl::request(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    curl::request(&["-H", "Proxy: http://192.0.2.1", &nginx.url("/small/odd")])?;
    let (trace, _) = stop_after(tracer, &nginx, REQUESTS + 1)?;
    let alerts = trace.lines_of("alert")?;
    let rules: Vec<_> = alerts.iter().map(|alert| &alert["rule"]).collect();
    assert_eq!(rules, ["httpoxy"], "{alerts:?}");
    assert!(alerts.iter().all(|alert| schema::parse(&alert.to_string()).is_ok()));
    assert_eq!(trace.exchanges()?.len(), REQUESTS + 1);
    Ok(())
}
