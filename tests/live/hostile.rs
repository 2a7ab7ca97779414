//! Peers that violate HTTP: tlscope continues, prints none of their invalid data, and its memory stays bounded.

use anyhow::Result;
use support::{Trace, Tracer, program::Program, secrets::MARK};

/// The maximum memory in KiB: far less than the peers send, and than the limit of all decoders.
const MOST_KIB: u64 = 160 * 1024;

/// The result of a trace of hostile peers.
struct Survived {
    trace: Trace,
    /// The number of cases, each followed by a valid exchange.
    cases: usize,
    /// The peak memory.
    peak_kib: u64,
}

/// Traces one of the two hostile peers.
fn trace_hostile(role: &str) -> Result<Survived> {
    let server = Program::python("hostile.py", &["server"])?;
    let cases: usize = server.wait_for("cases ")?.parse()?;
    let port = server.wait_for("port ")?;
    let mut client = Program::python("hostile.py", &["client", &port])?;
    let pid = if role == "server" { server.pid() } else { client.pid() };
    let tracer = Tracer::of(&[pid], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let last = format!("\"request_id\":\"ordinary-{}\"", cases - 1);
    support::wait::until_true("the last ordinary exchange", || Ok(tracer.has_printed(&last)))?;
    let peak_kib = tracer.peak_kib()?;
    let trace = tracer.stop()?;
    client.finish()?;
    server.finish()?;
    Ok(Survived { trace, cases, peak_kib })
}

fn assert_unharmed(role: &str) -> Result<()> {
    let Survived { trace, cases, peak_kib } = trace_hostile(role)?;
    assert_eq!((trace.code, trace.totals()?.lost_records), (Some(0), 0));
    let everything = trace.everything();
    let shown = everything.lines().find(|line| line.contains(MARK));
    assert_eq!(shown, None, "invalid data is not printed");
    let exchanges = trace.exchanges()?;
    for number in 0..cases {
        let name = format!("ordinary-{number}");
        let ordinary = exchanges
            .iter()
            .filter(|exchange| exchange.request_id() == Some(&name) && exchange.is_whole());
        assert_eq!(ordinary.count(), 1, "{name}");
    }
    let unasked = exchanges
        .iter()
        .find(|exchange| exchange.request_id() == Some("unasked"));
    assert!(
        unasked.is_some_and(|exchange| exchange.0.get("request").is_none()),
        "{unasked:?}"
    );
    assert!(peak_kib < MOST_KIB, "{peak_kib} KiB");
    let reported = ["undecoded", "not decoded", "too large", "malformed", "not HTTP"];
    let says_so = trace
        .stderr
        .iter()
        .any(|line| reported.iter().any(|word| line.contains(word)));
    assert!(says_so, "stderr reports what was not decoded");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_hostile_server_does_not_harm_the_trace_of_its_client() -> Result<()> {
    assert_unharmed("client")
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_hostile_client_does_not_harm_the_trace_of_its_server() -> Result<()> {
    assert_unharmed("server")
}
