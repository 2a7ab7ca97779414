//! Programs awaited with `--wait`: the first one is traced from its first request, even if it ends soon.

use anyhow::Result;
use support::{Nginx, Tracer, curl, nginx::Setup, search, wait};

use crate::claims::{
    assert_addresses_of_client, assert_facts_of_client, assert_facts_of_server, assert_same_requests, stop_after,
};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_first_awaited_curl_is_traced_each_time() -> Result<()> {
    const TIMES: usize = 20;
    let nginx = Nginx::start()?;
    for time in 1..=TIMES {
        let tracer = Tracer::ready(&["trace", "--name", "curl", "--wait"])?;
        curl::request(&[&nginx.url(&format!("/small/{time}"))])?;
        let log = nginx.wait_for_log(time)?;
        tracer.wait_for_lines(1)?;
        let trace = tracer.stop()?;
        // curl is not affected by the limit of UNIX sockets, so it is not mentioned.
        assert!(
            !trace.stderr.iter().any(|line| line.contains("unix sockets")),
            "{:?}",
            trace.stderr
        );
        let last = &log[time - 1..];
        let exchanges = assert_same_requests(&trace, last)?;
        assert_facts_of_client(&exchanges, last)?;
        assert_addresses_of_client(&exchanges, last, &nginx, "ciphertext")?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_awaited_gateway_is_traced_from_its_first_request() -> Result<()> {
    const REQUESTS: usize = 5;
    let tracer = Tracer::ready(&["trace", "--name", "nginx", "--wait"])?;
    let nginx = Nginx::start()?;
    curl::request(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_server(&exchanges, &log, &nginx)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_of_many_short_lived_clients_has_its_addresses() -> Result<()> {
    const CLIENTS: usize = 100;
    let nginx = Nginx::start()?;
    for args in [&["trace", "--name", "curl", "--wait"][..], &["trace", "--all"]] {
        let before = nginx.log()?.len();
        let tracer = Tracer::ready(args)?;
        for client in 0..CLIENTS {
            curl::request(&[&nginx.url(&format!("/small/{client}"))])?;
        }
        let log = nginx.wait_for_log(before + CLIENTS)?;
        wait::until_true("each client is seen", || {
            Ok(tracer.count_lines("\"process\":\"curl\"") >= CLIENTS)
        })?;
        let trace = tracer.stop()?;
        assert!(trace.lines_of("loss")?.is_empty(), "{args:?}");
        let of_curl = |exchange: &support::Exchange| exchange.text("/process") == Some("curl");
        let exchanges: Vec<_> = trace.exchanges()?.into_iter().filter(of_curl).collect();
        assert_eq!(exchanges.len(), CLIENTS, "{args:?}");
        assert_addresses_of_client(&exchanges, &log, &nginx, "ciphertext")?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_client_that_is_awaited_for_long_is_traced_from_its_first_request() -> Result<()> {
    const CLIENTS: usize = 3;
    let nginx = Nginx::start()?;
    let tracers = [&["trace", "--name", "curl", "--wait"][..], &["trace", "--all"]].map(Tracer::ready);
    // Nothing needs the probes of calls here, which go after the longest time that such probes stay.
    let other = Tracer::of(&[nginx.master()], &[])?;
    let links = other.bpf_objects()?.links.len();
    wait::until_true("fewer links", || Ok(other.bpf_objects()?.links.len() < links))?;
    other.stop()?;
    for client in 0..CLIENTS {
        curl::request(&[&nginx.url(&format!("/small/{client}"))])?;
    }
    let log = nginx.wait_for_log(CLIENTS)?;
    for tracer in tracers {
        let tracer = tracer?;
        wait::until_true("each client is seen", || {
            Ok(tracer.count_lines("\"process\":\"curl\"") >= CLIENTS)
        })?;
        let trace = tracer.stop()?;
        assert!(trace.lines_of("loss")?.is_empty());
        let mut exchanges = trace.exchanges()?;
        exchanges.retain(|exchange| exchange.text("/process") == Some("curl"));
        assert_eq!(exchanges.len(), CLIENTS);
        assert_facts_of_client(&exchanges, &log)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_long_name_does_not_match_another_with_the_same_beginning() -> Result<()> {
    const REQUESTS: usize = 5;
    let folder = tempfile::tempdir()?;
    let start = |name: &str| -> Result<Nginx> {
        let program = folder.path().join(name);
        std::fs::copy(search::program("nginx")?, &program)?;
        Nginx::start_with(Setup {
            program: Some(&program),
            workers: Some(1),
            ..Setup::default()
        })
    };
    let tracer = Tracer::ready(&["trace", "--name", "gateway-server-one", "--wait"])?;
    let (meant, other) = (start("gateway-server-one")?, start("gateway-server-two")?);
    for nginx in [&other, &meant] {
        curl::request(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    }
    let (trace, log) = stop_after(tracer, &meant, REQUESTS)?;
    assert_same_requests(&trace, &log).map(drop)
}
