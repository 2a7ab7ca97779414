//! Envoy between a client and a server, all three over TLS.

use std::collections::BTreeSet;

use anyhow::Result;
use support::{
    Exchange, LoggedExchange, Tracer,
    envoy::Envoy,
    exchange_log,
    go::{Build, Built, Version},
};

use crate::address_claims::assert_addresses;

/// Traces Envoy, from the middle of its connections on or from their beginnings, while so many requests pass over each of so
/// many connections. Each id of its access log is printed once on each side, with the addresses that its peers logged.
fn proxied(protocol: &str, load: (usize, usize), is_late: bool) -> Result<()> {
    let built = Built::by(Version::Go1_19, Build::Plain)?;
    let mut server = built.serve(&[])?;
    server.begin()?;
    let port = server.wait_for("port ")?.parse()?;
    let envoy = Envoy::start(port, protocol)?;
    let mut client = if is_late {
        built.ask_warm(&envoy.url(), load, protocol)?
    } else {
        built.ask(&envoy.url(), load, protocol)?
    };
    let tracer = Tracer::of(&[envoy.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let [asked, answered] = [client, server].map(|program| exchange_log::parse(&program.finish()?));
    let (asked, answered) = (asked?, answered?);
    let mut ids: Vec<_> = asked.iter().map(|logged| logged.id.clone()).collect();
    let logged: Vec<_> = asked.into_iter().chain(answered).map(LoggedExchange::by_peer).collect();
    assert_eq!(logged.len(), 2 * load.0 * load.1);
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    let exchanges = assert_addresses(&format!("Envoy, {protocol}, late: {is_late}"), &trace, &logged)?;
    for exchange in &exchanges {
        assert_eq!(exchange.text("/tls"), Some("boringssl"), "{exchange:?}");
        assert_eq!(exchange.text("/connection/source"), Some("ciphertext"), "{exchange:?}");
    }
    ids.sort_unstable();
    let mut seen = envoy.finish()?;
    // A warm client has used its connections before.
    seen.retain(|id| ids.binary_search(id).is_ok());
    assert_eq!(seen, ids, "its access log");
    Ok(())
}

pub(crate) fn over_http_1() -> Result<()> {
    proxied("h1", (20, 100), false)
}

pub(crate) fn attached_late() -> Result<()> {
    proxied("h1", (50, 40), true)
}

pub(crate) fn over_http_2() -> Result<()> {
    proxied("h2", (20, 100), false)?;
    proxied("h2", (50, 100), false)
}

/// A successor takes over while a client is asking. Each request is printed once on each side, by the process that had it.
pub(crate) fn restarted() -> Result<()> {
    const LOAD: (usize, usize) = (20, 100);
    let built = Built::by(Version::Go1_19, Build::Plain)?;
    let mut server = built.serve(&[])?;
    server.begin()?;
    let mut envoy = Envoy::start_restartable(server.wait_for("port ")?.parse()?, "h1")?;
    let tracer = Tracer::ready(&["trace", "--name", "envoy"])?;
    let former = envoy.pid();
    let mut asked = Vec::new();
    for is_restarted in [false, true] {
        let mut client = built.ask(&envoy.url(), LOAD, "h1")?;
        client.begin()?;
        if is_restarted {
            envoy.wait_for_former()?;
        } else {
            envoy.restart()?;
        }
        client.wait_for("done")?;
        asked.extend(exchange_log::parse(&client.finish()?)?);
    }
    let ids: BTreeSet<_> = asked.iter().map(|logged| logged.id.clone()).collect();
    let answered = exchange_log::parse(&server.finish()?)?;
    let logged: Vec<_> = asked.into_iter().chain(answered).map(LoggedExchange::by_peer).collect();
    assert_eq!(logged.len(), 4 * LOAD.0 * LOAD.1);
    tracer.wait_for_lines(logged.len())?;
    let exchanges = assert_addresses("Envoy, restarted", &tracer.stop()?, &logged)?;
    for pid in [former, envoy.pid()] {
        let of_process = |exchange: &&Exchange| exchange.number("/pid") == Some(pid.into());
        let count = exchanges.iter().filter(of_process).count();
        assert!(count > 0, "process {pid} of {former} and its successor");
    }
    assert_eq!(
        envoy.finish()?.into_iter().collect::<BTreeSet<_>>(),
        ids,
        "its access log"
    );
    Ok(())
}
