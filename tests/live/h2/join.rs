//! Attaching to gateways under load: every printed value is right, or marked as unknown.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;
use support::{
    Access, Exchange, Nghttpx, Nginx, Trace, Tracer, access_log, curl,
    h2load::{H2load, Load},
    nginx::{LARGE, Setup},
};

use super::claims::{Sent, assert_marked, assert_only_sent, fields, unknown};
use crate::claims::show;

/// The fields that h2load sends besides its pseudo-header fields.
const SENT: [(&str, &str); 3] = [
    ("x-tenant", "blue"),
    ("x-note", "one of the values that are sent once"),
    ("user-agent", "load"),
];

const LOAD: Load<'_> = Load {
    fields: &[
        "x-tenant: blue",
        "x-note: one of the values that are sent once",
        "user-agent: load",
    ],
    ..Load::of(100_000_000, "/small/NUMBER")
};

/// The path of the request after the load.
const LAST: &str = "/small/last";

/// A trace that began, and ended, under load.
struct Joined {
    exchanges: Vec<Exchange>,
    /// The number of halves, if nothing was lost. A busy machine may lose records.
    halves: Option<u64>,
    losses: Losses,
    /// The lines that nginx logged after the tracer was ready and before the load ended.
    between: Vec<Access>,
    /// The complete log of nginx.
    log: Vec<Access>,
}

/// The connections with losses, whose exchanges may be incomplete.
#[derive(Debug)]
struct Losses {
    ids: HashSet<String>,
    addresses: HashSet<String>,
}

impl Losses {
    fn of(trace: &Trace) -> Result<Self> {
        let lines = trace.lines_of("loss")?;
        let texts = |members: &[&str]| -> HashSet<String> {
            let values = lines
                .iter()
                .flat_map(|line| members.iter().filter_map(|member| line["connection"][*member].as_str()));
            values.map(str::to_owned).collect()
        };
        Ok(Self {
            ids: texts(&["id"]),
            addresses: texts(&["local", "remote"]),
        })
    }
}

/// Attaches to `pids` while h2load runs, and ends after this many lines.
fn join_under_load(pids: &[u32], base: &str, nginx: &Nginx, load: Load<'_>, lines: usize) -> Result<Joined> {
    let h2load = H2load::start(base, load)?;
    nginx.wait_until_logged(2 * load.connections * load.streams)?;
    // Uploads go to a server without TLS in the same process.
    let tracer = Tracer::of(pids, &["--no-plaintext"])?;
    let ready = nginx.log()?.len();
    tracer.wait_for_lines(lines)?;
    let between = nginx.log()?.split_off(ready);
    h2load.kill()?;
    // Once a later request is printed, everything captured before it is printed.
    support::wait::until_true("the last request", || {
        curl::request(&[&format!("{base}{LAST}")])?;
        Ok(tracer.has_printed(LAST))
    })?;
    let trace = tracer.stop()?;
    let totals = trace.totals()?;
    assert_eq!(trace.code, Some(0));
    let complaint = if totals.lost_records == 0 {
        "not decoded"
    } else {
        "not HTTP"
    };
    let complaint = trace.stderr.iter().find(|line| line.contains(complaint));
    assert_eq!(complaint, None);
    let of_load = |exchange: &Exchange| exchange.text("/request/path") != Some(LAST);
    Ok(Joined {
        exchanges: trace.exchanges()?.into_iter().filter(of_load).collect(),
        halves: (totals.lost_records == 0).then_some(totals.half),
        losses: Losses::of(&trace).inspect(|losses| eprintln!("{losses:?}: {:?}", trace.stderr))?,
        between,
        log: nginx.log()?.into_iter().filter(|access| access.uri != LAST).collect(),
    })
}

/// Returns the id of an exchange in the log of nginx. The name of that field may be unknown.
fn logged_id<'a>(exchange: &'a Exchange, log: &HashMap<&str, &Access>) -> Option<&'a str> {
    let values = exchange
        .fields("/response/headers")
        .into_iter()
        .filter_map(|(_, value)| value);
    values.into_iter().find(|value| log.contains_key(value))
}

/// Asserts that every request sent after the tracer was ready is printed with its response, if nothing was lost.
///
/// Up to `open` streams of a connection to nginx were open at that time. They are answered before later ones.
fn assert_all_is_there(joined: &Joined, exchanges: &[&Exchange], open: usize) {
    let log = access_log::by_id(&joined.log);
    let by_id: HashMap<_, _> = exchanges
        .iter()
        .filter_map(|exchange| Some((logged_id(exchange, &log)?, exchange)))
        .collect();
    let (mut passed_over, mut checked): (HashMap<&str, usize>, _) = (HashMap::new(), 0);
    for access in &joined.between {
        let count = passed_over.entry(&access.remote).or_default();
        *count += 1;
        if *count > open && !joined.losses.addresses.contains(&access.remote) {
            let exchange = by_id.get(access.id.as_str());
            assert!(
                exchange.is_some_and(|exchange| exchange.is_whole()),
                "{access:?}: {exchange:?}"
            );
            checked += 1;
        }
    }
    assert!(checked > 100 || joined.halves.is_none(), "{checked}");
}

