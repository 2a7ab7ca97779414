//! What is counted and timed of a real gateway: `tlscope stat`, server-sent events, and sessions.

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{Nginx, Tracer, curl, nginx::Setup, secrets::find_secret};

/// A response that is a stream with one event behind a comment.
const EVENTS: &str = r#"location = /events { default_type text/event-stream; return 200 ": keep\n\ndata: a\n\n"; }"#;

/// Returns the number of requests in the rows of a route and a class of status.
fn requests(report: &Value, route: &str, status: &str) -> u64 {
    let rows = report["rows"].as_array().into_iter().flatten();
    rows.filter(|row| row["route"] == route && row["status"] == status)
        .filter_map(|row| row["requests"].as_u64())
        .sum()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_statistic_counts_every_request_of_a_gateway_by_route() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::ready(&["stat", "-p", &nginx.master().to_string()])?;
    for path in ["/small/1", "/small/2?x=1", "/nothing/here"] {
        curl::request(&[&nginx.url(path)])?;
    }
    nginx.wait_for_log(3)?;
    let trace = tracer.stop()?;
    let reports = trace.lines_of("stat")?;
    let [report] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (trace.code, report["requests"].as_u64()),
        (Some(0), Some(3)),
        "{report}"
    );
    assert_eq!(requests(report, "/small/{}", "2xx"), 2, "{report}");
    assert_eq!(requests(report, "/nothing/here", "4xx"), 1, "{report}");
    assert!(report.get("upstreams").is_none(), "{report}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_first_event_of_a_stream_is_timed_and_a_session_is_fingerprinted() -> Result<()> {
    let nginx = Nginx::start_with(Setup {
        locations: EVENTS,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &["-n", "2"])?;
    for _ in 0..2 {
        curl::request(&["--header", "Mcp-Session-Id: pLanted-session", &nginx.url("/events")])?;
    }
    let trace = tracer.finish()?;
    assert_eq!(find_secret(&trace.everything()), None);
    let exchanges = trace.exchanges()?;
    for exchange in &exchanges {
        let time = |name: &str| exchange.number(name).with_context(|| format!("{name}: {exchange:?}"));
        let times = [time("/first_byte_us")?, time("/first_event_us")?, time("/duration_us")?];
        assert!(times.is_sorted(), "{exchange:?}");
    }
    let sessions: Vec<_> = exchanges.iter().map(|exchange| exchange.text("/session")).collect();
    assert!(
        sessions.len() == 2 && sessions[0].is_some() && sessions[0] == sessions[1],
        "{sessions:?}"
    );
    Ok(())
}
