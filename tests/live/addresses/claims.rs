//! What tests claim of addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Result, ensure};
use support::{Exchange, Told, Trace, Tracer, loopback, program::Program, told};

use crate::claims::{assert_nothing_lost, show};

/// Requests that `load.py` makes.
pub(crate) const REQUESTS: usize = 2_000;

/// Connections that it makes them over.
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

/// Makes the whole load at a port, on 127.0.0.1 and `::1` in turn; gives what the server did, as its client
/// knows it.
pub(crate) fn load(port: u16, path: &str) -> Result<Vec<Told>> {
    let [first, second] = hosts()?.map(|host| format!("{host}:{port}"));
    let mut program = Program::python("load.py", &[path, &first, &second])?;
    program.begin()?;
    program.wait_for("done")?;
    let told = told::among(&program.finish()?)?;
    assert_eq!(told.len(), REQUESTS);
    Ok(told.into_iter().map(Told::by_peer).collect())
}

/// Asserts that two witnesses say the same, in any order.
pub(crate) fn assert_same(one: &[Told], other: &[Told]) {
    let [one, other] = [one, other].map(|told| told.iter().collect::<BTreeSet<_>>());
    let differ: Vec<_> = one.symmetric_difference(&other).take(3).collect();
    assert!(differ.is_empty(), "only one witness says {differ:?}");
}

/// Traces a server that tells of its exchanges itself, under the whole load; gives the trace of so many exchanges, and
/// what it told of, which is what its client told of too.
pub(crate) fn trace_server(mut program: Program, exchanges: usize) -> Result<(Trace, Vec<Told>)> {
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    let known = load(program.wait_for("port ")?.parse()?, "/small/")?;
    tracer.wait_for_lines(exchanges)?;
    let trace = tracer.stop()?;
    let told = told::among(&program.finish()?)?;
    assert_eq!((trace.code, told.len()), (Some(0), exchanges));
    let answered: Vec<_> = told.iter().filter(|one| one.side == "server").cloned().collect();
    assert_same(&answered, &known);
    Ok((trace, told))
}

/// Waits until so many exchanges are printed, stops the tracer, and asserts that they are as they should be.
pub(crate) fn stop_and_assert(name: &str, tracer: Tracer, told: &[Told]) -> Result<Vec<Exchange>> {
    tracer.wait_for_lines(told.len())?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    assert_addresses(name, &trace, told)
}

/// Asserts that each exchange that was told of is printed once and whole, with its two addresses, and nothing else is.
pub(crate) fn assert_addresses(name: &str, trace: &Trace, told: &[Told]) -> Result<Vec<Exchange>> {
    let exchanges = trace.exchanges()?;
    let figures = Figures::of(&exchanges, told);
    show(name, &figures);
    assert_eq!(
        figures.wrong, [""; 0],
        "addresses are wrong, or exchanges that nobody told of"
    );
    assert_eq!(figures.unnamed, [""; 0], "addresses are missing");
    assert_eq!(figures.right, told.len());
    assert_nothing_lost(trace, told.len())?;
    assert_once(&exchanges, told);
    Ok(exchanges)
}

/// Asserts that each exchange that was told of is printed once and whole, and that its addresses are right, or absent for
/// a reason of these.
pub(crate) fn assert_none_wrong(name: &str, trace: &Trace, told: &[Told], reasons: &[&str]) -> Result<Vec<Exchange>> {
    let exchanges = trace.exchanges()?;
    let figures = Figures::of(&exchanges, told);
    show(name, &figures);
    assert_eq!(
        figures.wrong, [""; 0],
        "addresses are wrong, or exchanges that nobody told of"
    );
    let named = |exchange: &&Exchange| exchange.text("/connection/local").is_some();
    for exchange in exchanges.iter().filter(|exchange| !named(exchange)) {
        let reason = exchange.text("/connection/reason");
        assert!(reason.is_some_and(|reason| reasons.contains(&reason)), "{exchange:?}");
    }
    assert_nothing_lost(trace, told.len())?;
    assert_once(&exchanges, told);
    Ok(exchanges)
}

fn assert_once(exchanges: &[Exchange], told: &[Told]) {
    let expected: BTreeSet<_> = told.iter().map(|one| (one.side, one.id.as_str())).collect();
    assert_eq!(expected.len(), told.len(), "no two requests have the same id");
    let printed: BTreeSet<_> = exchanges.iter().map(key).collect();
    assert_eq!(printed, expected);
    assert_eq!(exchanges.len(), told.len(), "each is printed once");
    let halves: Vec<_> = exchanges.iter().filter(|exchange| !exchange.is_whole()).collect();
    assert!(halves.is_empty(), "{halves:?}");
}

/// What tells one exchange of a program from another: its role, and the request's id.
fn key(exchange: &Exchange) -> (&str, &str) {
    let id = exchange.request_header("x-request-id");
    (exchange.text("/side").unwrap_or("none"), id.unwrap_or("none"))
}

/// How many exchanges have addresses, and how many of these are right.
#[derive(Debug, Default)]
struct Figures<'a> {
    exchanges: usize,
    right: usize,
    /// Some of those whose addresses are wrong.
    wrong: Vec<String>,
    wrong_in_all: usize,
    /// Some of those that have none.
    unnamed: Vec<String>,
    unnamed_in_all: usize,
    /// How addresses were learned, or why not.
    sources: BTreeMap<&'a str, usize>,
    connections: BTreeSet<&'a str>,
    over_ipv6: usize,
}

impl<'a> Figures<'a> {
    /// How many examples are kept.
    const EXAMPLES: usize = 3;

    fn of(exchanges: &'a [Exchange], told: &[Told]) -> Self {
        let told: BTreeMap<_, _> = told.iter().map(|one| ((one.side, one.id.as_str()), one)).collect();
        let mut figures = Self {
            exchanges: exchanges.len(),
            ..Self::default()
        };
        for exchange in exchanges {
            figures.count(exchange, told.get(&key(exchange)).copied());
        }
        figures
    }

    fn count(&mut self, exchange: &'a Exchange, told: Option<&Told>) {
        let text = |pointer| exchange.text(pointer);
        let learned = text("/connection/source").or_else(|| text("/connection/reason"));
        *self.sources.entry(learned.unwrap_or("nothing said")).or_default() += 1;
        self.connections.extend(text("/connection/id"));
        match (text("/connection/local"), text("/connection/remote"), told) {
            (Some(local), Some(remote), Some(told)) if local == told.local && remote == told.remote => {
                self.right += 1;
                self.over_ipv6 += usize::from(local.starts_with('['));
            }
            (None, None, _) => {
                self.unnamed_in_all += 1;
                note(&mut self.unnamed, || format!("{told:?} is {exchange:?}"));
            }
            _ => {
                self.wrong_in_all += 1;
                note(&mut self.wrong, || format!("{told:?} is {exchange:?}"));
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

/// How many connections exchanges of one side are spread over.
pub(crate) fn connections(exchanges: &[Exchange], side: &str) -> usize {
    let of_side = exchanges.iter().filter(|exchange| exchange.text("/side") == Some(side));
    let ids: BTreeSet<_> = of_side.map(|exchange| exchange.text("/connection/id")).collect();
    ids.len()
}
