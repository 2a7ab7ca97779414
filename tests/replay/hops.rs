//! Hops of a tape: a gateway's exchanges with its client and with its upstream server.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::Exchange;
use tracer_ebpf::{AddressSource, Direction};

use crate::{
    tape_builder::{OWN_NETNS, TapeBuilder},
    tapes::{all, trace},
};

const ASKED: &[u8] = b"GET /x HTTP/1.1\r\nHost: shop.test\r\nX-Request-ID: 4711\r\nX-Debug: 1\r\nAccept: */*\r\n\
    Authorization: Bearer pLanted01\r\nCookie: a=pLanted02\r\n\r\n";
const PASSED_ON: &[u8] = b"GET /x HTTP/1.1\r\nHost: app\r\nX-Forwarded-For: 192.0.2.1\r\nX-Request-ID: 4711\r\n\
    Accept: text/html\r\nAuthorization: Bearer pLanted03\r\nCookie: a=pLanted02\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 201 Created\r\nServer: app\r\nContent-Length: 2\r\n\r\nok";
const ANSWERED: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\n\r\nok";

/// Makes a tape of a request to a gateway and the one that the gateway made of it.
fn hop() -> Result<TapeBuilder> {
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, OWN_NETNS)?
        .facts(2, AddressSource::BIO, OWN_NETNS)?
        .data(1, Direction::READ, ASKED)?
        .data(2, Direction::WRITE, PASSED_ON)?
        .data(2, Direction::READ, ANSWER)?
        .data(1, Direction::WRITE, ANSWERED)?;
    Ok(tape)
}

#[test]
fn a_hop_has_both_sides_and_what_the_gateway_changed() -> Result<()> {
    let trace = hop()?.replay(&["--hops"])?;
    let hops = trace.lines_of("hop")?;
    let [hop] = &hops[..] else { panic!("{:?}", trace.stdout) };
    assert_eq!(trace.lines_of("exchange")?, Vec::<Value>::new());
    assert_eq!(hop["gateway_us"], 2000);
    assert_eq!(
        (&hop["id"], &hop["downstream"]["id"]),
        (&json!("7-1-1"), &json!("7-1-1"))
    );
    let upstream = &hop["upstreams"][0];
    assert_eq!(
        (&upstream["joined"], &upstream["upstream_first_byte_us"]),
        (&json!("request-id"), &json!(1000))
    );
    assert_eq!(upstream.get("reused"), None, "the connection may have been used before");
    let expected = json!({
        "added": [["x-forwarded-for", "192.0.2.1"]],
        "removed": [["x-debug", "1"]],
        "changed": [
            [":authority", "shop.test", "app"],
            ["accept", "*/*", "text/html"],
            ["authorization", "Bearer [redacted]", "Bearer [redacted]"],
        ],
        "complete": true,
    });
    assert_eq!(upstream["request_diff"], expected);
    let expected = json!({"changed": [[":status", "201", "200"], ["server", "app", "nginx"]], "complete": true});
    assert_eq!(upstream["response_diff"], expected);
    assert!(!trace.everything().contains("pLanted"), "{}", trace.everything());
    assert_eq!(trace.totals()?.exchanges, 2);
    Ok(())
}

#[test]
fn the_text_of_a_hop_reads_like_a_diff() -> Result<()> {
    let text = hop()?.print(&["--hops", "-o", "text"])?;
    let expected = [
        "-:authority: shop.test",
        "+:authority: app",
        "-accept: */*",
        "+accept: text/html",
        "-authorization: Bearer [redacted]",
        "+authorization: Bearer [redacted] (changed)",
        "-x-debug: 1",
        "+x-forwarded-for: 192.0.2.1",
    ];
    let lines: Vec<_> = text.lines().collect();
    let request = lines.iter().position(|line| *line == "@@ request").context("no diff")?;
    assert_eq!(
        lines.get(request + 1..request + 1 + expected.len()),
        Some(&expected[..]),
        "{text}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("--- 7-1-1 GET /x at shop.test: 200, ")),
        "{text}"
    );
    let upstream = lines
        .iter()
        .find(|line| line.starts_with("+++ 7-2-1 GET /x at app: 201, "));
    assert!(
        upstream.is_some_and(|line| line.ends_with(", joined by request-id")),
        "{text}"
    );
    assert!(!text.contains("pLanted"), "{text}");
    Ok(())
}

#[test]
fn a_filter_that_one_side_matches_keeps_the_hop() -> Result<()> {
    for (args, hops) in [
        (&["--status", "201"][..], 1),
        (&["--side", "client"], 1),
        (&["--header", "x-debug"], 1),
        (&["--status", "404"], 0),
        (&["-n", "1"], 1),
    ] {
        let trace = hop()?.replay(&[&["--hops"], args].concat())?;
        assert_eq!(trace.lines_of("hop")?.len(), hops, "{args:?}");
    }
    Ok(())
}

#[test]
fn a_request_without_an_id_is_ambiguous_while_others_may_be_open() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, OWN_NETNS)?
        .facts(2, AddressSource::BIO, OWN_NETNS)?
        .data(1, Direction::READ, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")?
        .data(2, Direction::WRITE, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")?
        .data(2, Direction::READ, ANSWER)?
        .data(1, Direction::WRITE, ANSWERED)?;
    let hops = tape.replay(&["--hops"])?.lines_of("hop")?;
    let [downstream, upstream] = &hops[..] else {
        panic!("{hops:?}")
    };
    assert_eq!((downstream.get("upstreams"), upstream.get("downstream")), (None, None));
    assert_eq!(upstream["candidates"], json!(["7-1-1"]));
    Ok(())
}

#[test]
fn every_exchange_of_a_recorded_tape_is_in_one_hop() -> Result<()> {
    for tape in all()? {
        let exchanges = trace(&tape, &[])?.exchanges()?;
        let expected: Vec<_> = exchanges.iter().map(|exchange| exchange.0.clone()).collect();
        let mut printed = Vec::new();
        for hop in trace(&tape, &["--hops"])?.lines_of("hop")? {
            printed.extend(hop.get("downstream").cloned());
            let upstreams = hop["upstreams"].as_array().cloned().unwrap_or_default();
            printed.extend(upstreams.into_iter().map(|upstream| upstream["exchange"].clone()));
        }
        let ids = |exchanges: &[Value]| -> BTreeSet<String> {
            let id = |exchange: &Value| Exchange(exchange.clone()).text("/id").map(str::to_owned);
            exchanges.iter().filter_map(id).collect()
        };
        assert_eq!(
            (ids(&printed), printed.len()),
            (ids(&expected), expected.len()),
            "{}",
            tape.display()
        );
    }
    Ok(())
}
