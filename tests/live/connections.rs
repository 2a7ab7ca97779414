//! Lines of type `connection`, beside what nginx's log and the peer say of each connection.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{Nginx, Tracer, curl, nginx::Setup, program::Program, session::Session};

/// Requests of each connection of `endings.py`.
const REQUESTS: usize = 3;

fn one_worker() -> Setup<'static> {
    Setup {
        workers: Some(1),
        // nginx before 1.23.4 leaves 1.3 out.
        locations: "ssl_protocols TLSv1.2 TLSv1.3;",
        ..Setup::default()
    }
}

/// What is known of a connection when it has ended.
struct Known {
    line: Value,
    session: Session,
    /// Bytes of plaintext that the peer has sent and received.
    plaintext: (u64, u64),
}

impl Known {
    fn text(&self, name: &str) -> Option<&str> {
        self.line.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> u64 {
        number(&self.line, name)
    }

    /// How it ended, and by whom.
    fn ending(&self) -> (Option<&str>, Option<&str>) {
        (self.text("ended"), self.text("ended_by"))
    }
}

/// Traces nginx while a client makes a connection in each of the ways; gives them in this order.
fn trace(ways: &[&str]) -> Result<Vec<Known>> {
    let nginx = Nginx::start_with(one_worker())?;
    let tracer = Tracer::of(&[nginx.master()], &["--connections"])?;
    let mut client = Program::python("endings.py", &[&[nginx.port().to_string().as_str()], ways].concat())?;
    client.begin()?;
    client.wait_for("done")?;
    let ended = ways.iter().filter(|way| !way.ends_with(",open")).count();
    tracer.wait_for_lines(REQUESTS * ways.len() + ended)?;
    let trace = tracer.stop()?;
    let sessions = nginx.sessions(REQUESTS * ways.len())?;
    let lines = trace.lines_of("connection")?;
    assert_eq!(
        (lines.len(), trace.exchanges()?.len()),
        (ways.len(), REQUESTS * ways.len())
    );
    let known = client.lines().into_iter().filter_map(|line| {
        let counts = line.strip_prefix("connection ")?.to_owned();
        Some(know(&counts, &lines, &sessions))
    });
    known.collect()
}

fn know(counts: &str, lines: &[Value], sessions: &HashMap<String, Session>) -> Result<Known> {
    let words: Vec<_> = counts.split(' ').collect();
    let [client, sent, received] = *words else {
        anyhow::bail!("the client said {counts}");
    };
    let mut of_client = lines.iter().filter(|line| line["connection"]["remote"] == client);
    let line = of_client
        .next()
        .with_context(|| format!("no line for {client} in {lines:?}"))?;
    assert!(of_client.next().is_none(), "there are two lines for {client}");
    Ok(Known {
        line: line.clone(),
        session: sessions.get(client).context("nginx has logged it")?.clone(),
        plaintext: (sent.parse()?, received.parse()?),
    })
}

/// Asserts what is true of every connection that was seen from its beginning.
fn assert_told(known: &Known) {
    let Known {
        line,
        session,
        plaintext,
    } = known;
    assert_eq!(known.text("tls_version"), Some(session.version.as_str()), "{line}");
    assert_eq!(known.text("cipher"), Some(session.cipher.as_str()), "{line}");
    assert_eq!(known.text("alpn"), session.alpn.as_deref(), "{line}");
    assert_eq!(known.text("server_name"), session.server_name.as_deref(), "{line}");
    assert_eq!((known.number("read"), known.number("written")), *plaintext, "{line}");
    assert_eq!(known.number("exchanges"), REQUESTS as u64, "{line}");
    assert!(known.number("handshake_us") > 0, "{line}");
    assert_eq!(line["id"], line["connection"]["id"]);
}

/// Asserts what its socket has told at its end.
fn assert_transport(known: &Known) {
    let (line, (sent, _)) = (&known.line, known.plaintext);
    // Each record and the handshake come on top.
    assert!(known.number("received") > sent, "{line}");
    assert!(known.number("acknowledged") > 0, "{line}");
    assert!(known.number("rtt_us") > 0, "{line}");
    assert!(line["retransmits"].is_u64(), "{line}");
    let (opened, time) = (known.text("opened"), known.text("time"));
    // All times have the same form, so that they can be compared as text.
    assert!(opened.is_some() && opened < time, "{line}");
    assert_eq!(line.get("open"), None);
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_connection_line_has_the_results_of_the_handshake() -> Result<()> {
    let ways = [
        "TLSv1.3,http/1.1,one.test,close",
        "TLSv1.2,http/1.1,two.test,close",
        "TLSv1.3,-,-,close",
        "TLSv1.2,-,-,close",
        "TLSv1.3,-,three.test,close",
    ];
    for (known, way) in trace(&ways)?.iter().zip(ways) {
        assert_told(known);
        assert_transport(known);
        let said = [known.text("tls_version"), known.text("alpn"), known.text("server_name")];
        let asked: Vec<_> = way
            .split(',')
            .take(3)
            .map(|word| (word != "-").then_some(word))
            .collect();
        assert_eq!(said.as_slice(), asked);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_connection_line_has_the_kind_of_end_and_the_closing_side() -> Result<()> {
    let endings = [
        ("close", (Some("fin"), Some("remote"))),
        ("wait", (Some("fin"), Some("local"))),
        ("reset", (Some("reset"), Some("remote"))),
    ];
    let ways = endings.map(|(ending, _)| format!("TLSv1.3,http/1.1,one.test,{ending}"));
    let ways: Vec<_> = ways.iter().map(String::as_str).collect();
    for (known, (ending, said)) in trace(&[ways.as_slice(), &ways].concat())?
        .iter()
        .zip(endings.iter().cycle())
    {
        assert_told(known);
        assert_transport(known);
        assert_eq!(known.ending(), *said, "{ending}: {}", known.line);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_connection_open_at_the_end_is_marked_as_open() -> Result<()> {
    for known in trace(&["TLSv1.3,-,one.test,open", "TLSv1.2,-,two.test,open"])? {
        assert_told(&known);
        assert_eq!(known.line["open"], true);
        assert_eq!(known.ending(), (None, None), "{}", known.line);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_connection_line_of_a_client_matches_the_log_of_the_server() -> Result<()> {
    let nginx = Nginx::start_with(one_worker())?;
    let curl = curl::Waiting::start("http2")?;
    let tracer = Tracer::of(&[curl.pid()], &["--connections"])?;
    let urls = [1, 2, 3].map(|number| format!("https://localhost:{}/small/{number}", nginx.port()));
    curl.ask(&urls)?;
    let trace = tracer.finish()?;
    let (lines, sessions) = (trace.lines_of("connection")?, nginx.sessions(REQUESTS)?);
    assert_eq!((lines.len(), trace.exchanges()?.len()), (1, urls.len()));
    let line = lines.into_iter().next().context("there is one")?;
    let client = line["connection"]["local"].as_str().context("it has an address")?;
    let known = Known {
        session: sessions.get(client).context("nginx has logged it")?.clone(),
        plaintext: (number(&line, "read"), number(&line, "written")),
        line,
    };
    assert_told(&known);
    assert_eq!(
        (known.text("alpn"), known.text("server_name")),
        (Some("h2"), Some("localhost"))
    );
    assert_eq!(known.ending(), (Some("fin"), Some("local")), "{}", known.line);
    Ok(())
}

fn number(line: &Value, name: &str) -> u64 {
    line.get(name).and_then(Value::as_u64).unwrap_or(0)
}
