//! Ways to call OpenSSL, by a C client of nginx, compared with the log of nginx.

use anyhow::Result;
use support::{
    Access, Exchange, Nginx, Trace, Tracer, nginx::Setup, program::Program, unknown_version::UnknownVersion,
};

use crate::claims::{
    assert_addresses_of_client, assert_bodies, assert_facts_of_client, assert_facts_of_server, assert_same_requests,
    matched, stop_after,
};

const HUGE: u64 = 3 * 1024 * 1024;
const DEFAULT_CALL_BYTES: u64 = 1024 * 1024;

/// The traffic of a C client, as tlscope and nginx saw it.
struct Seen {
    trace: Trace,
    log: Vec<Access>,
    nginx: Nginx,
}

fn trace_client(way: &str, requests: usize, logged: usize, args: &[&str]) -> Result<Seen> {
    let nginx = Nginx::start()?;
    let mut client = Program::c("client.c", &[&nginx.port().to_string(), &requests.to_string(), way])?;
    let tracer = Tracer::of(&[client.pid()], args)?;
    client.begin()?;
    client.wait_for("done")?;
    let (trace, log) = stop_after(tracer, &nginx, logged)?;
    client.finish()?;
    Ok(Seen { trace, log, nginx })
}

/// Traces a client. Asserts that every request is printed with its addresses.
fn assert_client_is_seen(way: &str, requests: usize, logged: usize) -> Result<Vec<Exchange>> {
    let Seen { trace, log, nginx } = trace_client(way, requests, logged, &[])?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, "bio")?;
    assert_bodies(&exchanges, 0, 6);
    Ok(exchanges)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn peeked_bytes_are_counted_once() -> Result<()> {
    assert_client_is_seen("peek", 200, 200).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ssl_read_ex_and_ssl_write_ex_are_captured() -> Result<()> {
    assert_client_is_seen("ex", 200, 200).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn traffic_through_bio_f_ssl_is_captured() -> Result<()> {
    assert_client_is_seen("bio", 200, 200).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_object_reused_after_ssl_clear_is_a_new_connection() -> Result<()> {
    let exchanges = assert_client_is_seen("clear", 100, 100)?;
    let connections: std::collections::BTreeSet<_> = exchanges
        .iter()
        .map(|exchange| exchange.text("/connection/id"))
        .collect();
    assert_eq!(connections.len(), 10);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn bytes_of_two_threads_are_not_mixed() -> Result<()> {
    for exchange in assert_client_is_seen("threads", 5_000, 10_000)? {
        let thread = exchange.request_header("x-thread").unwrap_or("none");
        let path = exchange.text("/request/path").unwrap_or_default();
        assert!(path.starts_with(&format!("/small/{thread}-")), "{exchange:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_traced_process_with_a_seccomp_filter_survives() -> Result<()> {
    assert_client_is_seen("seccomp", 200, 200).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_longjmp_out_of_ssl_read_loses_no_exchange() -> Result<()> {
    let Seen { trace, log, .. } = trace_client("longjmp", 200, 200, &[])?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert_bodies(&exchanges, 0, 6);
    for exchange in &exchanges {
        assert_eq!(exchange.text("/connection/source"), Some("ciphertext"), "{exchange:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn bytes_over_the_call_limit_are_reported_as_loss() -> Result<()> {
    const UPLOADS: usize = 5;
    // The limit is on what one call brings; a lift brings one record at a time.
    let Seen { trace, log, .. } = trace_client("huge", 2 * UPLOADS, 2 * UPLOADS, &["--hooks", "exit"])?;
    let exchanges = trace.exchanges()?;
    assert_eq!((trace.code, trace.totals()?.lost_records), (Some(0), 0));
    assert_eq!(
        (
            exchanges.len(),
            exchanges.iter().filter(|exchange| exchange.is_whole()).count()
        ),
        (log.len(), log.len())
    );
    assert_facts_of_client(&exchanges, &log)?;
    for (exchange, access) in matched(&exchanges, &log)? {
        let body = if access.method == "PUT" { HUGE } else { 0 };
        assert_eq!(exchange.number("/request/body_bytes"), Some(body), "{exchange:?}");
        assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
    }
    let losses = trace.lines_of("loss")?;
    assert_eq!(losses.len(), UPLOADS);
    for loss in losses {
        assert_eq!(
            (loss["cause"].as_str(), loss["direction"].as_str()),
            (Some("over_limit"), Some("write")),
            "{loss}"
        );
        let bytes = loss["bytes"].as_u64().unwrap_or_default();
        // The call includes the head.
        assert!(
            (HUGE - DEFAULT_CALL_BYTES..HUGE - DEFAULT_CALL_BYTES + 256).contains(&bytes),
            "{loss}"
        );
        assert!(loss["position"].as_u64().is_some(), "{loss}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn bytes_on_absent_pages_are_reported_as_loss() -> Result<()> {
    let Seen { trace, log, .. } = trace_client("absent", 20, 20, &[])?;
    let exchanges = trace.exchanges()?;
    assert_eq!(exchanges.len(), log.len());
    assert_facts_of_client(&exchanges, &log)?;
    let totals = trace.totals()?;
    assert_eq!((trace.code, totals.half, totals.lost_bytes), (Some(0), 0, 10 * 8192));
    let losses = trace.lines_of("loss")?;
    let bytes: u64 = losses.iter().filter_map(|loss| loss["bytes"].as_u64()).sum();
    assert_eq!(bytes, totals.lost_bytes);
    assert!(
        losses
            .iter()
            .all(|loss| loss["cause"] == "lost" && loss["direction"] == "write"),
        "{losses:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_openssl_of_unknown_version_gives_addresses() -> Result<()> {
    const REQUESTS: usize = 20;
    let library = UnknownVersion::make()?;
    let nginx = Nginx::start_with(Setup {
        libraries: Some(library.folder()?),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    for number in 0..REQUESTS {
        support::curl::request(&[&nginx.url(&format!("/small/{number}"))])?;
    }
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)?;
    for exchange in &exchanges {
        assert_eq!(exchange.text("/connection/source"), Some("bio"), "{exchange:?}");
    }
    Ok(())
}
