//! Hops of nginx as a gateway, compared with what its client and its upstream server know: every request has a unique probe
//! in a header that the gateway passes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{Exchange, Nginx, Tracer, loopback::free_port, nginx::Setup, program::Program, wait};

/// Connections of the client, and requests on each.
const CONNECTIONS: usize = 50;
const EACH: usize = 40;

/// How long halves wait for each other, and how long a process is observed before paths join.
const HOLD: &str = "50ms";

/// A gateway in front of an upstream server.
struct Gateway {
    upstream: Nginx,
    nginx: Nginx,
    port: u16,
}

/// A hop, as far as the tests need it.
struct Hop(Value);

impl Gateway {
    /// Starts a gateway whose location `/app/` has these directives.
    fn start(directives: &str) -> Result<Self> {
        let upstream = Nginx::start_with(Setup {
            locations: "location /app/ { return 200 'small\\n'; }
                location = /auth { return 204; }
                location /retry/ { return 500; }",
            workers: Some(1),
            ..Setup::default()
        })?;
        let (port, server) = (free_port()?, format!("https://127.0.0.1:{}", upstream.port()));
        // The server that these directives are for ends here, and others follow.
        let locations = format!(
            "}}
            log_format hops '$http_x_probe $request_time $upstream_response_time $status $upstream_status';
            upstream up {{ server 127.0.0.1:{}; keepalive 64; }}
            upstream again {{ server 127.0.0.1:{} max_fails=0; server localhost:{} max_fails=0; keepalive 64; }}
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
            }}
            server {{ listen unix:unused.sock;",
            upstream.port(),
            upstream.port(),
            upstream.port()
        );
        let nginx = Nginx::start_with(Setup {
            locations: &locations,
            workers: Some(2),
            ..Setup::default()
        })?;
        Ok(Self { upstream, nginx, port })
    }

    /// Traces requests of a client, and returns the hops.
    fn trace(&self, path: &str, ids: &str, connections: usize, each: usize) -> Result<Vec<Hop>> {
        let arguments = [
            self.port.to_string(),
            path.to_owned(),
            connections.to_string(),
            each.to_string(),
            ids.to_owned(),
        ];
        let mut client = Program::python("hops.py", &arguments.each_ref().map(String::as_str))?;
        let tracer = Tracer::of(&[self.nginx.master()], &["--hops", "--hold", HOLD, "-o", "json"])?;
        client.begin()?;
        client.wait_for("done")?;
        let count = connections * each;
        wait::until_true("the downstream exchanges", || {
            Ok(tracer.count_lines(r#""downstream":"#) >= count)
        })?;
        let trace = tracer.stop()?;
        client.finish()?;
        assert_eq!(trace.code, Some(0));
        assert!(!trace.everything().contains("pLanted"), "a secret is shown");
        Ok(trace.lines_of("hop")?.into_iter().map(Hop).collect())
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

impl Hop {
    fn downstream(&self) -> Option<Exchange> {
        self.0.get("downstream").cloned().map(Exchange)
    }

    fn upstreams(&self) -> Vec<Exchange> {
        let upstreams = self.0["upstreams"].as_array().into_iter().flatten();
        upstreams
            .map(|upstream| Exchange(upstream["exchange"].clone()))
            .collect()
    }

    fn joined(&self) -> Vec<Option<&str>> {
        let upstreams = self.0["upstreams"].as_array().into_iter().flatten();
        upstreams.map(|upstream| upstream["joined"].as_str()).collect()
    }
}

fn probe(exchange: &Exchange) -> String {
    exchange.request_header("x-probe").unwrap_or("none").to_owned()
}

/// Asserts that no join is wrong and that each exchange is in one hop. Returns the number of joined upstream exchanges.
fn assert_true(hops: &[Hop], requests: usize, upstreams: usize) -> usize {
    let mut probes = BTreeMap::new();
    for exchange in hops.iter().filter_map(Hop::downstream) {
        let id = exchange.text("/id").unwrap_or_default().to_owned();
        assert!(
            probes.insert(id, probe(&exchange)).is_none(),
            "an exchange is in two hops"
        );
    }
    let (mut joined, mut all) = (0, BTreeSet::new());
    for hop in hops {
        // One that came late names the exchange that it belongs to.
        let of = hop.0["downstream"]["id"].as_str().or(hop.0["candidates"][0].as_str());
        for (upstream, how) in hop.upstreams().iter().zip(hop.joined()) {
            assert!(all.insert(upstream.text("/id").map(str::to_owned)), "{}", hop.0);
            if how.is_some() {
                joined += 1;
                let owner = of.and_then(|of| probes.get(of));
                assert_eq!(owner, Some(&probe(upstream)), "a wrong join: {}", hop.0);
            } else {
                assert!(hop.downstream().is_none(), "{}", hop.0);
            }
        }
    }
    let requested: BTreeSet<_> = probes.values().collect();
    assert_eq!(
        (probes.len(), requested.len(), all.len()),
        (requests, requests, upstreams)
    );
    joined
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
        let authority = format!("127.0.0.1:{}", gateway.upstream.port());
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
