//! Attaching to open connections: fields sent before are unknown, and no printed value is wrong.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use support::{Exchange, Nginx, Trace, Tracer, nginx::Setup, program::Program, secrets::find_secret};

use super::claims::assert_marked;
use crate::claims::show;

/// Pseudo-header fields of a request.
const PSEUDO: [&str; 4] = [
    "/request/method",
    "/request/scheme",
    "/request/authority",
    "/request/path",
];

/// Asserts that the exchange of a late tracer does not contradict that of an early one.
fn assert_says_the_same(late: &Exchange, early: &Exchange) {
    let says = |pointer: &str| late.0.pointer(pointer).is_some();
    // The first part seen of an exchange in progress may be its trailers, with all fields unknown.
    let headless = !says("/request") && !says("/response/status");
    let head = if headless {
        "/response/trailers"
    } else {
        "/response/headers"
    };
    let parts: [(_, _, &[_]); 4] = [
        ("/request/headers", "/request/headers", &PSEUDO),
        ("/request/trailers", "/request/trailers", &[]),
        ("/response/headers", head, &["/response/status"]),
        ("/response/trailers", "/response/trailers", &[]),
    ];
    for (pointer, early_pointer, pseudo) in parts.into_iter().filter(|(pointer, ..)| says(pointer)) {
        let pseudo = if headless { &[] } else { pseudo };
        let unnamed = assert_pseudo_are_the_same(late, early, pseudo);
        let early_fields = [vec![(None, None); unnamed], early.fields(early_pointer)].concat();
        assert_fields_are_the_same(&late.fields(pointer), &early_fields, late, early);
    }
    for half in ["/request", "/response"].into_iter().filter(|half| says(half)) {
        let pointer = format!("{half}/body_bytes");
        let (late_bytes, early_bytes) = (late.number(&pointer), early.number(&pointer));
        let unsure = late_bytes.is_none() && !late.is_whole();
        assert!(unsure || late_bytes == early_bytes, "{pointer}: {late:?} {early:?}");
    }
    assert_eq!(late.text("/ended"), early.text("/ended"), "{late:?} {early:?}");
}

/// Asserts the same of pseudo-header fields. Returns how many are unknown, and thus among the fields without a name.
fn assert_pseudo_are_the_same(late: &Exchange, early: &Exchange, pseudo: &[&str]) -> usize {
    let mut unnamed = 0;
    for pointer in pseudo {
        let (late_value, early_value) = (late.0.pointer(pointer), early.0.pointer(pointer));
        let same = late_value.is_none_or(|value| Some(value) == early_value);
        assert!(same, "{pointer}: {late:?} {early:?}");
        unnamed += usize::from(late_value.is_none() && early_value.is_some());
    }
    unnamed
}

fn assert_fields_are_the_same(late_fields: &[Seen<'_>], early_fields: &[Seen<'_>], late: &Exchange, early: &Exchange) {
    assert_eq!(late_fields.len(), early_fields.len(), "{late:?} {early:?}");
    for ((name, value), (early_name, early_value)) in late_fields.iter().zip(early_fields) {
        assert!(name.is_none() || name == early_name, "{name:?}: {late:?} {early:?}");
        // Values of fields without a name are masked.
        let masked = name.is_none() && *value == Some("[redacted]");
        let same = masked || value.is_none() || value == early_value;
        assert!(same, "{value:?}: {late:?} {early:?}");
    }
}

/// A field, as far as it is known.
type Seen<'a> = (Option<&'a str>, Option<&'a str>);

/// Returns the exchanges of the only connection by stream.
fn by_stream(trace: &Trace) -> Result<BTreeMap<u64, Exchange>> {
    let exchanges = trace.exchanges()?;
    let count = exchanges.len();
    let pairs = exchanges.into_iter().map(|exchange| {
        let stream = exchange.number("/stream").context("the exchange has no stream")?;
        assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
        Ok((stream, exchange))
    });
    let by_stream: BTreeMap<_, _> = pairs.collect::<Result<_>>()?;
    assert_eq!(by_stream.len(), count, "a stream carries one exchange");
    Ok(by_stream)
}

