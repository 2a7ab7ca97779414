//! Assertions about a trace and the access log of the gateway.

use std::{collections::BTreeMap, io::Write as _};

use anyhow::{Context as _, Result};
use support::{Access, Exchange, Nginx, Trace, Tracer, access_log, trace::Totals};

/// Waits until nginx has logged `count` requests and the tracer has printed them, and stops the tracer.
pub(crate) fn stop_after(tracer: Tracer, nginx: &Nginx, count: usize) -> Result<(Trace, Vec<Access>)> {
    let log = nginx.wait_for_log(count)?;
    tracer.wait_for_lines(log.len())?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    Ok((trace, log))
}

/// The maximum number of attempts of [`without_loss`].
const LOADS: usize = 4;

/// Traces a load that fills the rings as fast as this machine can, and repeats that if a ring overflowed. On a busy
/// machine the tracer may be scheduled too late. It must report that loss, but the assertions need a trace without one.
/// The last of four attempts is returned in any case.
pub(crate) fn without_loss<T>(mut trace: impl FnMut() -> Result<T>, of: impl Fn(&T) -> &Trace) -> Result<T> {
    for _ in 1..LOADS {
        let traced = trace()?;
        if of(&traced).totals()?.lost_records == 0 {
            return Ok(traced);
        }
        let losses = of(&traced).lines_of("loss")?;
        assert!(!losses.is_empty(), "the loss is reported");
    }
    trace()
}

/// Asserts that the trace has each request of the log once and no others, and that nothing was lost.
pub(crate) fn assert_same_requests(trace: &Trace, log: &[Access]) -> Result<Vec<Exchange>> {
    let exchanges = trace.exchanges()?;
    assert_nothing_lost(trace, log.len())?;
    let logged = multiset(log.iter().map(|access| access.id.as_str()));
    let printed = multiset(exchanges.iter().map(|exchange| exchange.request_id().unwrap_or("none")));
    let missing: Vec<_> = logged
        .iter()
        .filter(|(id, count)| printed.get(*id) != Some(count))
        .take(3)
        .collect();
    let extra: Vec<_> = printed
        .iter()
        .filter(|(id, count)| logged.get(*id) != Some(count))
        .take(3)
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, extra {extra:?}"
    );
    Ok(exchanges)
}

/// Asserts that the totals are this many exchanges, without halves and losses.
pub(crate) fn assert_nothing_lost(trace: &Trace, exchanges: usize) -> Result<()> {
    let expected = Totals {
        exchanges: exchanges.try_into()?,
        half: 0,
        lost_records: 0,
        lost_bytes: 0,
    };
    assert_eq!(trace.totals()?, expected);
    assert_eq!(trace.lines_of("loss")?.len(), 0);
    Ok(())
}

/// Asserts that each exchange of a server matches its line in the log, and has the right addresses.
pub(crate) fn assert_facts_of_server(exchanges: &[Exchange], log: &[Access], nginx: &Nginx) -> Result<()> {
    let local = format!("127.0.0.1:{}", nginx.port());
    for (exchange, access) in matched(exchanges, log)? {
        assert_request(exchange, access);
        assert_eq!(exchange.text("/side"), Some("server"), "{exchange:?}");
        assert_eq!(exchange.text("/connection/local"), Some(local.as_str()), "{exchange:?}");
        assert_eq!(
            exchange.text("/connection/remote"),
            Some(access.remote.as_str()),
            "{exchange:?}"
        );
    }
    Ok(())
}

/// Asserts that each exchange of a client matches its line in the log of the server.
pub(crate) fn assert_facts_of_client(exchanges: &[Exchange], log: &[Access]) -> Result<()> {
    for (exchange, access) in matched(exchanges, log)? {
        assert_request(exchange, access);
        assert_eq!(exchange.text("/side"), Some("client"), "{exchange:?}");
    }
    Ok(())
}

/// Asserts the addresses of the exchanges of a client, and their source.
pub(crate) fn assert_addresses_of_client(
    exchanges: &[Exchange],
    log: &[Access],
    nginx: &Nginx,
    source: &str,
) -> Result<()> {
    let remote = format!("127.0.0.1:{}", nginx.port());
    for (exchange, access) in matched(exchanges, log)? {
        assert_eq!(exchange.text("/connection/source"), Some(source), "{exchange:?}");
        assert_eq!(
            exchange.text("/connection/local"),
            Some(access.remote.as_str()),
            "{exchange:?}"
        );
        assert_eq!(
            exchange.text("/connection/remote"),
            Some(remote.as_str()),
            "{exchange:?}"
        );
    }
    Ok(())
}

/// Asserts that every exchange is complete, with these sizes of the bodies in bytes.
pub(crate) fn assert_bodies(exchanges: &[Exchange], request: u64, response: u64) {
    for exchange in exchanges {
        let bodies = (
            exchange.number("/request/body_bytes"),
            exchange.number("/response/body_bytes"),
        );
        assert_eq!(bodies, (Some(request), Some(response)), "{exchange:?}");
        assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
    }
}

/// Pairs each exchange with the line of the log that has its id.
pub(crate) fn matched<'a>(exchanges: &'a [Exchange], log: &'a [Access]) -> Result<Vec<(&'a Exchange, &'a Access)>> {
    let by_id = access_log::by_id(log);
    let access = |exchange: &Exchange| exchange.request_id().and_then(|id| by_id.get(id).copied());
    let pair = |exchange| {
        Ok((
            exchange,
            access(exchange).with_context(|| format!("not in the log: {exchange:?}"))?,
        ))
    };
    exchanges.iter().map(pair).collect()
}

fn assert_request(exchange: &Exchange, access: &Access) {
    assert_eq!(
        exchange.text("/request/method"),
        Some(access.method.as_str()),
        "{exchange:?}"
    );
    assert_eq!(
        exchange.text("/request/path"),
        Some(access.uri.as_str()),
        "{exchange:?}"
    );
    assert_eq!(exchange.number("/response/status"), Some(access.status), "{exchange:?}");
}

pub(crate) fn multiset<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// Prints a figure even if the test succeeds. The test harness does not capture writes to the stream itself.
pub(crate) fn show(what: &str, figure: impl std::fmt::Display) {
    // Failing to print a figure does not fail the test.
    drop(writeln!(std::io::stderr(), "{what}: {figure}"));
}
