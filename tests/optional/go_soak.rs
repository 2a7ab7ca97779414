//! Go under the load that other tracers do not survive: goroutines whose stacks grow deeply, garbage that is collected all
//! the time, and connections that come and go, while tlscope attaches and detaches again and again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use support::{
    Exchange, LoggedExchange, Trace, Tracer, exchange_log,
    go::{Build, Built, Version},
    program::Program,
};

use crate::claims::show;

/// How often tlscope attaches, unless the environment variable of this name says otherwise.
const ROUNDS: usize = 6;
const ROUNDS_VARIABLE: &str = "TLSCOPE_SOAK_ROUNDS";

/// Connections of a round, and requests on each.
const LOAD: (usize, usize) = (250, 2);

/// Connections that last, with as many requests as they can send.
const STEADY: (usize, usize) = (8, 0);

/// Servers whose garbage is collected all the time, while goroutines run or while all of them are stopped, and how many of so
/// many rounds each has.
fn servers(rounds: usize) -> [(&'static [(&'static str, &'static str)], usize); 2] {
    let stopped = rounds.div_ceil(6);
    [
        (&[("GOGC", "1")], rounds.saturating_sub(stopped)),
        (&[("GOGC", "1"), ("GODEBUG", "gcstoptheworld=1")], stopped),
    ]
}

pub(crate) fn attached_and_detached() -> Result<()> {
    attached_and_detached_by(Version::Go1_27, &[])
}

/// Does this with programs that a version of Go has built, and options of tlscope.
pub(crate) fn attached_and_detached_by(version: Version, options: &[&str]) -> Result<()> {
    let rounds = std::env::var(ROUNDS_VARIABLE).ok();
    let rounds = rounds.map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let built = Built::by(version, Build::Stripped)?;
    for (environment, rounds) in servers(rounds).into_iter().filter(|(_, rounds)| *rounds != 0) {
        attach_and_detach(&built, environment, options, rounds)?;
    }
    Ok(())
}

fn attach_and_detach(built: &Built, environment: &[(&str, &str)], options: &[&str], rounds: usize) -> Result<()> {
    let mut server = built.serve(environment)?;
    server.begin()?;
    let url = format!("https://127.0.0.1:{}/", server.wait_for("port ")?);
    let mut steady = built.ask(&url, STEADY, "h1")?;
    steady.begin()?;
    let (mut traces, mut logged) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let round = Round::run(built, (&server, &steady), &url, options)?;
        logged.extend(round.logged);
        traces.push((round.trace, round.expected));
    }
    logged.extend(exchange_log::parse(&steady.finish()?)?);
    let logged: BTreeMap<_, _> = logged
        .into_iter()
        .map(LoggedExchange::by_peer)
        .map(|one| (one.id.clone(), one))
        .collect();
    let answered = exchange_log::parse(&server.finish()?)?;
    assert_eq!(answered.len(), logged.len(), "each request is served once");
    let (mut expected, mut printed) = (0, 0);
    for (trace, ids) in &traces {
        expected += ids.len();
        printed += assert_round(trace, ids, &logged)?;
    }
    show(
        "Go attached and detached",
        format_args!(
            "{environment:?} {rounds} times, {} requests, {expected} within a trace, {printed} printed",
            logged.len()
        ),
    );
    assert!(
        expected > rounds * LOAD.0 * LOAD.1,
        "the lasting connections are traced too"
    );
    Ok(())
}

/// What was traced between an attachment and its end.
struct Round {
    trace: Trace,
    /// The requests that began after the tracer was ready, and ended before it was stopped.
    expected: BTreeSet<String>,
    /// What the client of the round logged.
    logged: Vec<LoggedExchange>,
}

impl Round {
    fn run(built: &Built, (server, steady): (&Program, &Program), url: &str, options: &[&str]) -> Result<Self> {
        let mut client = built.ask(url, LOAD, "h1")?;
        let tracer = Tracer::of(&[server.pid()], options)?;
        let before: BTreeSet<_> = ids(&steady.lines())?.into_iter().collect();
        client.begin()?;
        client.wait_for("done")?;
        let lasting = ids(&steady.lines())?;
        let trace = tracer.stop()?;
        let logged = exchange_log::parse(&client.finish()?)?;
        let now: BTreeSet<_> = lasting.iter().cloned().collect();
        // Go's server reads on while it answers. Exits do not see a read that was under way.
        let back = if options.is_empty() { 1 } else { 2 };
        let is_within = |id: &&String| {
            // The one before it on the same connection, or the second, ended after the tracer was ready.
            let previous = previous(id, back);
            previous.is_some_and(|previous| now.contains(&previous) && !before.contains(&previous))
        };
        let mut expected: BTreeSet<_> = lasting.iter().filter(is_within).cloned().collect();
        expected.extend(logged.iter().map(|one| one.id.clone()));
        Ok(Self {
            trace,
            expected,
            logged,
        })
    }
}

/// Returns the ids of the requests that a client has logged.
fn ids(lines: &[String]) -> Result<Vec<String>> {
    Ok(exchange_log::parse(lines)?.into_iter().map(|one| one.id).collect())
}

/// Returns the id of the request so many before another one on its connection.
fn previous(id: &str, back: u64) -> Option<String> {
    let (connection, number) = id.rsplit_once('-')?;
    let number: u64 = number.parse().ok()?;
    Some(format!("{connection}-{}", number.checked_sub(back)?))
}

/// Asserts that each expected request is printed once, whole, and that whatever is printed is right; returns how many are.
fn assert_round(
    trace: &Trace,
    expected: &BTreeSet<String>,
    logged: &BTreeMap<String, LoggedExchange>,
) -> Result<usize> {
    assert_eq!(trace.code, Some(0));
    let totals = trace.totals()?;
    assert_eq!((totals.lost_records, totals.lost_bytes), (0, 0));
    let exchanges = trace.exchanges()?;
    let mut printed = BTreeSet::new();
    for exchange in &exchanges {
        let Some(id) = exchange.request_header("x-request-id") else {
            assert!(!exchange.is_whole(), "{exchange:?}");
            continue;
        };
        let known = logged.get(id).with_context(|| format!("{id} was never sent"))?;
        assert!(printed.insert(id), "{id} is printed twice");
        assert_right(exchange, id, known, expected.contains(id));
    }
    let missing: Vec<_> = expected
        .iter()
        .filter(|id| !printed.contains(id.as_str()))
        .take(3)
        .collect();
    assert!(missing.is_empty(), "not printed: {missing:?}");
    Ok(printed.len())
}

fn assert_right(exchange: &Exchange, id: &str, known: &LoggedExchange, is_expected: bool) {
    let text = |pointer| exchange.text(pointer);
    assert_eq!(text("/connection/local"), Some(known.local.as_str()), "{exchange:?}");
    assert_eq!(text("/connection/remote"), Some(known.remote.as_str()), "{exchange:?}");
    assert_eq!(text("/request/path"), Some("/"), "{exchange:?}");
    // After an attachment in the middle of a body, the rest of that body may stand before the method.
    let is_after_content = !is_expected && text("/request/malformed") == Some("method");
    let method = Some("POST").filter(|_| !is_after_content);
    assert_eq!(text("/request/method"), method, "{exchange:?}");
    if is_expected {
        assert!(exchange.is_whole(), "{exchange:?}");
        assert_eq!(exchange.response_header("x-request-id"), Some(id), "{exchange:?}");
    }
}
