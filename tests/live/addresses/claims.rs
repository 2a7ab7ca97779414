//! Assertions about addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Result, ensure};
use support::{Exchange, LoggedExchange, Trace, Tracer, exchange_log, loopback, program::Program};

use crate::claims::{assert_nothing_lost, show};

/// The number of requests of `load.py`.
pub(crate) const REQUESTS: usize = 2_000;

/// The number of its connections.
pub(crate) const CONNECTIONS: usize = 50;

/// The loopback addresses; the tests need both.
pub(crate) fn hosts() -> Result<[&'static str; 2]> {
    let hosts = [loopback::IPV4, loopback::IPV6];
    ensure!(
        loopback::hosts() == hosts,
        "this machine has no ::1, which these tests need"
    );
    Ok(hosts)
}

/// Runs `load.py` against a port on 127.0.0.1 and `::1`. Returns the exchanges of the server, as logged by the client.
pub(crate) fn load(port: u16, path: &str) -> Result<Vec<LoggedExchange>> {
    let [first, second] = hosts()?.map(|host| format!("{host}:{port}"));
    let mut program = Program::python("load.py", &[path, &first, &second])?;
    program.begin()?;
    program.wait_for("done")?;
    let logged = exchange_log::parse(&program.finish()?)?;
    assert_eq!(logged.len(), REQUESTS);
    Ok(logged.into_iter().map(LoggedExchange::by_peer).collect())
}

/// Asserts that two logs have the same exchanges, in any order.
pub(crate) fn assert_same(one: &[LoggedExchange], other: &[LoggedExchange]) {
    let [one, other] = [one, other].map(|logged| logged.iter().collect::<BTreeSet<_>>());
    let differ: Vec<_> = one.symmetric_difference(&other).take(3).collect();
    assert!(differ.is_empty(), "only one log has {differ:?}");
}

/// Traces a server that logs its exchanges itself, under the load of `load.py`. Returns the trace and the log of the
/// server, which matches that of the client.
pub(crate) fn trace_server(mut program: Program, exchanges: usize) -> Result<(Trace, Vec<LoggedExchange>)> {
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    let known = load(program.wait_for("port ")?.parse()?, "/small/")?;
    tracer.wait_for_lines(exchanges)?;
    let trace = tracer.stop()?;
    let logged = exchange_log::parse(&program.finish()?)?;
    assert_eq!((trace.code, logged.len()), (Some(0), exchanges));
    let answered: Vec<_> = logged.iter().filter(|one| one.side == "server").cloned().collect();
    assert_same(&answered, &known);
    Ok((trace, logged))
}

/// Waits until all logged exchanges are printed, stops the tracer, and asserts that their addresses are right.
pub(crate) fn stop_and_assert(name: &str, tracer: Tracer, logged: &[LoggedExchange]) -> Result<Vec<Exchange>> {
    tracer.wait_for_lines(logged.len())?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    assert_addresses(name, &trace, logged)
}

/// Asserts that each logged exchange is printed once and complete with its addresses, and that there are no others.
pub(crate) fn assert_addresses(name: &str, trace: &Trace, logged: &[LoggedExchange]) -> Result<Vec<Exchange>> {
    let exchanges = trace.exchanges()?;
    let figures = Figures::of(&exchanges, logged);
    show(name, &figures);
    assert_eq!(
        figures.wrong, [""; 0],
        "addresses are wrong, or exchanges are not logged"
    );
    assert_eq!(figures.unnamed, [""; 0], "addresses are missing");
    assert_eq!(figures.right, logged.len());
    assert_nothing_lost(trace, logged.len())?;
    assert_once(&exchanges, logged);
    Ok(exchanges)
}

/// Asserts that each logged exchange is printed once and complete, and that its addresses are right, or absent with one
/// of `reasons`.
pub(crate) fn assert_none_wrong(
    name: &str,
    trace: &Trace,
    logged: &[LoggedExchange],
    reasons: &[&str],
) -> Result<Vec<Exchange>> {
    let exchanges = trace.exchanges()?;
    let figures = Figures::of(&exchanges, logged);
    show(name, &figures);
    assert_eq!(
        figures.wrong, [""; 0],
        "addresses are wrong, or exchanges are not logged"
    );
    let named = |exchange: &&Exchange| exchange.text("/connection/local").is_some();
    for exchange in exchanges.iter().filter(|exchange| !named(exchange)) {
        let reason = exchange.text("/connection/reason");
        assert!(reason.is_some_and(|reason| reasons.contains(&reason)), "{exchange:?}");
    }
    assert_nothing_lost(trace, logged.len())?;
    assert_once(&exchanges, logged);
    Ok(exchanges)
}