/// Asserts that no stream is missing after those that were open at the beginning, and that only streams that were open
/// at the end are halves. h2load uses consecutive stream identifiers; a gateway skips those that it cancels before
/// sending.
///
/// Connections with losses are not checked.
fn assert_no_stream_is_missing(exchanges: &[&Exchange], losses: &Losses, open: usize) {
    let mut connections: BTreeMap<_, BTreeMap<_, &Exchange>> = BTreeMap::new();
    for exchange in exchanges {
        let streams = connections.entry(exchange.text("/connection/id")).or_default();
        streams.insert(exchange.number("/stream"), *exchange);
    }
    connections.retain(|id, _| id.is_none_or(|id| !losses.ids.contains(id)));
    for streams in connections.values() {
        let later: Vec<_> = streams.iter().skip(open).collect();
        for pair in later.windows(2) {
            let [(one, exchange), (next, _)] = pair else { continue };
            assert_eq!(one.map(|one| one + 2), **next, "{exchange:?}");
        }
        let halves = later.iter().filter(|(_, exchange)| !exchange.is_whole());
        assert!(halves.count() <= open, "{later:?}");
    }
}

/// Asserts that every value of an exchange is right, or marked as unknown.
fn assert_right(
    exchange: &Exchange,
    log: &HashMap<&str, &Access>,
    authority: &str,
    requested: &[Sent],
    answered: &[Sent],
) {
    assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
    let path = exchange.text("/request/path");
    let id = logged_id(exchange, log);
    let logged = id.and_then(|id| log.get(id));
    assert!(
        logged.is_none_or(|logged| path.is_none_or(|path| path == logged.uri)),
        "{exchange:?}"
    );
    assert!(path.is_none_or(|path| path.starts_with("/small/")), "{exchange:?}");
    assert!(
        exchange.text("/request/authority").is_none_or(|one| one == authority),
        "{exchange:?}"
    );
    assert!(
        exchange.text("/request/method").is_none_or(|method| method == "GET"),
        "{exchange:?}"
    );
    assert!(
        exchange.number("/response/status").is_none_or(|status| status == 200),
        "{exchange:?}"
    );
    // A field with an unknown name may be the authority.
    let requested: Vec<_> = requested
        .iter()
        .cloned()
        .chain([(String::new(), authority.to_owned())])
        .collect();
    assert_only_sent(exchange, "/request", &requested);
    let dates = exchange
        .fields("/response/headers")
        .into_iter()
        .filter_map(|(_, value)| value);
    let dates = dates.filter(|date| date.len() == 29 && date.ends_with(" GMT"));
    let own = dates
        .map(|date| ("date", date))
        .chain(id.map(|id| ("x-request-id", id)));
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_only_sent(
        exchange,
        "/response",
        &answered.iter().cloned().chain(own).collect::<Vec<_>>(),
    );
    for half in ["/request", "/response"] {
        if exchange.0.pointer(half).is_some() {
            assert_marked(exchange, half);
        }
    }
}

