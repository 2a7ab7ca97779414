//! Mirrors, upgrades, streams, clients that go away, and uploads.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{Exchange, Trace, program::Program, wait};

use super::gateway::{Gateway, Hop};

/// Requests to a location with a mirror.
const MIRRORED: usize = 10;

/// Returns how an exchange ended: in its own line, or in that of its end.
fn end_of(trace: &Trace, exchange: &Exchange) -> Result<Value> {
    if exchange.0.get("ended").is_some() {
        return Ok(exchange.0.clone());
    }
    let id = &exchange.0["id"];
    let mut ends = trace.lines_of("end")?;
    ends.retain(|end| &end["id"] == id);
    assert_eq!(ends.len(), 1, "ends of {exchange:?}");
    ends.pop().context("no end")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_mirror_is_a_second_upstream_exchange() -> Result<()> {
    let gateway = Gateway::start()?;
    // The hold is long, since a busy machine may be slow to answer both.
    let tracer = gateway.trace_with("10s")?;
    for number in 0..MIRRORED {
        gateway.request(&format!("/mirrored/{number}"), &format!("m{number}"), &[])?;
    }
    wait::until_true("all hops", || Ok(tracer.count_lines(r#""type":"hop""#) == MIRRORED))?;
    let trace = tracer.stop()?;
    let hops = Hop::of(&trace, "/mirrored/")?;
    assert_eq!(hops.len(), MIRRORED);
    for hop in &hops {
        let downstream = hop.downstream().context("no downstream exchange")?;
        assert_eq!(hop.joined(), [Some("request-id"); 2], "{}", hop.0);
        let mut paths = BTreeSet::new();
        for upstream in hop.upstreams() {
            assert_eq!(upstream.request_header("x-probe"), downstream.request_header("x-probe"));
            let is_copy = upstream.text("/request/path") == Some("/copy");
            assert_eq!(upstream.text("/tls"), Some(if is_copy { "none" } else { "openssl" }));
            paths.insert(is_copy);
        }
        assert_eq!(paths.len(), 2, "{}", hop.0);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_mirror_that_outlasts_its_hop_names_it() -> Result<()> {
    let mut gateway = Gateway::start()?;
    let tracer = gateway.trace()?;
    for number in 0..MIRRORED {
        gateway.request(&format!("/mirrored/lagging/{number}"), &format!("m{number}"), &[])?;
        wait::until_true("the hop without its mirror", || {
            Ok(tracer.count_lines(r#""downstream":"#) == number + 1)
        })?;
        gateway.upstream.release_copy()?;
    }
    wait::until_true("the mirrors", || {
        Ok(tracer.count_lines(r#""type":"hop""#) == 2 * MIRRORED)
    })?;
    let trace = tracer.stop()?;
    let hops = Hop::of(&trace, "/mirrored/lagging/")?;
    let late = Hop::of(&trace, "/held")?;
    assert_eq!((hops.len(), late.len()), (MIRRORED, MIRRORED));
    for late in &late {
        assert!(late.downstream().is_none());
        assert_eq!(late.joined(), [Some("request-id")], "{}", late.0);
        let of = late.0["candidates"][0].as_str().context("no hop is named")?;
        let hop = hops.iter().find(|hop| hop.0["id"] == *of).context("no such hop")?;
        let [downstream, upstream] = hop.pair();
        assert_eq!(hop.joined(), [Some("request-id")], "{}", hop.0);
        for exchange in [&upstream, &late.upstreams()[0]] {
            assert_eq!(exchange.request_header("x-probe"), downstream.request_header("x-probe"));
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_request_that_begins_after_the_response_names_its_hop() -> Result<()> {
    let gateway = Gateway::start()?;
    // The mirror is asked again half a second later, and joined within the hold.
    let tracer = gateway.trace_with("5s")?;
    gateway.settle(&tracer)?;
    for number in 0..MIRRORED {
        gateway.request(&format!("/shadowed/{number}"), &format!("m{number}"), &[])?;
    }
    wait::until_true("the second request of each mirror", || {
        Ok(tracer.count_lines(r#""path":"/shadow""#) == MIRRORED)
    })?;
    let trace = tracer.stop()?;
    let hops = Hop::of(&trace, "/shadowed/")?;
    assert_eq!(hops.len(), MIRRORED);
    let mut late = 0;
    for hop in Hop::of(&trace, "/shadow")? {
        for (upstream, how) in hop.upstreams().iter().zip(hop.joined()) {
            if upstream.text("/request/path") != Some("/shadow") {
                continue;
            }
            late += 1;
            assert_eq!(how, Some("request-id"), "{}", hop.0);
            // The hop is printed once the first request of the mirror has ended, which may be with the second one.
            let named = |of: &&Hop| of.0["id"] == hop.0["candidates"][0];
            let of = if hop.downstream().is_some() {
                Some(&hop)
            } else {
                hops.iter().find(named)
            };
            let downstream = of.and_then(Hop::downstream).context("no such hop")?;
            assert_eq!(upstream.request_header("x-probe"), downstream.request_header("x-probe"));
        }
    }
    assert_eq!(late, MIRRORED);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_websocket_is_a_hop_that_is_upgraded_on_both_sides() -> Result<()> {
    let mut backend = Program::python("websocket.py", &["backend"])?;
    backend.begin()?;
    let gateway = Gateway::start_with(&format!(
        "location /ws/ {{
            proxy_pass http://127.0.0.1:{}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }}",
        backend.wait_for("port ")?
    ))?;
    let tracer = gateway.trace()?;
    gateway.settle(&tracer)?;
    for talk in 1..=3 {
        let mut client = Program::python(
            "websocket.py",
            &["client", &gateway.port.to_string(), "http/1.1", "/ws/talk"],
        )?;
        client.begin()?;
        client.wait_for("done")?;
        client.finish()?;
        wait::until_true("the hop of the web socket", || {
            Ok(tracer.count_lines(r#""path":"/ws/talk""#) == talk)
        })?;
    }
    let trace = tracer.stop()?;
    assert!(!trace.everything().contains("pLanted"), "frames are not printed");
    let hops = Hop::of(&trace, "/ws/")?;
    assert_eq!(hops.len(), 3);
    for hop in &hops {
        for exchange in hop.pair() {
            assert_eq!(exchange.number("/response/status"), Some(101), "{}", hop.0);
            assert_eq!(exchange.text("/ended"), Some("upgraded"), "{}", hop.0);
        }
        assert_ne!(hop.joined(), [None], "{}", hop.0);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_stream_of_events_is_a_hop_before_it_ends() -> Result<()> {
    const EVENTS: usize = 50;
    let mut gateway = Gateway::start()?;
    let tracer = gateway.trace()?;
    let clients = [
        gateway.spawn("/plain/events", "plain")?,
        gateway.spawn("/secure/events", "secure")?,
    ];
    // Both are printed while they go on.
    wait::until_true("the hops of the streams", || {
        Ok(tracer.count_lines(r#""downstream":"#) == 2)
    })?;
    for client in &clients {
        let received =
            |lines: &[String]| (lines.iter().filter(|line| *line == "data: now").count() >= EVENTS).then_some(());
        client.received.wait_for("the events", received)?;
    }
    assert_eq!(tracer.count_lines(r#""type":"end""#), 0);
    gateway.upstream.end_events()?;
    wait::until_true("the ends of both sides of both streams", || {
        Ok(tracer.count_lines(r#""type":"end""#) == 4)
    })?;
    let trace = tracer.stop()?;
    let hops = Hop::of(&trace, "/")?;
    assert_eq!(hops.len(), 2);
    for hop in &hops {
        assert_eq!(hop.joined(), [Some("request-id")], "{}", hop.0);
        // Its end was not seen yet.
        assert_eq!(hop.0.get("gateway_us"), None, "{}", hop.0);
        let [downstream, upstream] = hop.pair().map(|exchange| {
            assert_eq!(exchange.0.get("ended"), None, "{}", hop.0);
            end_of(&trace, &exchange)
        });
        for end in [&downstream?, &upstream?] {
            assert_eq!(end["ended"], "complete", "{end}");
            assert!(end["duration_us"].as_u64() > Some(4_000_000), "{end}");
            assert!(end["first_event_us"].as_u64() < Some(1_000_000), "{end}");
            assert!(
                end["response"]["body_bytes"].as_u64() >= Some(11 * u64::try_from(EVENTS)?),
                "{end}"
            );
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_client_that_goes_away_ends_both_sides_of_its_hop() -> Result<()> {
    let gateway = Gateway::start()?;
    let tracer = gateway.trace()?;
    let paths = ["/plain/never", "/secure/never", "/plain/slow", "/secure/slow"];
    for (number, path) in paths.into_iter().enumerate() {
        let mut client = gateway.spawn(path, &format!("gone-{number}"))?;
        gateway.upstream.wait_for_count("waits", number + 1)?;
        if path.ends_with("slow") {
            wait::until_true("the hop of the response", || {
                Ok(tracer.has_printed(&format!(r#""path":"{path}""#)))
            })?;
        }
        client.kill()?;
        gateway.upstream.wait_for_count("gone", number + 1)?;
    }
    wait::until_true("the end of all", || {
        Ok(tracer.count_lines(r#""downstream":"#) == 4 && tracer.count_lines(r#""type":"end""#) == 4)
    })?;
    let trace = tracer.stop()?;
    let hops = Hop::of(&trace, "/")?;
    assert_eq!(hops.len(), paths.len());
    for hop in &hops {
        assert_eq!(hop.joined(), [Some("request-id")], "{}", hop.0);
        let [downstream, upstream] = hop.pair();
        let is_answered = downstream
            .text("/request/path")
            .is_some_and(|path| path.ends_with("slow"));
        for exchange in [&downstream, &upstream] {
            let status = exchange.number("/response/status");
            assert_eq!(status, is_answered.then_some(200), "{}", hop.0);
            let end = end_of(&trace, exchange)?;
            assert_eq!(end["ended"], "closed", "{end}");
            let bytes = end["response"].get("body_bytes").and_then(Value::as_u64);
            assert_eq!(bytes, is_answered.then_some(10_000), "{end}");
        }
    }
    // nginx says so of clients that closed the connection.
    let log = gateway.log(paths.len())?;
    let statuses: Vec<_> = log.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(statuses, ["499", "499", "200", "200"]);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_upload_after_100_continue_is_a_hop_with_its_whole_body() -> Result<()> {
    const LENGTH: usize = 1024 * 1024;
    let gateway = Gateway::start()?;
    let tracer = gateway.trace()?;
    let content = tempfile::NamedTempFile::new()?;
    fs::write(content.path(), vec![b'u'; LENGTH])?;
    let data = format!("@{}", content.path().display());
    let paths = ["/plain/upload", "/secure/upload", "/streamed/upload"];
    for path in paths {
        gateway.request(path, path, &["--data-binary", &data, "-H", "Expect: 100-continue"])?;
    }
    wait::until_true("the hops of the uploads", || {
        Ok(tracer.count_lines(r#""downstream":"#) == paths.len())
    })?;
    let trace = tracer.stop()?;
    assert_eq!(trace.totals()?.half, 0);
    let hops = Hop::of(&trace, "/")?;
    for hop in &hops {
        assert_eq!(hop.joined(), [Some("request-id")], "{}", hop.0);
        let [downstream, upstream] = hop.pair();
        assert_eq!(downstream.number("/informational/0/status"), Some(100), "{}", hop.0);
        assert_eq!(upstream.0.get("informational"), None, "{}", hop.0);
        let removed = &hop.0["upstreams"][0]["request_diff"]["removed"];
        assert_eq!(*removed, json!([["expect", "100-continue"]]), "{}", hop.0);
        for exchange in [&downstream, &upstream] {
            assert_eq!(
                exchange.number("/request/body_bytes"),
                Some(u64::try_from(LENGTH)?),
                "{}",
                hop.0
            );
            assert_eq!(
                exchange.response_header("x-received"),
                Some(&*LENGTH.to_string()),
                "{}",
                hop.0
            );
            assert_eq!(exchange.text("/ended"), Some("complete"), "{}", hop.0);
        }
    }
    Ok(())
}
