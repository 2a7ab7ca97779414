//! Traces a gateway under load, and compares its hops with the probes of the requests.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;
use support::{Exchange, Tracer, program::Program, wait};

/// How long halves wait for each other, and how long a process is observed before paths join.
const HOLD: &str = "50ms";

/// The beginning of the probes of requests that are made before the tracer is ready.
const EARLY: &str = "early-";

/// The requests of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    /// The path, in which `NUMBER` is replaced by the probe.
    pub(super) path: &'a str,
    /// The `X-Request-ID`: `none`, `own` or `shared` by four requests at a time.
    pub(super) ids: &'a str,
    /// The number of connections.
    pub(super) connections: usize,
    /// The number of requests on each once the tracer is ready.
    pub(super) each: usize,
}

impl Load<'_> {
    /// Returns the number of requests once the tracer is ready.
    pub(super) const fn requests(self) -> usize {
        self.connections * self.each
    }

    fn client(self, port: u16, when: &str) -> Result<Program> {
        let arguments = [
            &port.to_string(),
            self.path,
            &self.connections.to_string(),
            &self.each.to_string(),
            self.ids,
            when,
        ];
        Program::python("hops.py", &arguments)
    }
}

/// A hop, as far as the tests need it.
pub(super) struct Hop(pub(super) Value);

impl Hop {
    pub(super) fn downstream(&self) -> Option<Exchange> {
        self.0.get("downstream").cloned().map(Exchange)
    }

    pub(super) fn upstreams(&self) -> Vec<Exchange> {
        let upstreams = self.0["upstreams"].as_array().into_iter().flatten();
        upstreams
            .map(|upstream| Exchange(upstream["exchange"].clone()))
            .collect()
    }

    pub(super) fn joined(&self) -> Vec<Option<&str>> {
        let upstreams = self.0["upstreams"].as_array().into_iter().flatten();
        upstreams.map(|upstream| upstream["joined"].as_str()).collect()
    }
}

pub(super) fn probe(exchange: &Exchange) -> String {
    exchange.request_header("x-probe").unwrap_or("none").to_owned()
}

/// Traces the gateway of a process, which listens on a port, from before the first request on. Returns the hops.
pub(super) fn trace(pid: u32, port: u16, load: Load<'_>) -> Result<Vec<Hop>> {
    let mut client = load.client(port, "ready")?;
    let tracer = attach(pid)?;
    client.begin()?;
    finish(client, tracer, load)
}

/// Does the same from the middle of the traffic on: each connection of the client is in use before. Returns the hops of the
/// requests that were made once the tracer was ready, after those of earlier requests are found not to be wrong.
pub(super) fn trace_late(pid: u32, port: u16, load: Load<'_>) -> Result<Vec<Hop>> {
    let mut client = load.client(port, "busy")?;
    client.begin()?;
    client.wait_for("all busy")?;
    let tracer = attach(pid)?;
    client.send_line("ready")?;
    let mut hops = finish(client, tracer, load)?;
    check(&hops);
    hops.retain(|hop| {
        let exchanges = hop.downstream().into_iter().chain(hop.upstreams());
        !exchanges.map(|exchange| probe(&exchange)).any(|probe| is_early(&probe))
    });
    Ok(hops)
}

/// Returns whether a probe is that of a request that was made, or may have been made, before the tracer was ready.
fn is_early(probe: &str) -> bool {
    probe.starts_with(EARLY) || probe == "none"
}

fn attach(pid: u32) -> Result<Tracer> {
    Tracer::of(&[pid], &["--hops", "--hold", HOLD, "-o", "json"])
}

fn finish(client: Program, tracer: Tracer, load: Load<'_>) -> Result<Vec<Hop>> {
    client.wait_for("done")?;
    wait::until_true("the downstream exchanges", || {
        let is_counted = |line: &String| line.contains(r#""downstream":"#) && !line.contains(EARLY);
        Ok(tracer.count_matching(is_counted) >= load.requests())
    })?;
    let trace = tracer.stop()?;
    client.finish()?;
    assert_eq!(trace.code, Some(0));
    assert_eq!(trace.totals()?.lost_records, 0);
    assert!(!trace.everything().contains("pLanted"), "a secret is shown");
    Ok(trace.lines_of("hop")?.into_iter().map(Hop).collect())
}

/// What is in hops.
struct Counts {
    /// The probes of the downstream exchanges, by their ids.
    probes: BTreeMap<String, String>,
    /// The number of upstream exchanges, and of those that were joined.
    upstreams: usize,
    joined: usize,
}

/// Asserts that no join is wrong and that each exchange is in one hop.
fn check(hops: &[Hop]) -> Counts {
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
    Counts {
        probes,
        upstreams: all.len(),
        joined,
    }
}

/// Asserts that no join is wrong, that each exchange is in one hop, and that there are as many of them. Returns the number of
/// joined upstream exchanges.
pub(super) fn assert_true(hops: &[Hop], requests: usize, upstreams: usize) -> usize {
    let counts = check(hops);
    let requested: BTreeSet<_> = counts.probes.values().collect();
    assert_eq!(
        (counts.probes.len(), requested.len(), counts.upstreams),
        (requests, requests, upstreams)
    );
    counts.joined
}

/// Asserts that each request is in one hop with its upstream request, by an id.
pub(super) fn assert_joined_by_id(hops: &[Hop], load: Load<'_>) {
    let requests = load.requests();
    assert_eq!(assert_true(hops, requests, requests), requests);
    for hop in hops {
        assert_eq!(hop.joined(), [Some("request-id")], "{}", hop.0);
        assert!(
            hop.downstream().is_some_and(|exchange| exchange.is_whole()),
            "{}",
            hop.0
        );
        assert!(hop.upstreams().iter().all(Exchange::is_whole), "{}", hop.0);
        assert_eq!(hop.0["downstream"]["response"]["status"], 200, "{}", hop.0);
    }
}

/// Asserts the same of ids that clients bring, from the middle of the traffic on. What is open together with a request from before
/// the trace may be ambiguous, on each connection at most the first one.
pub(super) fn assert_joined_by_id_late(hops: &[Hop], load: Load<'_>) {
    let requests = load.requests();
    let joined = assert_true(hops, requests, requests);
    assert!(joined + load.connections >= requests, "{joined} of {requests}");
    let ways: BTreeSet<_> = hops.iter().flat_map(Hop::joined).flatten().collect();
    assert_eq!(ways, BTreeSet::from(["request-id"]));
}
