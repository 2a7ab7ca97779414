//! gRPC: the status of each call, compared with the one that the client got.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{Exchange, Nginx, Trace, Tracer, nginx::Setup, program::Program, secrets::find_secret};

use super::claims::{assert_http2, assert_no_complaint};

const ROUNDS: usize = 5;

/// The number of calls in each round.
const CALLS: usize = 6;

/// A call as the client printed it.
struct Call {
    name: String,
    code: u64,
    message: String,
}

/// Parses `call 3-Failing 5 no such thing`.
fn parse_call(line: &str) -> Option<Call> {
    let mut words = line.strip_prefix("call ")?.splitn(3, ' ');
    Some(Call {
        name: words.next()?.to_owned(),
        code: words.next()?.parse().ok()?,
        message: words.next()?.to_owned(),
    })
}

/// A call as tlscope printed it: its exchange, and its `end` line if there is one.
struct Printed {
    exchange: Exchange,
    end: Option<Value>,
}

impl Printed {
    /// Returns a member of the `end` line, or of the exchange if there is none.
    fn at_end(&self, pointer: &str) -> Option<&Value> {
        let end = self.end.as_ref().unwrap_or(&self.exchange.0);
        end.pointer(pointer)
    }
}

/// Maps the names of the calls of one side to their lines.
fn by_name<'a>(trace: &Trace, exchanges: &'a [Exchange], side: &str) -> Result<HashMap<&'a str, Printed>> {
    let ends = trace.lines_of("end")?;
    let of_side = exchanges.iter().filter(|exchange| exchange.text("/side") == Some(side));
    let printed = of_side.map(|exchange| {
        let name = exchange.request_header("x-call").context("the call has no name")?;
        let end = ends.iter().find(|end| end["id"] == exchange.0["id"]).cloned();
        let exchange = exchange.clone();
        Ok((name, Printed { exchange, end }))
    });
    printed.collect()
}

/// Encodes a message as in `grpc-message`: percent-encodes the percent sign and everything but printable ASCII.
fn percent_encoded(message: &str) -> Result<String> {
    let mut encoded = String::new();
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}")?;
        }
    }
    Ok(encoded)
}

/// Asserts that tlscope printed one call correctly.
fn assert_call(printed: &Printed, call: &Call) -> Result<()> {
    let Printed { exchange, end } = printed;
    let text = |pointer| printed.at_end(pointer).and_then(Value::as_str);
    let number = |pointer| printed.at_end(pointer).and_then(Value::as_u64);
    let method = call.name.rsplit('-').next().context("the name lacks the method")?;
    assert_eq!(
        exchange.text("/request/path"),
        Some(format!("/test.Calls/{method}").as_str())
    );
    assert_eq!(exchange.number("/response/status"), Some(200), "{exchange:?}");
    assert_eq!(
        end.is_some(),
        method == "Echoing",
        "{exchange:?}: only this call takes long"
    );
    assert_timeout(exchange);
    if method == "Endless" {
        assert_eq!(
            (text("/ended"), number("/grpc_status")),
            (Some("reset"), None),
            "{exchange:?}"
        );
        return Ok(());
    }
    let message = Some(percent_encoded(&call.message)?).filter(|message| !message.is_empty());
    assert_eq!(
        (text("/ended"), number("/grpc_status")),
        (Some("complete"), Some(call.code)),
        "{exchange:?}"
    );
    assert_eq!(text("/grpc_message"), message.as_deref(), "{exchange:?}");
    // Each message has a prefix of five bytes.
    let (requested, answered) = match method {
        "Plain" => (5 + 7, 5 + 7),
        "Counting" => (5 + 7, 5 * 5 + 7 * (1 + 2 + 3 + 4 + 5)),
        "Echoing" => (2 * (5 + 7), 2 * (5 + 7)),
        _ => (5 + 7, 0),
    };
    assert_eq!(number("/response/body_bytes"), Some(answered), "{exchange:?}");
    if method == "Echoing" {
        assert_eq!(exchange.text("/ended"), None, "{exchange:?}");
        assert_eq!(exchange.number("/grpc_status"), None, "{exchange:?}");
    } else {
        assert_eq!(exchange.number("/request/body_bytes"), Some(requested), "{exchange:?}");
    }
    let only_trailers = exchange.response_header("grpc-status").is_some();
    assert_eq!(only_trailers, ["Failing", "Missing"].contains(&method), "{exchange:?}");
    assert_eq!(
        printed.at_end("/response/trailers").is_none(),
        only_trailers,
        "{exchange:?}"
    );
    Ok(())
}

