//! What a program itself says of its exchanges, which a trace is held against.
//!
//! In: lines with six words for each exchange, `served ID LOCAL PORT REMOTE PORT` where the program answered and
//! `asked …` where it asked; ID is the request's `X-Request-ID`. Unix sockets have no ports. Out: [`Told`], with addresses as tlscope writes them.
//! Refuses a line that says anything else.

use std::{fs, net::IpAddr, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::access_log::Tail;
use crate::wait;

/// An exchange as the program that took part in it knows it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Told {
    /// The program's role, in tlscope's words: `server` or `client`.
    pub side: &'static str,
    /// The request's `X-Request-ID`.
    pub id: String,
    /// The program's own address.
    pub local: String,
    /// Its peer's.
    pub remote: String,
}

impl Told {
    /// The same exchange as the other end knows it.
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

    /// What one line says, which may be more than one exchange.
    pub fn parse(line: &str) -> Result<Vec<Self>> {
        let words: Vec<_> = line.split_whitespace().collect();
        // nginx knows no ports of unix sockets.
        let length = if line.contains(" unix:") { 4 } else { 6 };
        let told: Result<Vec<_>> = words.chunks(length).map(Self::of_words).collect();
        told.with_context(|| format!("not a line that tells of exchanges: {line}"))
    }

    fn of_words(words: &[&str]) -> Result<Self> {
        let (verb, id, local, remote) = match words {
            [verb, id, local, local_port, remote, remote_port] => {
                (verb, id, address(local, local_port)?, address(remote, remote_port)?)
            }
            [verb, id, local, remote] => (verb, id, (*local).to_owned(), (*remote).to_owned()),
            _ => bail!("there are {} words", words.len()),
        };
        let side = match *verb {
            "served" => "server",
            "asked" => "client",
            other => bail!("{other} is no verb"),
        };
        Ok(Self {
            side,
            id: (*id).to_owned(),
            local,
            remote,
        })
    }
}

/// Writes an address as tlscope does: IPv6 in brackets, IPv4 as such wherever it came from.
fn address(host: &str, port: &str) -> Result<String> {
    // lighttpd writes brackets.
    let host = host.trim_matches(['[', ']']);
    let host: IpAddr = host.parse().with_context(|| format!("{host} is no address"))?;
    let port = port.parse().with_context(|| format!("{port} is no port"))?;
    Ok(SocketAddr::new(host.to_canonical(), port).to_string())
}

/// What the lines say that tell of exchanges; others are passed over.
pub fn among(lines: &[String]) -> Result<Vec<Told>> {
    let tells = |line: &&String| line.starts_with("served ") || line.starts_with("asked ");
    let told: Result<Vec<_>> = lines.iter().filter(tells).map(|line| Told::parse(line)).collect();
    Ok(told?.concat())
}

/// Waits until a log has so many lines, and gives what they say.
pub fn wait_for_log(path: &Path, lines: usize) -> Result<Vec<Told>> {
    let mut tail = Tail::open(path)?;
    let enough = wait::until_true(&format!("{lines} lines in {}", path.display()), || {
        Ok(tail.count()? >= lines)
    });
    enough.with_context(|| format!("it has {:?} lines", tail.count()))?;
    let text = fs::read_to_string(path)?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let told: Result<Vec<_>> = whole.lines().map(Told::parse).collect();
    Ok(told?.concat())
}
