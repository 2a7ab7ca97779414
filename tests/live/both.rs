//! A program whose image holds OpenSSL and `GnuTLS`: both are traced, each by its own plan.

use anyhow::Result;
use support::{Nginx, Tracer, binary, program::Program, run, schema};

use crate::{
    addresses::claims::connections,
    claims::{assert_addresses_of_client, assert_bodies, assert_facts_of_client, assert_same_requests, stop_after},
};

/// Connections of each library.
const CONNECTIONS: usize = 20;

/// Requests on each connection.
const EACH: usize = 50;

/// Each library, and where the addresses of its connections come from.
const LIBRARIES: [(&str, &str); 2] = [("openssl", "bio"), ("gnutls", "set_fd")];

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_exchange_names_the_library_of_its_own_connection() -> Result<()> {
    let nginx = Nginx::start()?;
    let (port, pairs, requests) = (nginx.port().to_string(), CONNECTIONS.to_string(), EACH.to_string());
    let mut client = Program::c_with_both("both.c", &[&port, &pairs, &requests])?;
    let tracer = Tracer::of(&[client.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let (trace, log) = stop_after(tracer, &nginx, 2 * CONNECTIONS * EACH)?;
    client.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_bodies(&exchanges, 0, 6);
    for (library, source) in LIBRARIES {
        let mut own = exchanges.clone();
        own.retain(|exchange| exchange.text("/tls") == Some(library));
        assert_eq!(own.len(), CONNECTIONS * EACH, "{library}");
        assert_eq!(connections(&own, "client"), CONNECTIONS, "{library}");
        assert_addresses_of_client(&own, &log, &nginx, source)?;
        for exchange in own {
            let path = exchange.text("/request/path").unwrap_or_default();
            assert!(path.starts_with(&format!("/small/{library}-")), "{exchange:?}");
        }
    }
    let attached = |line: &&String| line.contains("attached to program");
    assert_eq!(trace.stderr.iter().filter(attached).count(), 2, "{:?}", trace.stderr);
    assert!(
        !trace.stderr.iter().any(|line| line.contains("not traced")),
        "{:?}",
        trace.stderr
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn inspect_prints_a_plan_for_each_library() -> Result<()> {
    let client = Program::c_with_both("both.c", &["0", "0", "0"])?;
    let ran = run::succeed(&mut binary::command(&[
        "inspect",
        "-p",
        &client.pid().to_string(),
        "-o",
        "json",
    ])?)?;
    assert_eq!(ran.stderr, "");
    let mut found = Vec::new();
    for line in ran.stdout.lines() {
        let line = schema::parse(line)?;
        found.push(line["plan"]["library"].as_str().unwrap_or("none").to_owned());
        assert!(
            !line["plan"]["unseen"].to_string().contains("another library"),
            "{line}"
        );
    }
    assert_eq!(found, LIBRARIES.map(|(library, _)| library));
    Ok(())
}
