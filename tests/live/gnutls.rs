//! `GnuTLS`: lighttpd, wget, and a C program that calls it in different ways.

use anyhow::{Result, ensure};
use support::{Access, Exchange, Nginx, Trace, Tracer, lighttpd::Library, nginx, program::Program, wget};

use crate::{
    addresses::claims::{REQUESTS, connections},
    claims::{
        assert_addresses_of_client, assert_bodies, assert_facts_of_client, assert_facts_of_server,
        assert_same_requests, multiset, stop_after,
    },
    lighttpd::{self, assert_all, finish},
};

/// The size of the bodies that `gnutls.c` uploads, in bytes.
const BODY: u64 = 2 * 1024 * 1024 + 5;

/// The source of the addresses of a session with a descriptor.
const BY_DESCRIPTOR: &str = "set_fd";

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_lighttpd_has_the_addresses_in_its_log() -> Result<()> {
    lighttpd::assert_addresses_in_log(Library::GnuTls, BY_DESCRIPTOR)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_http_2_exchange_of_lighttpd_has_the_addresses_of_its_client() -> Result<()> {
    lighttpd::assert_http_2(Library::GnuTls)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_concurrent_streams_of_lighttpd_is_printed_once() -> Result<()> {
    lighttpd::assert_concurrent_streams(Library::GnuTls)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn bodies_of_lighttpd_are_counted_to_the_last_byte() -> Result<()> {
    lighttpd::assert_bodies_counted(Library::GnuTls)
}

fn urls(nginx: &Nginx, path: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| nginx.url(&format!("{path}{number}"))).collect()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_wget_is_printed_once_for_client_and_server() -> Result<()> {
    let nginx = Nginx::start()?;
    let wget = wget::Waiting::start()?;
    let tracer = Tracer::of(&[wget.pid(), nginx.master()], &[])?;
    wget.request(&urls(&nginx, "/small/", REQUESTS))?;
    let log = nginx.wait_for_log(REQUESTS)?;
    let exchanges = finish(tracer, 2 * REQUESTS)?;
    let (client, server): (Vec<_>, Vec<_>) = exchanges
        .into_iter()
        .partition(|exchange| exchange.text("/side") == Some("client"));
    for side in [&client, &server] {
        assert_each_once(side, &log);
        assert_bodies(side, 0, 6);
    }
    assert_all(&client, "/process", "wget");
    assert_eq!(connections(&client, "client"), 1);
    assert_facts_of_client(&client, &log)?;
    assert_addresses_of_client(&client, &log, &nginx, BY_DESCRIPTOR)?;
    assert_facts_of_server(&server, &log, &nginx)
}

fn assert_each_once(exchanges: &[Exchange], log: &[Access]) {
    let printed = exchanges.iter().map(|exchange| exchange.request_id().unwrap_or("none"));
    assert_eq!(multiset(printed), multiset(log.iter().map(|access| access.id.as_str())));
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn large_responses_to_an_awaited_wget_are_counted_from_the_first_byte() -> Result<()> {
    const CLIENTS: usize = 10;
    const EACH: usize = 5;
    let nginx = Nginx::start()?;
    let tracer = Tracer::ready(&["trace", "--name", "wget", "--wait"])?;
    for _ in 0..CLIENTS {
        wget::request(&urls(&nginx, "/large/", EACH))?;
    }
    let (trace, log) = stop_after(tracer, &nginx, CLIENTS * EACH)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_eq!(connections(&exchanges, "client"), CLIENTS);
    assert_bodies(&exchanges, 0, nginx::LARGE);
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, BY_DESCRIPTOR)
}

/// Traces `gnutls.c` after its first `before` requests. Returns the trace and the lines that nginx logged since.
fn trace_program(nginx: &Nginx, way: &str, before: usize) -> Result<(Trace, Vec<Access>)> {
    const EACH: usize = 40;
    let requests = before + EACH;
    let args = [&nginx.port().to_string(), &requests.to_string(), way];
    let mut program = Program::c_with_gnutls("gnutls.c", &args)?;
    let earlier = nginx.wait_for_log(before)?.len();
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    program.wait_for("done")?;
    let (trace, mut log) = (stop(tracer, EACH)?, nginx.wait_for_log(earlier + EACH)?);
    program.finish()?;
    Ok((trace, log.split_off(earlier)))
}

fn stop(tracer: Tracer, lines: usize) -> Result<Trace> {
    tracer.wait_for_lines(lines)?;
    tracer.stop()
}

fn assert_exchanges(trace: &Trace, log: &[Access]) -> Result<Vec<Exchange>> {
    let exchanges = assert_same_requests(trace, log)?;
    assert_facts_of_client(&exchanges, log)?;
    let (gets, puts): (Vec<_>, Vec<_>) = exchanges
        .iter()
        .cloned()
        .partition(|exchange| exchange.text("/request/method") == Some("GET"));
    ensure!(!gets.is_empty() && !puts.is_empty(), "both methods are used");
    assert_bodies(&gets, 0, 6);
    assert_bodies(&puts, BODY, 0);
    Ok(exchanges)
}

fn assert_way(way: &str, before: usize) -> Result<()> {
    let nginx = Nginx::start()?;
    let (trace, log) = trace_program(&nginx, way, before)?;
    let exchanges = assert_exchanges(&trace, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, BY_DESCRIPTOR)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn corked_data_is_counted_once() -> Result<()> {
    assert_way("corked", 0)?;
    // The program repeats the flush until the socket accepts all bytes.
    assert_way("corked-again", 0)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_flush_that_found_the_table_of_calls_full_repeats_no_request() -> Result<()> {
    let nginx = Nginx::start()?;
    let mut program = Program::c_with_gnutls("full_gnutls.c", &[&nginx.port().to_string()])?;
    let tracer = Tracer::of(&[program.pid()], &["--calls", "2"])?;
    program.begin()?;
    program.wait_for("done")?;
    program.finish()?;
    let trace = tracer.stop()?;
    let is_untracked =
        |line: &String| line.contains("gnutls_record_uncork") && line.contains("too many calls in flight");
    assert!(trace.stderr.iter().any(is_untracked), "{:?}", trace.stderr);
    // The PUT and the GET are seen when they are corked. Of the flush only the second record is seen, which is the GET.
    let exchanges = trace.exchanges()?;
    let path = |exchange: &Exchange| exchange.text("/request/path").map(str::to_owned);
    let paths: Vec<_> = exchanges.iter().filter_map(path).collect();
    // The bytes of writes are unknown until the next flush that is tracked, so GET /small/4 is not seen.
    assert_eq!(paths, ["/small/1", "/upload/2", "/small/3", "/small/5", "/small/6"]);
    let first = exchanges.get(..3).unwrap_or_default();
    assert!(first.iter().all(Exchange::is_whole), "{first:?}");
    let losses = trace.lines_of("loss")?;
    ensure!(!losses.is_empty(), "the flush is reported as a loss");
    for loss in losses {
        assert_eq!(
            (loss["direction"].as_str(), loss["cause"].as_str()),
            (Some("write"), Some("not_captured")),
            "{loss}"
        );
        assert!(loss.get("bytes").is_none(), "{loss}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn repeated_calls_are_counted_once() -> Result<()> {
    assert_way("plain", 0)?;
    assert_way("again", 0)?;
    // The repeated call passes no bytes.
    assert_way("null", 0)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_session_joined_late_has_the_addresses_of_its_descriptor() -> Result<()> {
    assert_way("late", 1)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_descriptor_passed_as_a_pointer_gives_addresses() -> Result<()> {
    assert_way("pointer", 0)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_session_with_custom_transport_functions_has_no_addresses() -> Result<()> {
    let nginx = Nginx::start()?;
    let (trace, log) = trace_program(&nginx, "own", 0)?;
    for exchange in assert_exchanges(&trace, &log)? {
        assert_eq!(exchange.text("/connection/remote"), None, "{exchange:?}");
        assert_eq!(exchange.text("/connection/reason"), Some("custom-bio"), "{exchange:?}");
    }
    Ok(())
}