/// Prints how many fields of complete exchanges are unknown.
fn show_unknown(what: &str, exchanges: &[&Exchange]) {
    for half in ["/request", "/response"] {
        let counts: Vec<_> = exchanges
            .iter()
            .filter(|one| one.is_whole())
            .map(|one| unknown(one, half))
            .collect();
        let (all, known) = (counts.len(), counts.iter().filter(|count| **count == 0).count());
        show(
            what,
            format_args!(
                "{half}: {known} of {all} heads complete, {} fields unknown",
                counts.iter().sum::<u64>()
            ),
        );
    }
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn joining_nginx_under_load_prints_true_or_unknown_values() -> Result<()> {
    let nginx = Nginx::start()?;
    let joined = join_under_load(&[nginx.master()], &nginx.url(""), &nginx, LOAD, 10_000)?;
    let exchanges: Vec<_> = joined.exchanges.iter().collect();
    assert_all_is_there(&joined, &exchanges, LOAD.streams);
    assert_no_stream_is_missing(&exchanges, &joined.losses, LOAD.streams);
    let log = access_log::by_id(&joined.log);
    let authority = format!("127.0.0.1:{}", nginx.port());
    let answered = fields(&[
        ("server", "nginx"),
        ("content-type", "text/plain"),
        ("content-length", "6"),
    ]);
    for exchange in &exchanges {
        assert_right(exchange, &log, &authority, &fields(&SENT), &answered);
    }
    show_unknown("nginx", &exchanges);
    // Each stream may have been open at the beginning or at the end.
    let open = u64::try_from(LOAD.connections * LOAD.streams)?;
    assert!(
        joined.halves.is_none_or(|halves| halves <= 2 * open),
        "{:?}",
        joined.halves
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn joining_a_gateway_under_load_prints_true_or_unknown_values_on_both_sides() -> Result<()> {
    /// The maximum number of streams of a connection in nginx.
    const OPEN: usize = 128;
    let nginx = Nginx::start()?;
    let nghttpx = Nghttpx::start(&[&format!("127.0.0.1,{};/;tls;proto=h2", nginx.port())])?;
    let joined = join_under_load(&[nghttpx.master()], &nghttpx.url(""), &nginx, LOAD, 10_000)?;
    let is_server = |exchange: &&Exchange| exchange.text("/side") == Some("server");
    let (servers, clients): (Vec<_>, Vec<_>) = joined.exchanges.iter().partition(is_server);
    assert_all_is_there(&joined, &clients, OPEN);
    assert_no_stream_is_missing(&servers, &joined.losses, LOAD.streams);
    let log = access_log::by_id(&joined.log);
    let authority = format!("127.0.0.1:{}", nghttpx.port());
    let passed_on = [("x-forwarded-proto", "https"), ("via", "2 nghttpx")];
    let answered = [("content-type", "text/plain"), ("content-length", "6")];
    for exchange in &clients {
        let answered = fields(&[&answered[..], &[("server", "nginx")]].concat());
        assert_right(
            exchange,
            &log,
            &authority,
            &fields(&[&SENT[..], &passed_on].concat()),
            &answered,
        );
    }
    for exchange in &servers {
        let answered = fields(&[&answered[..], &[("server", "nghttpx"), ("via", "2 nghttpx")]].concat());
        assert_right(exchange, &log, &authority, &fields(&SENT), &answered);
    }
    show_unknown("the gateway as a server", &servers);
    show_unknown("the gateway as a client", &clients);
    Ok(())
}

/// Joins a single worker that transfers bodies, most likely in the middle of one. Asserts the sizes of later bodies.
fn assert_bodies_are_right(load: Load<'_>, status: u64, response: u64) -> Result<()> {
    let nginx = Nginx::start_with(Setup {
        workers: Some(1),
        ..Setup::default()
    })?;
    let joined = join_under_load(&nginx.workers()?, &nginx.url(""), &nginx, load, 300)?;
    let exchanges: Vec<_> = joined.exchanges.iter().collect();
    assert_no_stream_is_missing(&exchanges, &joined.losses, load.streams);
    let (request, mut complete) = (u64::try_from(load.body)?, 0);
    let log = access_log::by_id(&joined.log);
    for exchange in &exchanges {
        assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
        let logged = logged_id(exchange, &log).and_then(|id| log.get(id));
        let path = exchange.text("/request/path");
        assert!(
            logged.is_none_or(|logged| path.is_none_or(|path| path == logged.uri)),
            "{exchange:?}"
        );
        assert!(
            exchange.number("/response/status").is_none_or(|one| one == status),
            "{exchange:?}"
        );
        if exchange.is_whole() && exchange.text("/ended") == Some("complete") {
            let id = exchange.text("/connection/id");
            let lossy = id.is_some_and(|id| joined.losses.ids.contains(id));
            // The size of a response that started before the first frame boundary is unknown.
            let joined_within = exchange.number("/response/status").is_none();
            for (bytes, expected, unknown) in [
                ("/request/body_bytes", request, lossy),
                ("/response/body_bytes", response, lossy || joined_within),
            ] {
                let bytes = exchange.number(bytes);
                assert!(bytes == Some(expected) || (unknown && bytes.is_none()), "{exchange:?}");
            }
            complete += 1;
        }
    }
    assert!(complete > 200 || joined.halves.is_none(), "{complete}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn joining_in_the_middle_of_uploads_finds_a_frame_boundary() -> Result<()> {
    let load = Load {
        connections: 4,
        streams: 10,
        body: 100_000,
        ..Load::of(10_000_000, "/post/NUMBER")
    };
    assert_bodies_are_right(load, 204, 0)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn joining_in_the_middle_of_downloads_finds_a_frame_boundary() -> Result<()> {
    let load = Load {
        connections: 4,
        streams: 10,
        ..Load::of(10_000_000, "/large/NUMBER")
    };
    assert_bodies_are_right(load, 200, LARGE)
}
