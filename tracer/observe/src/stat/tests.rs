//! Tests of the statistics.

use std::time::{Duration, SystemTime};

use http_decode::{Exchange, Side, Unredacted};
use serde_json::Value;

use super::*;
use crate::{
    output::{SCHEMA, Sink as _, Style, sample},
    redact::{Line, Redacted},
};

fn printed(form: Form, lines: &[Redacted<Line<'_>>]) -> String {
    let mut bytes = Vec::new();
    let mut stat = Stat::new(&mut bytes, form, Style::default(), None);
    for line in lines {
        stat.write(line).unwrap();
    }
    stat.tick(time(10)).unwrap();
    Box::new(stat).finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

fn report(lines: &[Redacted<Line<'_>>]) -> Value {
    serde_json::from_str(&printed(Form::Json, lines)).unwrap()
}

/// Returns a time some seconds after the exchanges began.
fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_795_247_100 + seconds, 123_456_789)
}

fn exchange(path: &'static str, status: u16, change: fn(&mut Exchange)) -> Redacted<Line<'static>> {
    sample::exchange_with(|exchange| {
        exchange.request.as_mut().unwrap().head.path = Some(Unredacted::new(path.as_bytes()));
        exchange.response.as_mut().unwrap().head.status = Some(status);
        change(exchange);
    })
}

fn client(exchange: &mut Exchange) {
    exchange.side = Side::Client;
}

#[test]
fn exchanges_are_counted_by_route_side_upstream_and_status() {
    let nothing: fn(&mut Exchange) = |_| {};
    let lines = [
        exchange("/users/1", 200, nothing),
        exchange("/users/2?token=hunter2", 201, nothing),
        exchange("/users/3", 404, nothing),
        exchange("/users/4", 502, client),
        sample::loss(),
    ];
    let report = report(&lines);
    assert_eq!((&report["v"], &report["type"]), (&1.into(), &"stat".into()));
    assert_eq!(report["from"], "2026-11-21T07:45:00.123456789Z");
    assert_eq!(report["to"], "2026-11-21T07:45:10.123456789Z");
    assert_eq!((&report["requests"], &report["errors"]), (&4.into(), &1.into()));
    assert_eq!((&report["losses"], &report["lost_bytes"]), (&1.into(), &100.into()));
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let first = serde_json::json!({
        "side": "server", "method": "GET", "host": "a.test", "route": "/users/{}", "status": "2xx",
        "requests": 2, "errors": 0, "per_second": 0.2, "timed": 2,
        "p50_us": 412, "p90_us": 412, "p99_us": 412, "max_us": 412,
    });
    assert_eq!(rows[0], first);
    let failed = rows.iter().find(|row| row["status"] == "5xx").unwrap();
    assert_eq!(
        (&failed["errors"], &failed["upstream"]),
        (&1.into(), &"127.0.0.1:50312".into())
    );
    assert!(!report.to_string().contains("hunter2"));
}

#[test]
fn an_upstream_has_its_connections_and_their_handshakes() {
    let lines = [exchange("/", 200, client), sample::summary()];
    let upstream = report(&lines)["upstreams"][0].clone();
    let expected = serde_json::json!({
        "upstream": "127.0.0.1:50312", "requests": 1, "errors": 0, "per_second": 0.1, "timed": 1,
        "p50_us": 412, "p90_us": 412, "p99_us": 412, "max_us": 412,
        "connections": 1, "reused": 2, "resets": 0, "timeouts": 0,
        "handshake_p50_us": 1200, "handshake_p99_us": 1200, "rtt_p50_us": 40,
    });
    assert_eq!(upstream, expected);
    // The peers of a server are no upstreams.
    let lines = [sample::exchange(), sample::summary()];
    assert!(report(&lines).get("upstreams").is_none());
}

#[test]
fn the_end_of_an_exchange_in_progress_is_counted_with_it() {
    let open = || exchange("/", 200, |exchange| (exchange.ended, exchange.ended_at) = (None, None));
    let row = report(&[open()])["rows"][0].clone();
    assert_eq!((&row["requests"], &row["timed"]), (&1.into(), &0.into()));
    assert!(row.get("p50_us").is_none());
    let row = report(&[open(), sample::end(), sample::end()])["rows"][0].clone();
    assert_eq!(
        (&row["requests"], &row["timed"], &row["errors"], &row["max_us"]),
        (&1.into(), &1.into(), &1.into(), &2_000_000.into())
    );
}

#[test]
fn each_interval_has_a_statistic_of_its_own() {
    let mut bytes = Vec::new();
    let mut stat = Stat::new(&mut bytes, Form::Json, Style::default(), Some(Duration::from_secs(10)));
    stat.tick(time(0)).unwrap();
    stat.write(&sample::exchange()).unwrap();
    stat.tick(time(9)).unwrap();
    stat.write(&sample::exchange()).unwrap();
    stat.tick(time(10)).unwrap();
    stat.tick(time(21)).unwrap();
    stat.write(&sample::exchange()).unwrap();
    stat.tick(time(22)).unwrap();
    Box::new(stat).finish().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let requests: Vec<_> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["requests"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(requests, [2, 0, 1]);
}

#[test]
fn a_statistic_of_nothing_is_printed_at_the_end() {
    let mut bytes = Vec::new();
    let stat = Stat::new(&mut bytes, Form::Json, Style::default(), None);
    Box::new(stat).finish().unwrap();
    let report: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(report["requests"], 0);
    assert!(report.get("rows").is_none() && report.get("per_second").is_none());
}

#[test]
fn the_schema_describes_every_member() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let lines = [exchange("/", 200, client), sample::summary(), sample::loss()];
    let report = report(&lines);
    for (definition, value) in [
        ("stat_line", &report),
        ("stat_row", &report["rows"][0]),
        ("stat_upstream", &report["upstreams"][0]),
    ] {
        let described = &schema["$defs"][definition]["properties"];
        for name in value.as_object().unwrap().keys() {
            assert!(described.get(name).is_some(), "{name} of {definition}");
        }
    }
}

#[test]
fn a_table_fits_the_terminal() {
    let lines = [
        exchange("/users/1", 200, |_| {}),
        exchange("/a/very/long/path/that/does/not/fit/into/eighty/columns", 502, client),
        sample::half(),
        sample::summary(),
        sample::loss(),
    ];
    let text = printed(Form::Text, &lines);
    let expected = "\
* 2026-11-21 07:45:00.123 to 07:45:10.123: 3 requests, 1 error, 0.30/s
* 100 bytes lost in 1 place
STATUS  REQUEST                          REQS   ERRS  REQ/S    P50    P90    P99
5xx  -> GET a.test/a/very/long/path/t\u{2026}      1      1   0.10  412us  412us  412us
none <- ? ??                                1      0   0.10      -      -      -
2xx  <- GET a.test/users/{}                 1      0   0.10  412us  412us  412us
UPSTREAM                                 REQS   ERRS  REQ/S    P50    P90    P99
127.0.0.1:50312                             1      1   0.10  412us  412us  412us
  1 connection, 2 requests on one used before, handshake p50 1.20ms, p99 1.20ms\u{2026}

";
    assert_eq!(text, expected);
}

#[test]
fn a_hop_counts_both_exchanges_and_the_time_of_the_gateway() {
    let lines = [sample::hop()];
    let report = report(&lines);
    let rows = report["rows"].as_array().unwrap();
    let of = |side: &str| rows.iter().find(|row| row["side"] == side).unwrap();
    assert_eq!((&report["requests"], rows.len()), (&2.into(), 2));
    assert!(
        of("server")["gateway_p50_us"].as_u64() <= of("server")["p50_us"].as_u64(),
        "{report}"
    );
    assert_eq!(of("server")["gateway_p50_us"], of("server")["gateway_p99_us"]);
    assert_eq!(of("client").get("gateway_p50_us"), None);
    let table = printed(Form::Text, &lines);
    assert!(table.contains(" GW P50\n"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}
