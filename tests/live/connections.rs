//! Lines of type `connection`, compared with the log of nginx and the output of the client.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{Nginx, Tracer, curl, nginx::Setup, program::Program, session::Session};

/// Requests on each connection of `endings.py`.
const REQUESTS: usize = 3;

fn one_worker() -> Setup<'static> {
    Setup {
        workers: Some(1),
        // nginx before 1.23.4 does not enable TLS 1.3 by default.
        locations: "ssl_protocols TLSv1.2 TLSv1.3;",
        ..Setup::default()
    }
}

/// A connection as tlscope, nginx and the client report it.
struct Connection {
    line: Value,
    session: Session,
    /// Bytes of plaintext that the client sent and received.
    plaintext: (u64, u64),
}

impl Connection {
    fn text(&self, name: &str) -> Option<&str> {
        self.line.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> u64 {
        number(&self.line, name)
    }

    /// Returns how it ended, and which end closed it.
    fn ending(&self) -> (Option<&str>, Option<&str>) {
        (self.text("ended"), self.text("ended_by"))
    }
}

/// Traces nginx while a client makes a connection for each of `ways`. Returns them in this order.
fn trace(ways: &[&str]) -> Result<Vec<Connection>> {
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
    let connections = client.lines().into_iter().filter_map(|line| {
        let counts = line.strip_prefix("connection ")?.to_owned();
        Some(match_line(&counts, &lines, &sessions))
    });
    connections.collect()
}

fn match_line(counts: &str, lines: &[Value], sessions: &HashMap<String, Session>) -> Result<Connection> {
    let words: Vec<_> = counts.split(' ').collect();
    let [client, sent, received] = *words else {
        anyhow::bail!("cannot parse the counts of the client: {counts}");
    };
    let mut of_client = lines.iter().filter(|line| line["connection"]["remote"] == client);
    let line = of_client
        .next()
        .with_context(|| format!("no line for {client} in {lines:?}"))?;
    assert!(of_client.next().is_none(), "there are two lines for {client}");
    Ok(Connection {
        line: line.clone(),
        session: sessions
            .get(client)
            .context("nginx has not logged the connection")?
            .clone(),
        plaintext: (sent.parse()?, received.parse()?),
    })
}

/// Asserts the session and the counts of a connection that was seen from its beginning.
fn assert_session_and_counts(connection: &Connection) {
    let Connection {
        line,
        session,
        plaintext,
    } = connection;
    assert_eq!(connection.text("tls_version"), Some(session.version.as_str()), "{line}");
    assert_eq!(connection.text("cipher"), Some(session.cipher.as_str()), "{line}");
    assert_eq!(connection.text("alpn"), session.alpn.as_deref(), "{line}");
    assert_eq!(connection.text("server_name"), session.server_name.as_deref(), "{line}");
    assert_eq!(
        (connection.number("read"), connection.number("written")),
        *plaintext,
        "{line}"
    );
    assert_eq!(connection.number("exchanges"), REQUESTS as u64, "{line}");
    assert!(connection.number("handshake_us") > 0, "{line}");
    assert_eq!(line["id"], line["connection"]["id"]);
}

/// Asserts the members that come from the end of its socket.
fn assert_transport(connection: &Connection) {
    let (line, (sent, _)) = (&connection.line, connection.plaintext);
    // The ciphertext includes the handshake and the overhead of records.
    assert!(connection.number("received") > sent, "{line}");
    assert!(connection.number("acknowledged") > 0, "{line}");
    assert!(connection.number("rtt_us") > 0, "{line}");
    assert!(line["retransmits"].is_u64(), "{line}");
    let (opened, time) = (connection.text("opened"), connection.text("time"));
    // All times have the same format, so they compare as text.
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
    for (connection, way) in trace(&ways)?.iter().zip(ways) {
        assert_session_and_counts(connection);
        assert_transport(connection);
        let printed = [
            connection.text("tls_version"),
            connection.text("alpn"),
            connection.text("server_name"),
        ];
        let requested: Vec<_> = way
            .split(',')
            .take(3)
            .map(|word| (word != "-").then_some(word))
            .collect();
        assert_eq!(printed.as_slice(), requested);
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
    for (connection, (ending, printed)) in trace(&[ways.as_slice(), &ways].concat())?
        .iter()
        .zip(endings.iter().cycle())
    {
        assert_session_and_counts(connection);
        assert_transport(connection);
        assert_eq!(connection.ending(), *printed, "{ending}: {}", connection.line);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_connection_open_at_the_end_is_marked_as_open() -> Result<()> {
    for connection in trace(&["TLSv1.3,-,one.test,open", "TLSv1.2,-,two.test,open"])? {
        assert_session_and_counts(&connection);
        assert_eq!(connection.line["open"], true);
        assert_eq!(connection.ending(), (None, None), "{}", connection.line);
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
    curl.request(&urls)?;
    let trace = tracer.finish()?;
    let (lines, sessions) = (trace.lines_of("connection")?, nginx.sessions(REQUESTS)?);
    assert_eq!((lines.len(), trace.exchanges()?.len()), (1, urls.len()));
    let line = lines.into_iter().next().context("no connection is printed")?;
    let client = line["connection"]["local"]
        .as_str()
        .context("the connection has no address")?;
    let connection = Connection {
        session: sessions
            .get(client)
            .context("nginx has not logged the connection")?
            .clone(),
        plaintext: (number(&line, "read"), number(&line, "written")),
        line,
    };
    assert_session_and_counts(&connection);
    assert_eq!(
        (connection.text("alpn"), connection.text("server_name")),
        (Some("h2"), Some("localhost"))
    );
    assert_eq!(connection.ending(), (Some("fin"), Some("local")), "{}", connection.line);
    Ok(())
}

fn number(line: &Value, name: &str) -> u64 {
    line.get(name).and_then(Value::as_u64).unwrap_or(0)
}
