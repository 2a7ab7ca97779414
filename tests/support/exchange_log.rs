//! The exchanges that a traced program, or its peer, logs itself. Tests compare them with the trace.
//!
//! A line has six words for each exchange: `served ID LOCAL PORT REMOTE PORT` if the program is the server, and `asked
//! ...` if it is the client. ID is the `X-Request-ID` of the request. nginx logs UNIX sockets without ports, in four
//! words.

use std::{fs, net::IpAddr, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::access_log::Tail;
use crate::wait;

/// An exchange as one end logged it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LoggedExchange {
    /// The role of that end: `server` or `client`.
    pub side: &'static str,
    /// The request's `X-Request-ID`.
    pub id: String,
    /// The address of that end, in the form that tlscope prints.
    pub local: String,
    /// The address of its peer.
    pub remote: String,
}

impl LoggedExchange {
    /// Returns the same exchange as seen by the other end.
    #[must_use]
    pub fn by_peer(self) -> Self {
        let Self {
            side,
            id,
            local,
            remote,
        } = self;
        let side = if side == "server" { "client" } else { "server" };
        Self {
            side,
            id,
            local: remote,
            remote: local,
        }
    }

    /// Parses a line, which may have several exchanges.
    pub fn parse(line: &str) -> Result<Vec<Self>> {
        let words: Vec<_> = line.split_whitespace().collect();
        // nginx logs UNIX sockets without ports.
        let length = if line.contains(" unix:") { 4 } else { 6 };
        let logged: Result<Vec<_>> = words.chunks(length).map(Self::of_words).collect();
        logged.with_context(|| format!("cannot parse the line of the exchange log: {line}"))
    }

    fn of_words(words: &[&str]) -> Result<Self> {
        let (verb, id, local, remote) = match words {
            [verb, id, local, local_port, remote, remote_port] => {
                (verb, id, address(local, local_port)?, address(remote, remote_port)?)
            }
            [verb, id, local, remote] => (verb, id, (*local).to_owned(), (*remote).to_owned()),
            _ => bail!("it has {} words", words.len()),
        };
        let side = match *verb {
            "served" => "server",
            "asked" => "client",
            other => bail!("unknown verb {other}"),
        };
        Ok(Self {
            side,
            id: (*id).to_owned(),
            local,
            remote,
        })
    }
}

/// Formats an address as tlscope does: IPv6 in brackets, IPv4-mapped IPv6 as IPv4.
fn address(host: &str, port: &str) -> Result<String> {
    // lighttpd writes brackets.
    let host = host.trim_matches(['[', ']']);
    let host: IpAddr = host.parse().with_context(|| format!("{host} is not an address"))?;
    let port = port.parse().with_context(|| format!("{port} is not a port"))?;
    Ok(SocketAddr::new(host.to_canonical(), port).to_string())
}

/// Parses the lines of exchanges, and skips other lines.
pub fn parse(lines: &[String]) -> Result<Vec<LoggedExchange>> {
    let is_exchange = |line: &&String| line.starts_with("served ") || line.starts_with("asked ");
    let logged: Result<Vec<_>> = lines
        .iter()
        .filter(is_exchange)
        .map(|line| LoggedExchange::parse(line))
        .collect();
    Ok(logged?.concat())
}

/// Waits until a log has this many lines, and returns their exchanges.
pub fn wait_for(path: &Path, lines: usize) -> Result<Vec<LoggedExchange>> {
    let mut tail = Tail::open(path)?;
    let enough = wait::until_true(&format!("{lines} lines in {}", path.display()), || {
        Ok(tail.count()? >= lines)
    });
    enough.with_context(|| format!("the log has {:?} lines", tail.count()))?;
    let text = fs::read_to_string(path)?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let logged: Result<Vec<_>> = whole.lines().map(LoggedExchange::parse).collect();
    Ok(logged?.concat())
}
