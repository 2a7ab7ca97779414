//! Processes in other namespaces: equal addresses in two networks, and PIDs and paths that are not valid outside.

use anyhow::Result;
use support::{
    CommandOutput, Exchange, Nginx, Tracer, binary,
    jail::Jailed,
    loopback,
    namespace::{Network, network_of},
    nginx::Setup,
    run,
};

use crate::claims::{assert_facts_of_client, assert_facts_of_server, assert_same_requests, matched, stop_after};

const REQUESTS: usize = 20;

/// Starts nginx in a network namespace.
fn gateway(network: &Network, port: u16) -> Result<Nginx> {
    Nginx::start_with(Setup {
        exec_prefix: &network.exec_prefix(),
        port: Some(port),
        workers: Some(1),
        ..Setup::default()
    })
}

/// Sends requests from a given port over one connection.
fn send_requests(network: &Network, nginx: &Nginx, from: u16) -> Result<()> {
    let (urls, from) = (nginx.url(&format!("/small/[1-{REQUESTS}]")), from.to_string());
    let args = ["-sSkf", "--http1.1", "--local-port", &from, &urls];
    run::succeed(&mut network.command("curl", &args)).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn equal_addresses_in_two_network_namespaces_are_two_connections() -> Result<()> {
    let (port, from) = (loopback::free_port()?, 30_001);
    let (one, other) = (Network::make()?, Network::make()?);
    let gateways = [gateway(&one, port)?, gateway(&other, port)?];
    let tracer = Tracer::of(&gateways.each_ref().map(Nginx::master), &[])?;
    send_requests(&one, &gateways[0], from)?;
    send_requests(&other, &gateways[1], from)?;
    let logs = [gateways[0].wait_for_log(REQUESTS)?, gateways[1].wait_for_log(REQUESTS)?];
    tracer.wait_for_lines(2 * REQUESTS)?;
    let trace = tracer.stop()?;
    let exchanges = assert_same_requests(&trace, &logs.concat())?;
    for (gateway, log) in gateways.iter().zip(&logs) {
        let worker = log.first().and_then(|access| access.pid);
        let own = |exchange: &&Exchange| exchange.number("/pid") == worker;
        let own: Vec<_> = exchanges.iter().filter(own).cloned().collect();
        assert_eq!(own.len(), REQUESTS);
        // Each exchange is in the log of its nginx.
        assert_facts_of_server(&own, log, gateway)?;
        let network = network_of(gateway.master())?;
        for (exchange, _) in matched(&own, log)? {
            assert_eq!(exchange.text("/connection/remote"), Some("127.0.0.1:30001"));
            assert_eq!(exchange.number("/connection/netns"), Some(network), "{exchange:?}");
        }
    }
    assert_ne!(network_of(gateways[0].master())?, network_of(gateways[1].master())?);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_process_in_a_pid_namespace_is_traced_by_its_outer_pid() -> Result<()> {
    let nginx = Nginx::start()?;
    let args = [nginx.port().to_string(), REQUESTS.to_string(), "plain".to_owned()];
    let mut jailed = Jailed::c("client.c", &args.each_ref().map(String::as_str))?;
    let tracer = Tracer::of(&[jailed.outer()], &[])?;
    jailed.program().begin()?;
    let (trace, log) = stop_after(tracer, &nginx, REQUESTS)?;
    let outer = u64::from(jailed.outer());
    jailed.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_facts_of_client(&exchanges, &log)?;
    assert!(
        exchanges.iter().all(|exchange| exchange.number("/pid") == Some(outer)),
        "{exchanges:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_process_in_a_pid_namespace_is_refused_by_its_inner_pid() -> Result<()> {
    let jailed = Jailed::c("client.c", &["1", "0", "plain"])?;
    let (outer, inner) = (jailed.outer().to_string(), jailed.inner().to_string());
    let CommandOutput { code, stdout, stderr } = run::run(&mut binary::command(&["trace", "-p", &inner])?)?;
    assert_eq!(
        (code, stdout.as_str(), stderr.lines().count()),
        (Some(1), "", 1),
        "{stderr}"
    );
    let words: Vec<_> = stderr.split(|byte: char| !byte.is_ascii_alphanumeric()).collect();
    // The message names the outer PID.
    assert!(
        words.contains(&inner.as_str()) && words.contains(&outer.as_str()),
        "{stderr}"
    );
    Ok(())
}
