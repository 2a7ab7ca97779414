//! curl, which has a BIO of its own since 7.87.

use anyhow::Result;
use support::{Nginx, Told, Tracer, curl::Waiting};

use super::claims::{CONNECTIONS, REQUESTS, assert_addresses, assert_same, hosts};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_exchange_of_a_curl_has_the_addresses_that_it_and_its_server_know() -> Result<()> {
    let nginx = Nginx::start()?;
    let curl = Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    let hosts = hosts()?;
    let address = |number: usize| format!("https://{}:{}/small/{number}", hosts[number % 2], nginx.port());
    let urls: Vec<_> = (0..REQUESTS).map(address).collect();
    let told = curl.ask_in_parallel(&urls, CONNECTIONS)?;
    let answered: Vec<_> = nginx.wait_for_told(REQUESTS)?.into_iter().map(Told::by_peer).collect();
    assert_same(&told, &answered);
    let trace = tracer.finish()?;
    // curl has ended by itself, and with it the trace.
    assert_eq!(trace.code, Some(1));
    assert_addresses("curl", &trace, &told).map(drop)
}