fn assert_once(exchanges: &[Exchange], logged: &[LoggedExchange]) {
    let expected: BTreeSet<_> = logged.iter().map(|one| (one.side, one.id.as_str())).collect();
    assert_eq!(expected.len(), logged.len(), "no two requests have the same id");
    let printed: BTreeSet<_> = exchanges.iter().map(key).collect();
    assert_eq!(printed, expected);
    assert_eq!(exchanges.len(), logged.len(), "each is printed once");
    let halves: Vec<_> = exchanges.iter().filter(|exchange| !exchange.is_whole()).collect();
    assert!(halves.is_empty(), "{halves:?}");
}

/// Returns the key of an exchange of a program: its role, and the id of the request.
fn key(exchange: &Exchange) -> (&str, &str) {
    let id = exchange.request_header("x-request-id");
    (exchange.text("/side").unwrap_or("none"), id.unwrap_or("none"))
}

/// Counts of exchanges with right, wrong and missing addresses.
#[derive(Debug, Default)]
struct Figures<'a> {
    exchanges: usize,
    right: usize,
    /// Examples with wrong addresses.
    wrong: Vec<String>,
    wrong_in_all: usize,
    /// Examples without addresses.
    unnamed: Vec<String>,
    unnamed_in_all: usize,
    /// Counts by source of the addresses, or by reason.
    sources: BTreeMap<&'a str, usize>,
    connections: BTreeSet<&'a str>,
    over_ipv6: usize,
}

impl<'a> Figures<'a> {
    /// The maximum number of examples of each kind.
    const EXAMPLES: usize = 3;

    fn of(exchanges: &'a [Exchange], logged: &[LoggedExchange]) -> Self {
        let logged: BTreeMap<_, _> = logged.iter().map(|one| ((one.side, one.id.as_str()), one)).collect();
        let mut figures = Self {
            exchanges: exchanges.len(),
            ..Self::default()
        };
        for exchange in exchanges {
            figures.count(exchange, logged.get(&key(exchange)).copied());
        }
        figures
    }

    fn count(&mut self, exchange: &'a Exchange, logged: Option<&LoggedExchange>) {
        let text = |pointer| exchange.text(pointer);
        let learned = text("/connection/source").or_else(|| text("/connection/reason"));
        *self
            .sources
            .entry(learned.unwrap_or("neither source nor reason"))
            .or_default() += 1;
        self.connections.extend(text("/connection/id"));
        match (text("/connection/local"), text("/connection/remote"), logged) {
            (Some(local), Some(remote), Some(logged)) if local == logged.local && remote == logged.remote => {
                self.right += 1;
                self.over_ipv6 += usize::from(local.starts_with('['));
            }
            (None, None, _) => {
                self.unnamed_in_all += 1;
                note(&mut self.unnamed, || format!("{logged:?} is {exchange:?}"));
            }
            _ => {
                self.wrong_in_all += 1;
                note(&mut self.wrong, || format!("{logged:?} is {exchange:?}"));
            }
        }
    }
}

fn note(examples: &mut Vec<String>, example: impl FnOnce() -> String) {
    if examples.len() < Figures::EXAMPLES {
        examples.push(example());
    }
}

impl fmt::Display for Figures<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            exchanges,
            right,
            wrong_in_all,
            unnamed_in_all,
            sources,
            connections,
            over_ipv6,
            wrong: _,
            unnamed: _,
        } = self;
        let connections = connections.len();
        write!(
            formatter,
            "{exchanges} exchanges over {connections} connections, addresses of {right} right"
        )?;
        write!(
            formatter,
            " ({over_ipv6} of them IPv6), {wrong_in_all} wrong, {unnamed_in_all} missing, learned by"
        )?;
        sources
            .iter()
            .try_for_each(|(source, count)| write!(formatter, " {source}={count}"))
    }
}

/// Counts the connections of the exchanges of one side.
pub(crate) fn connections(exchanges: &[Exchange], side: &str) -> usize {
    let of_side = exchanges.iter().filter(|exchange| exchange.text("/side") == Some(side));
    let ids: BTreeSet<_> = of_side.map(|exchange| exchange.text("/connection/id")).collect();
    ids.len()
}