/// Asserts that the timeout is that of the request: up to eight digits and a unit.
fn assert_timeout(exchange: &Exchange) {
    let timeout = exchange.text("/grpc_timeout").unwrap_or_default();
    assert_eq!(exchange.request_header("grpc-timeout"), Some(timeout), "{exchange:?}");
    let digits = timeout.strip_suffix(['H', 'M', 'S', 'm', 'u', 'n']).unwrap_or_default();
    assert!(!digits.is_empty() && digits.len() <= 8, "{exchange:?}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{exchange:?}");
}

/// Traces the calls of a client. Returns the trace and the calls that the client printed.
fn trace_calls(tracer: Tracer, mut client: Program, sides: usize) -> Result<(Trace, Vec<Call>)> {
    client.begin()?;
    client.wait_for("holding")?;
    // The call that is held open is printed before it ends.
    tracer.wait_for_lines(sides)?;
    client.send_line("go on")?;
    client.wait_for("done")?;
    tracer.wait_for_lines(sides * (1 + 1 + ROUNDS * CALLS))?;
    let trace = tracer.stop()?;
    let calls: Vec<_> = client.finish()?.iter().filter_map(|line| parse_call(line)).collect();
    assert_eq!((trace.code, calls.len()), (Some(0), 1 + ROUNDS * CALLS));
    assert_no_complaint(&trace)?;
    assert_eq!(find_secret(&trace.everything()), None);
    Ok((trace, calls))
}

fn assert_calls(trace: &Trace, calls: &[Call], sides: &[&str]) -> Result<()> {
    let exchanges = trace.exchanges()?;
    assert_eq!((exchanges.len(), trace.totals()?.half), (sides.len() * calls.len(), 0));
    assert_http2(&exchanges);
    for side in sides {
        let printed = by_name(trace, &exchanges, side)?;
        for call in calls {
            let printed = printed.get(call.name.as_str());
            assert_call(printed.with_context(|| format!("{} is missing", call.name))?, call)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn calls_through_a_gateway_have_the_status_that_the_client_got() -> Result<()> {
    let mut server = Program::python("grpc_calls.py", &["server", "insecure"])?;
    server.begin()?;
    let locations = format!(
        "location /test.Calls/ {{ grpc_pass grpc://127.0.0.1:{}; }}",
        server.wait_for("port ")?
    );
    let nginx = Nginx::start_with(Setup {
        locations: &locations,
        workers: Some(1),
        ..Setup::default()
    })?;
    let certificate = nginx.certificate().display().to_string();
    let args = ["client", &nginx.port().to_string(), &certificate, &ROUNDS.to_string()];
    let client = Program::python("grpc_calls.py", &args)?;
    // What the gateway asks the server without TLS ends in other ways: it closes the connection of a call that is cancelled.
    let tracer = Tracer::of(&nginx.workers()?, &["--no-plaintext"])?;
    let (trace, calls) = trace_calls(tracer, client, 1)?;
    assert_calls(&trace, &calls, &["server"])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn calls_are_printed_for_their_server_and_their_client() -> Result<()> {
    let mut server = Program::python("grpc_calls.py", &["server", "secure"])?;
    server.begin()?;
    let (port, certificate) = (server.wait_for("port ")?, server.wait_for("certificate ")?);
    let client = Program::python("grpc_calls.py", &["client", &port, &certificate, &ROUNDS.to_string()])?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], &[])?;
    let (trace, calls) = trace_calls(tracer, client, 2)?;
    assert_calls(&trace, &calls, &["server", "client"])
}