/// Formats the number of unknown fields of each head.
fn figure(counts: impl Iterator<Item = u64>) -> String {
    counts.map(|count| count.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn fields_sent_before_are_unknown_until_they_are_sent_again() -> Result<()> {
    const BEFORE: usize = 20;
    const REPEATED: u64 = 20;
    /// The authority and the user agent, whose names are in the static table.
    const OTHERS: u64 = 2;
    const AFTER: usize = 7;
    let nginx = Nginx::start_with(Setup {
        workers: Some(1),
        ..Setup::default()
    })?;
    let mut client = Program::python("http2_repeated.py", &[&nginx.port().to_string()])?;
    let early = Tracer::of(&[client.pid()], &[])?;
    client.begin()?;
    client.wait_for_count("sent ", BEFORE)?;
    let late = Tracer::of(&nginx.workers()?, &[])?;
    // One more request may be in flight.
    let first = client.count("sent ") + 1;
    late.wait_for_lines(AFTER + 3)?;
    client.send_line("change")?;
    let changed: usize = client.wait_for("changed ")?.parse()?;
    client.wait_for_count("sent ", changed + AFTER)?;
    client.send_line("forget")?;
    let forgotten: usize = client.wait_for("forgotten ")?.parse()?;
    client.wait_for_count("sent ", forgotten + AFTER)?;
    client.finish()?;
    let last = nginx.log()?.len();
    early.wait_for_lines(last)?;
    late.wait_for_lines(last - first)?;
    let (late, early) = (late.stop()?, early.finish()?);
    let everything = late.everything() + &early.everything();
    let (late, early) = (by_stream(&late)?, by_stream(&early)?);
    assert_eq!(early.len(), last);
    let stream = |number: usize| u64::try_from(2 * number + 1);
    let mut counts = Vec::new();
    for number in first..last {
        let exchange = late
            .get(&stream(number)?)
            .with_context(|| format!("{number} is missing"))?;
        assert!(exchange.is_whole(), "{exchange:?}");
        assert_eq!(
            exchange.text("/request/path"),
            Some(format!("/small/{number}").as_str())
        );
        assert_eq!(
            assert_marked(exchange, "/response"),
            0,
            "nginx never refers to its table: {exchange:?}"
        );
        counts.push(assert_marked(exchange, "/request"));
    }
    for (stream, exchange) in &late {
        assert_says_the_same(
            exchange,
            early.get(stream).context("the early tracer missed an exchange")?,
        );
    }
    show("unknown fields of each request", figure(counts.iter().copied()));
    assert_eq!(find_secret(&everything), None);
    let (before, after) = counts
        .split_at_checked(changed - first)
        .context("the values changed too early")?;
    let (after, anew) = after
        .split_at_checked(forgotten - changed)
        .context("the table was cleared too early")?;
    assert!(
        before.len() >= AFTER && before.iter().all(|count| *count == REPEATED + OTHERS),
        "{counts:?}"
    );
    // New values of fields whose names are in the table of the encoder.
    assert!(
        after.len() >= AFTER && after.iter().all(|count| *count == REPEATED),
        "{counts:?}"
    );
    assert!(
        anew.len() >= AFTER && anew.iter().all(|count| *count == 0),
        "{counts:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_late_trace_of_grpc_does_not_contradict_an_early_one() -> Result<()> {
    const BEFORE: usize = 50;
    const AFTER: usize = 300;
    let mut server = Program::python("grpc_calls.py", &["server", "secure"])?;
    server.begin()?;
    let (port, certificate) = (server.wait_for("port ")?, server.wait_for("certificate ")?);
    let mut client = Program::python("grpc_calls.py", &["client", &port, &certificate, "1000000"])?;
    let early = Tracer::of(&[client.pid()], &[])?;
    client.begin()?;
    client.send_line("go on")?;
    client.wait_for_count("call ", BEFORE)?;
    let late = Tracer::of(&[server.pid()], &[])?;
    // Calls are sequential, and one may be in flight.
    let first = client.count("call ") + 1;
    late.wait_for_lines(AFTER)?;
    let calls = client.finish()?.iter().filter(|line| line.starts_with("call ")).count();
    late.wait_for_lines(calls - first)?;
    let (late, early) = (late.stop()?, early.finish()?);
    let (late, early) = (by_stream(&late)?, by_stream(&early)?);
    assert_eq!(early.len(), calls);
    for (number, (stream, early)) in early.iter().enumerate() {
        let Some(late) = late.get(stream) else {
            assert!(number < first, "{number} is missing");
            continue;
        };
        assert_says_the_same(late, early);
        assert!(number < first || late.is_whole(), "{late:?}");
        assert!(
            late.0
                .get("grpc_status")
                .is_none_or(|status| Some(status) == early.0.get("grpc_status"))
        );
    }
    let requests = late
        .values()
        .skip(2)
        .map(|exchange| assert_marked(exchange, "/request"));
    show("unknown fields of each request", figure(requests.take(40)));
    let responses = late
        .values()
        .skip(2)
        .filter(|exchange| exchange.0.get("response").is_some());
    show(
        "unknown fields of each response",
        figure(responses.map(|one| assert_marked(one, "/response")).take(40)),
    );
    Ok(())
}
