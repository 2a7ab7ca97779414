//! nghttpx between clients and nginx, with HTTP/2 over TLS on both sides.

use std::collections::BTreeMap;

use anyhow::Result;
use support::{
    Access, Exchange, Nghttpx, Nginx, Tracer,
    h2load::{H2load, Load},
};

use super::claims::{assert_http2, assert_no_complaint};
use crate::claims::{assert_bodies, assert_facts_of_client, assert_nothing_lost, multiset};

const REQUESTS: usize = 10_000;

/// Returns the key of a request of the gateway: the client's address and the logged fields.
fn logged(access: &Access) -> String {
    let Access {
        remote,
        method,
        status,
        uri,
        id: _,
        connection: _,
        pid: _,
    } = access;
    format!("{remote} {method} {uri} {status}")
}

fn printed(exchange: &Exchange) -> String {
    let text = |pointer| exchange.text(pointer).unwrap_or("none");
    let status = exchange.number("/response/status").unwrap_or(0);
    let (remote, method, path) = (
        text("/connection/remote"),
        text("/request/method"),
        text("/request/path"),
    );
    format!("{remote} {method} {path} {status}")
}

fn by_request_id(exchanges: &[Exchange]) -> BTreeMap<&str, &Exchange> {
    let with_id = |exchange| Some((Exchange::request_id(exchange)?, exchange));
    exchanges.iter().filter_map(with_id).collect()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn both_sides_of_a_gateway_are_printed_once_for_each_request() -> Result<()> {
    let nginx = Nginx::start()?;
    let nghttpx = Nghttpx::start(&[&format!("127.0.0.1,{};/;tls;proto=h2", nginx.port())])?;
    let tracer = Tracer::of(&[nghttpx.master()], &[])?;
    let load = Load {
        fields: &["x-tenant: blue"],
        ..Load::of(REQUESTS, "/small/NUMBER")
    };
    H2load::start(&nghttpx.url(""), load)?.finish()?;
    let (log, requested) = (nghttpx.wait_for_log(REQUESTS)?, nginx.wait_for_log(REQUESTS)?);
    tracer.wait_for_lines(2 * REQUESTS)?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    assert_no_complaint(&trace)?;
    assert_nothing_lost(&trace, 2 * REQUESTS)?;
    let exchanges = trace.exchanges()?;
    assert_http2(&exchanges);
    assert_bodies(&exchanges, 0, 6);
    let is_server = |exchange: &Exchange| exchange.text("/side") == Some("server");
    let (servers, clients): (Vec<_>, Vec<_>) = exchanges.into_iter().partition(is_server);
    let printed: Vec<_> = servers.iter().map(printed).collect();
    let logged: Vec<_> = log.iter().map(logged).collect();
    let printed = multiset(printed.iter().map(String::as_str));
    assert_eq!(printed.len(), REQUESTS, "no two requests are equal");
    assert_eq!(printed, multiset(logged.iter().map(String::as_str)));
    assert_facts_of_client(&clients, &requested)?;
    let (servers, clients) = (by_request_id(&servers), by_request_id(&clients));
    assert_eq!(clients.len(), REQUESTS);
    for (id, server) in servers {
        let client = clients
            .get(id)
            .expect("the gateway forwards the response of the backend");
        assert_eq!(server.text("/request/path"), client.text("/request/path"), "{id}");
        assert_eq!(client.request_header("x-tenant"), Some("blue"), "{client:?}");
        assert_eq!(
            client.text("/connection/remote"),
            Some(format!("127.0.0.1:{}", nginx.port()).as_str())
        );
    }
    Ok(())
}
