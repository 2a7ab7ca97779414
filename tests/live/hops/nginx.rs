//! nginx in front of a server with TLS, with ids and without any, retries and subrequests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{Nginx, loopback::free_port, nginx::Setup, wait};

use super::{
    trace::{Hop, Load, assert_true, probe, trace},
    upstream::{Carrier, Upstream},
};

/// Connections of the client, and requests on each.
const CONNECTIONS: usize = 50;
const EACH: usize = 40;

/// A gateway in front of an upstream server.
struct Gateway {
    upstream: Upstream,
    nginx: Nginx,
    port: u16,
}

impl Gateway {
    /// Starts a gateway whose location `/app/` has these directives.
    fn start(directives: &str) -> Result<Self> {
        let upstream = Upstream::start()?;
        let (port, server) = (free_port()?, upstream.url(Carrier::Tls));
        let servers = format!(
            "log_format hops '$http_x_probe $request_time $upstream_response_time $status $upstream_status';
            upstream up {{ server 127.0.0.1:{tls}; keepalive 64; }}
            upstream again {{ server 127.0.0.1:{tls} max_fails=0; server localhost:{tls} max_fails=0; keepalive 64; }}
            server {{
                listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                access_log hops.log hops;
                keepalive_requests 1000000;
                proxy_http_version 1.1; proxy_set_header Connection '';
                proxy_hide_header X-Request-ID; add_header X-Gateway nginx;
                location /app/ {{ proxy_pass https://up; {directives} }}
                location /closed/ {{ proxy_pass https://127.0.0.1:1; }}
                location /retry/ {{ proxy_next_upstream http_500; proxy_pass https://again; }}
                location /checked/ {{ auth_request /auth; proxy_pass {server}/app/; }}
                location = /auth {{ internal; proxy_pass {server}/auth; }}
            }}",
            tls = upstream.port(Carrier::Tls),
        );
        let nginx = Nginx::start_with(Setup {
            servers: &servers,
            workers: Some(2),
            ..Setup::default()
        })?;
        Ok(Self { upstream, nginx, port })
    }

    /// Traces requests of a client, and returns the hops.
    fn trace(&self, path: &str, ids: &str, connections: usize, each: usize) -> Result<Vec<Hop>> {
        let load = Load {
            path,
            ids,
            connections,
            each,
        };
        trace(self.nginx.master(), self.port, load)
    }

    /// Returns the lines of the gateway's log by the probe: request time, upstream time in seconds.
    fn log(&self, count: usize) -> Result<BTreeMap<String, [f64; 2]>> {
        let path = self.nginx.certificate().with_file_name("hops.log");
        wait::until_true("the log of the gateway", || {
            Ok(fs::read_to_string(&path)?.lines().count() >= count)
        })?;
        let text = fs::read_to_string(&path)?;
        let line = |line: &str| -> Result<(String, [f64; 2])> {
            let words: Vec<_> = line.split(' ').collect();
            let word = |place: usize| words.get(place).copied().context("a line of the log is short");
            Ok((
                word(0)?.to_owned(),
                [word(1)?.parse()?, word(2)?.parse().unwrap_or(0.0)],
            ))
        };
        text.lines().map(line).collect()
    }
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_is_in_one_hop_with_its_upstream_request_and_what_was_changed() -> Result<()> {
    const REQUESTS: usize = CONNECTIONS * EACH;
    let gateway = Gateway::start(
        "proxy_set_header Connection ''; proxy_set_header X-Request-ID $request_id; proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Dropped ''; proxy_set_header X-Changed after; add_header X-Request-ID $request_id;",
    )?;
    let hops = gateway.trace("/app/same", "none", CONNECTIONS, EACH)?;
    assert_eq!(assert_true(&hops, REQUESTS, REQUESTS), REQUESTS);
    let log = gateway.log(REQUESTS)?;
    for hop in &hops {
        let upstream = &hop.0["upstreams"][0];
        assert_eq!(upstream["joined"], "request-id");
        let id = upstream["exchange"]["request_id"].as_str().context("no request id")?;
        let authority = format!("127.0.0.1:{}", gateway.upstream.port(Carrier::Tls));
        let diff = &upstream["request_diff"];
        let names = |list: &Value| -> Vec<String> {
            let fields = list.as_array().into_iter().flatten();
            fields
                .map(|field| field[0].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(diff["complete"], json!(true));
        let added: BTreeSet<_> = names(&diff["added"]).into_iter().collect();
        assert_eq!(
            added,
            BTreeSet::from(["x-forwarded-for", "x-request-id"].map(str::to_owned)),
            "{diff}"
        );
        assert!(
            diff["added"]
                .to_string()
                .contains(&format!(r#"["x-request-id","{id}"]"#)),
            "{diff}"
        );
        assert_eq!(diff["removed"], json!([["x-dropped", "1"]]), "{diff}");
        let changed = &diff["changed"];
        assert!(
            changed.to_string().contains(r#"["x-changed","before","after"]"#),
            "{diff}"
        );
        assert!(
            !changed.to_string().contains(&authority) || changed[0][0] == ":authority",
            "{diff}"
        );
        // The upstream server has an id of its own, which the gateway replaces.
        let answer = &upstream["response_diff"];
        assert!(
            names(&answer["changed"]).contains(&"x-request-id".to_owned()),
            "{answer}"
        );
        assert_times(hop, &log)?;
    }
    let reused = hops
        .iter()
        .filter(|hop| hop.0["upstreams"][0]["reused"] == json!(true))
        .count();
    assert!(reused > REQUESTS / 2, "{reused} upstream connections were reused");
    Ok(())
}

/// Asserts that the times of a hop are within those that the gateway logged, in milliseconds.
fn assert_times(hop: &Hop, log: &BTreeMap<String, [f64; 2]>) -> Result<()> {
    let exchange = hop.downstream().context("no downstream exchange")?;
    let [request, upstream] = log.get(&probe(&exchange)).context("it is not in the log")?;
    let number = |value: &Value| value.as_f64().context("a time is missing");
    let gateway_ms = number(&hop.0["gateway_us"])? / 1000.0;
    let duration_ms = number(&hop.0["downstream"]["duration_us"])? / 1000.0;
    // nginx rounds down to its cached clock, which is updated once in a turn of the event loop: what is late in a turn counts
    // to the next one. The gateway cannot have had it longer than the whole exchange.
    assert!(gateway_ms <= duration_ms, "{}", hop.0);
    let upstream_ms = number(&hop.0["upstreams"][0]["exchange"]["duration_us"])? / 1000.0;
    assert!((duration_ms - gateway_ms - upstream_ms).abs() < 1.0, "{}", hop.0);
    assert!(*request >= 0.0 && *upstream <= *request + 0.002, "{request} {upstream}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn without_ids_the_order_of_heads_joins_or_it_is_ambiguous() -> Result<()> {
    const REQUESTS: usize = CONNECTIONS * EACH;
    let gateway = Gateway::start("")?;
    // All have the same path, so that only the order tells them apart.
    let hops = gateway.trace("/app/same", "none", CONNECTIONS, EACH)?;
    let joined = assert_true(&hops, REQUESTS, REQUESTS);
    crate::claims::show("joined by the order of heads, of 2000", joined);
    for hop in &hops {
        assert!(
            hop.joined()
                .iter()
                .flatten()
                .all(|how| ["causality", "path"].contains(how)),
            "{}",
            hop.0
        );
        let is_alone = hop.0.get("downstream").is_none();
        assert!(!is_alone || hop.0.get("candidates").is_some(), "{}", hop.0);
    }
    // Each path is open once, so that it joins all that came after the gateway had been observed for long enough.
    let hops = gateway.trace("/app/NUMBER", "none", CONNECTIONS, EACH)?;
    let joined = assert_true(&hops, REQUESTS, REQUESTS);
    // On a fast machine that is a good part of the run.
    assert!(joined > REQUESTS / 4, "{joined} were joined by their paths");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_id_that_several_clients_use_at_once_joins_nothing_wrong() -> Result<()> {
    const REQUESTS: usize = CONNECTIONS * EACH;
    let gateway = Gateway::start("")?;
    let hops = gateway.trace("/app/same", "shared", CONNECTIONS, EACH)?;
    assert_true(&hops, REQUESTS, REQUESTS);
    // The path is another sign.
    let hops = gateway.trace("/app/NUMBER", "shared", CONNECTIONS, EACH)?;
    let joined = assert_true(&hops, REQUESTS, REQUESTS);
    assert!(joined > REQUESTS / 10 * 9, "{joined} were joined");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn retries_checks_and_errors_are_hops() -> Result<()> {
    let gateway = Gateway::start("")?;
    let hops = gateway.trace("/closed/NUMBER", "own", 2, 5)?;
    assert_eq!(assert_true(&hops, 10, 0), 0);
    assert!(hops.iter().all(|hop| hop.0["downstream"]["response"]["status"] == 502));

    let hops = gateway.trace("/checked/NUMBER", "own", 2, 5)?;
    assert_eq!(assert_true(&hops, 10, 20), 20);
    let statuses = |hop: &Hop| -> Vec<_> {
        let upstreams = hop.upstreams();
        upstreams
            .iter()
            .map(|upstream| upstream.number("/response/status"))
            .collect()
    };
    assert!(hops.iter().all(|hop| statuses(hop) == [Some(204), Some(200)]));

    // Every server fails, so that each is tried.
    let hops = gateway.trace("/retry/NUMBER", "own", 1, 5)?;
    let upstreams: usize = hops.iter().map(|hop| hop.upstreams().len()).sum();
    assert!(upstreams > 5, "{upstreams} upstream exchanges");
    assert_eq!(assert_true(&hops, 5, upstreams), upstreams);
    Ok(())
}
