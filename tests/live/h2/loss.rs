//! Forced loss: unknown values are null, and nothing is guessed.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use support::{
    Access, Exchange, Nginx, Trace, Tracer, access_log, curl,
    h2load::{H2load, Load},
    wait,
};

use super::claims::{assert_only_sent, fields};

const BEFORE: usize = 1_000;
const DURING: usize = 10_000;
const LAST: &str = "/small/last";
const LOAD: Load<'_> = Load {
    fields: &[
        "x-tenant: blue",
        "x-note: one of the values that are sent once",
        "user-agent: load",
    ],
    ..Load::of(30_000, "/small/NUMBER")
};

/// Stops the tracer with SIGSTOP while requests fill its smallest rings, and continues it.
fn trace_with_loss() -> Result<(Trace, Vec<Access>, Nginx)> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["--ring-kib", "256"])?;
    let h2load = H2load::start(&nginx.url(""), LOAD)?;
    tracer.wait_for_lines(BEFORE)?;
    tracer.signal(libc::SIGSTOP)?;
    let stopped_at = nginx.log()?.len();
    nginx.wait_until_logged((stopped_at + DURING).min(LOAD.requests))?;
    tracer.signal(libc::SIGCONT)?;
    h2load.finish()?;
    // Once a later request is printed, everything captured before it is printed.
    wait::until_true("the last request", || {
        curl::request(&["--http2", &nginx.url(LAST)])?;
        Ok(tracer.has_printed(LAST))
    })?;
    Ok((tracer.stop()?, nginx.log()?, nginx))
}

/// Asserts that each request and each response is in the log and is printed once, with right values. Returns the ids of
/// the exchanges that were seen.
fn assert_nothing_is_wrong(exchanges: &[Exchange], log: &[Access], authority: &str) -> HashSet<String> {
    let by_id = access_log::by_id(log);
    let by_place: HashMap<_, _> = log
        .iter()
        .map(|one| ((one.remote.as_str(), one.uri.as_str()), one))
        .collect();
    let sent = fields(&[
        ("x-tenant", "blue"),
        ("x-note", "one of the values that are sent once"),
        ("user-agent", "load"),
    ]);
    let (mut requests, mut responses, mut seen) = (HashSet::new(), HashSet::new(), HashSet::new());
    for exchange in exchanges {
        let remote = exchange.text("/connection/remote").unwrap_or_default();
        let requested = exchange.text("/request/path").map(|path| by_place.get(&(remote, path)));
        let answered = exchange.request_id().map(|id| by_id.get(id));
        assert!(
            requested != Some(None) && answered != Some(None),
            "invented: {exchange:?}"
        );
        let (requested, answered) = (requested.flatten(), answered.flatten());
        if let (Some(requested), Some(answered)) = (requested, answered) {
            assert_eq!(requested, answered, "paired wrongly: {exchange:?}");
        }
        for (side, access) in [(&mut requests, requested), (&mut responses, answered)] {
            assert!(
                access.is_none_or(|access| side.insert(access.id.clone())),
                "twice: {exchange:?}"
            );
        }
        assert_only_sent(exchange, "/request", &sent);
        assert!(
            exchange.text("/request/method").is_none_or(|method| method == "GET"),
            "{exchange:?}"
        );
        assert!(
            exchange.text("/request/authority").is_none_or(|one| one == authority),
            "{exchange:?}"
        );
        assert!(
            exchange.number("/response/status").is_none_or(|status| status == 200),
            "{exchange:?}"
        );
        assert!(
            exchange.number("/response/body_bytes").is_none_or(|bytes| bytes <= 6),
            "{exchange:?}"
        );
        seen.extend(requested.or(answered).map(|access| access.id.clone()));
    }
    seen
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn loss_makes_no_exchange_wrong() -> Result<()> {
    let (trace, log, nginx) = trace_with_loss()?;
    let totals = trace.totals()?;
    assert!(trace.code == Some(0) && totals.lost_records > 0, "{totals:?}");
    let mut exchanges = trace.exchanges()?;
    exchanges.retain(|exchange| exchange.text("/request/path") != Some(LAST));
    let seen = assert_nothing_is_wrong(&exchanges, &log, &format!("127.0.0.1:{}", nginx.port()));
    assert!(seen.len() > BEFORE, "{}", seen.len());
    let losses = trace.lines_of("loss")?;
    let reported: u64 = losses.iter().filter_map(|loss| loss["bytes"].as_u64()).sum();
    // If the end of a connection was lost, the bytes lost before that end have no position.
    let end_lost = trace.stderr.iter().any(|line| line.contains("lost at SSL_free"));
    assert!(
        reported == totals.lost_bytes || (end_lost && reported < totals.lost_bytes),
        "{reported} of {totals:?} have a position"
    );
    Ok(())
}
