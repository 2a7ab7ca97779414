//! gRPC: how each call ended is known from its trailers, as its client was told.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{Exchange, Nginx, Trace, Tracer, nginx::Setup, program::Program, secrets::leak};

use super::claims::{assert_http2, assert_no_complaint};

const ROUNDS: usize = 5;

/// Calls in each round, after the one that is held.
const CALLS: usize = 6;

/// What the client said of a call.
struct Told {
    name: String,
    code: u64,
    message: String,
}

/// Reads `call 3-Failing 5 no such thing`.
fn told(line: &str) -> Option<Told> {
    let mut words = line.strip_prefix("call ")?.splitn(3, ' ');
    Some(Told {
        name: words.next()?.to_owned(),
        code: words.next()?.parse().ok()?,
        message: words.next()?.to_owned(),
    })
}

/// A call as it was printed: its exchange, and the line of its end if that came later.
struct Printed {
    exchange: Exchange,
    end: Option<Value>,
}

impl Printed {
    /// What was printed of the end, wherever it was.
    fn at_end(&self, pointer: &str) -> Option<&Value> {
        let end = self.end.as_ref().unwrap_or(&self.exchange.0);
        end.pointer(pointer)
    }
}

/// Sorts what was printed by the names of the calls, and by side.
fn by_name<'a>(trace: &Trace, exchanges: &'a [Exchange], side: &str) -> Result<HashMap<&'a str, Printed>> {
    let ends = trace.lines_of("end")?;
    let of_side = exchanges.iter().filter(|exchange| exchange.text("/side") == Some(side));
    let printed = of_side.map(|exchange| {
        let name = exchange.request_header("x-call").context("a call has a name")?;
        let end = ends.iter().find(|end| end["id"] == exchange.0["id"]).cloned();
        let exchange = exchange.clone();
        Ok((name, Printed { exchange, end }))
    });
    printed.collect()
}

/// Encodes a message as `grpc-message` has it: all but printable ASCII, and the percent sign, by percent.
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

/// Asserts what was printed of one call.
fn assert_call(printed: &Printed, told: &Told) -> Result<()> {
    let Printed { exchange, end } = printed;
    let text = |pointer| printed.at_end(pointer).and_then(Value::as_str);
    let number = |pointer| printed.at_end(pointer).and_then(Value::as_u64);
    let method = told.name.rsplit('-').next().context("the name has the method")?;
    assert_eq!(
        exchange.text("/request/path"),
        Some(format!("/test.Calls/{method}").as_str())
    );
    assert_eq!(exchange.number("/response/status"), Some(200), "{exchange:?}");
    assert_eq!(end.is_some(), method == "Echoing", "{exchange:?}: only this one lasts");
    assert_timeout(exchange);
    if method == "Endless" {
        assert_eq!(
            (text("/ended"), number("/grpc_status")),
            (Some("reset"), None),
            "{exchange:?}"
        );
        return Ok(());
    }
    let message = Some(percent_encoded(&told.message)?).filter(|message| !message.is_empty());
    assert_eq!(
        (text("/ended"), number("/grpc_status")),
        (Some("complete"), Some(told.code)),
        "{exchange:?}"
    );
    assert_eq!(text("/grpc_message"), message.as_deref(), "{exchange:?}");
    // Five bytes go before each message.
    let (asked, answered) = match method {
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
        assert_eq!(exchange.number("/request/body_bytes"), Some(asked), "{exchange:?}");
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

/// Asserts that the timeout is what the request says: up to eight digits and a unit.
fn assert_timeout(exchange: &Exchange) {
    let timeout = exchange.text("/grpc_timeout").unwrap_or_default();
    assert_eq!(exchange.request_header("grpc-timeout"), Some(timeout), "{exchange:?}");
    let digits = timeout.strip_suffix(['H', 'M', 'S', 'm', 'u', 'n']).unwrap_or_default();
    assert!(!digits.is_empty() && digits.len() <= 8, "{exchange:?}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{exchange:?}");
}

/// Lets a client make its calls while it is traced; gives the trace and what the client was told.
fn trace_calls(tracer: Tracer, mut client: Program, sides: usize) -> Result<(Trace, Vec<Told>)> {
    client.begin()?;
    client.wait_for("holding")?;
    // The call that is held is printed while it goes on.
    tracer.wait_for_lines(sides)?;
    client.tell("go on")?;
    client.wait_for("done")?;
    tracer.wait_for_lines(sides * (1 + 1 + ROUNDS * CALLS))?;
    let trace = tracer.stop()?;
    let told: Vec<_> = client.finish()?.iter().filter_map(|line| told(line)).collect();
    assert_eq!((trace.code, told.len()), (Some(0), 1 + ROUNDS * CALLS));
    assert_no_complaint(&trace)?;
    assert_eq!(leak(&trace.everything()), None);
    Ok((trace, told))
}

fn assert_calls(trace: &Trace, told: &[Told], sides: &[&str]) -> Result<()> {
    let exchanges = trace.exchanges()?;
    assert_eq!((exchanges.len(), trace.totals()?.half), (sides.len() * told.len(), 0));
    assert_http2(&exchanges);
    for side in sides {
        let printed = by_name(trace, &exchanges, side)?;
        for told in told {
            let printed = printed.get(told.name.as_str());
            assert_call(printed.with_context(|| format!("{} is missing", told.name))?, told)?;
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
    let words = ["client", &nginx.port().to_string(), &certificate, &ROUNDS.to_string()];
    let client = Program::python("grpc_calls.py", &words)?;
    let tracer = Tracer::of(&nginx.workers()?, &[])?;
    let (trace, told) = trace_calls(tracer, client, 1)?;
    assert_calls(&trace, &told, &["server"])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn calls_are_printed_for_their_server_and_their_client() -> Result<()> {
    let mut server = Program::python("grpc_calls.py", &["server", "secure"])?;
    server.begin()?;
    let (port, certificate) = (server.wait_for("port ")?, server.wait_for("certificate ")?);
    let client = Program::python("grpc_calls.py", &["client", &port, &certificate, &ROUNDS.to_string()])?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], &[])?;
    let (trace, told) = trace_calls(tracer, client, 2)?;
    assert_calls(&trace, &told, &["server", "client"])
}
