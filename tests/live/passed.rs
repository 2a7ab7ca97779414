//! Bytes that pass without being captured: the bytes before and after them are never joined.

use anyhow::{Context as _, Result};
use support::{Exchange, Nginx, Trace, Tracer, program::Program};

/// Traces a program of `support/c` until it has done its work.
fn trace(source: &str, program_args: &[&str], args: &[&str]) -> Result<Trace> {
    let mut program = Program::c(source, program_args)?;
    let tracer = Tracer::of(&[program.pid()], args)?;
    program.begin()?;
    program.wait_for("done")?;
    program.finish()?;
    tracer.stop()
}

/// Traces a program with a fake OpenSSL for this many rounds.
fn trace_standin(way: &str, rounds: usize) -> Result<Trace> {
    trace("standin.c", &[way, &rounds.to_string()], &[])
}

/// Calls are tracked, and one of them at most: a tap or a lift needs no call.
const CALLS: [&str; 4] = ["--hooks", "exit", "--calls", "1"];

/// Asserts that no value is joined across a lost call.
fn assert_nothing_joined(trace: &Trace) {
    let joined: Vec<_> = trace.stdout.iter().filter(|line| line.contains("aladmin")).collect();
    assert!(joined.is_empty(), "{joined:?}");
}

/// Asserts the number, direction and cause of the losses, and that their length is unknown.
fn assert_losses(trace: &Trace, direction: &str, cause: &str, count: usize) -> Result<()> {
    let losses = trace.lines_of("loss")?;
    assert_eq!(losses.len(), count, "{losses:?}");
    for loss in losses {
        assert_eq!(
            (loss["direction"].as_str(), loss["cause"].as_str()),
            (Some(direction), Some(cause))
        );
        assert!(loss.get("bytes").is_none(), "{loss}");
    }
    Ok(())
}

fn path(exchange: &Exchange) -> &str {
    exchange.text("/request/path").unwrap_or("-")
}

/// Asserts that the exchanges after the one with the lost call are complete and right.
fn assert_later_are_whole(exchanges: &[Exchange]) -> Result<()> {
    let first = exchanges.iter().position(|exchange| path(exchange) == "/small/3");
    let later = exchanges
        .get(first.context("the third request is missing")?..)
        .unwrap_or_default();
    assert_eq!(
        later.iter().map(path).collect::<Vec<_>>(),
        ["/small/3", "/small/4", "/small/5"]
    );
    for exchange in later {
        assert_eq!(
            (
                exchange.number("/response/status"),
                exchange.number("/response/body_bytes")
            ),
            (Some(200), Some(6)),
            "{exchange:?}"
        );
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_request_is_not_joined_across_a_call_that_found_the_table_full() -> Result<()> {
    let nginx = Nginx::start()?;
    let trace = trace("full.c", &[&nginx.port().to_string(), "request"], &CALLS)?;
    assert_nothing_joined(&trace);
    assert_losses(&trace, "write", "not_captured", 1)?;
    let exchanges = trace.exchanges()?;
    assert_eq!(exchanges.iter().map(path).collect::<Vec<_>>()[..2], ["/small/1", "-"]);
    assert_later_are_whole(&exchanges)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_response_is_not_joined_across_a_call_that_found_the_table_full() -> Result<()> {
    let nginx = Nginx::start()?;
    let trace = trace("full.c", &[&nginx.port().to_string(), "response"], &CALLS)?;
    assert_losses(&trace, "read", "not_captured", 1)?;
    let exchanges = trace.exchanges()?;
    let second = exchanges.iter().find(|exchange| path(exchange) == "/small/2");
    assert!(second.is_some_and(|exchange| !exchange.is_whole()), "{second:?}");
    assert_later_are_whole(&exchanges)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn nothing_is_joined_across_a_call_with_an_unreadable_or_wrong_count() -> Result<()> {
    for (way, cause) in [
        ("unreadable", "unreadable"),
        ("lie", "unreadable"),
        ("nested", "not_captured"),
    ] {
        let trace = trace_standin(way, 3)?;
        assert_nothing_joined(&trace);
        assert_losses(&trace, "write", cause, 3)?;
        let requests = trace.exchanges()?;
        let paths: Vec<_> = requests.iter().map(path).filter(|path| *path != "-").collect();
        assert_eq!(paths, ["/0", "/1", "/2"], "{way}");
        assert!(
            requests
                .iter()
                .all(|exchange| exchange.text("/response/headers/0/1").is_none()),
            "{way}"
        );
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn bodies_sent_by_ssl_sendfile_are_counted_and_exchanges_are_complete() -> Result<()> {
    const ROUNDS: usize = 1000;
    let trace = trace_standin("sendfile", ROUNDS)?;
    let exchanges = trace.exchanges()?;
    assert_eq!(exchanges.len(), ROUNDS);
    for (round, exchange) in exchanges.iter().enumerate() {
        assert_eq!(path(exchange), format!("/{round}"));
        assert_eq!(exchange.number("/response/body_bytes"), Some(700), "{exchange:?}");
        assert_eq!(exchange.text("/ended"), Some("complete"), "{exchange:?}");
    }
    let losses = trace.lines_of("loss")?;
    let bytes = losses.iter().filter_map(|loss| loss["bytes"].as_u64());
    assert_eq!(
        (losses.len(), bytes.sum::<u64>()),
        (2 * ROUNDS, 700 * u64::try_from(ROUNDS)?)
    );
    assert!(losses.iter().all(|loss| loss["cause"] == "sendfile"));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn early_data_is_counted_once_whether_accepted_or_rejected() -> Result<()> {
    for (side, fate) in [
        ("client", "taken"),
        ("client", "refused"),
        ("server", "taken"),
        ("server", "refused"),
    ] {
        let trace = trace("early.c", &[side, fate], &["--no-follow"])?;
        let exchanges = trace.exchanges()?;
        let pairs: Vec<_> = exchanges
            .iter()
            .map(|exchange| (path(exchange), exchange.response_header("x-path").unwrap_or("-")))
            .collect();
        let expected = ["/first", "/early", "/second", "/third"].map(|path| (path, path));
        assert_eq!(pairs, expected, "{side}, {fate}");
        assert!(exchanges.iter().all(|exchange| exchange.text("/side") == Some(side)));
        assert_eq!(trace.lines_of("loss")?.len(), 0);
    }
    Ok(())
}
