//! Where syslog messages go.

use std::{
    fmt::{self, Display, Formatter},
    path::PathBuf,
    str::FromStr,
};

/// A syslog server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// `udp://HOST:PORT`: a datagram for each message (RFC 5426).
    Udp(String),
    /// `tcp://HOST:PORT`: messages with their lengths before them (RFC 6587).
    Tcp(String),
    /// `unix:///dev/log`: a datagram for each message, as programs of this machine send them.
    Unix(PathBuf),
}

impl FromStr for Destination {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "wanted udp://HOST:514, tcp://HOST:601 or unix:///dev/log";
        let (scheme, rest) = word.split_once("://").ok_or(WANTED)?;
        match scheme {
            "udp" => with_port(rest, 514).map(Self::Udp),
            "tcp" => with_port(rest, 601).map(Self::Tcp),
            "unix" => rest.starts_with('/').then(|| Self::Unix(rest.into())),
            _ => None,
        }
        .ok_or(WANTED)
    }
}

/// Returns a host with its port, or with the port of the protocol.
fn with_port(address: &str, default: u16) -> Option<String> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
        _ => (address, default),
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && !host.contains(['/', ' ']) && (is_bracketed || !host.contains(':'));
    is_host.then(|| format!("{host}:{port}"))
}

impl Display for Destination {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(out, "udp://{address}"),
            Self::Tcp(address) => write!(out, "tcp://{address}"),
            Self::Unix(path) => write!(out, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_url() {
        for (word, shown) in [
            ("udp://log.test", "udp://log.test:514"),
            ("udp://192.0.2.1:5514", "udp://192.0.2.1:5514"),
            ("tcp://log.test", "tcp://log.test:601"),
            ("tcp://[::1]", "tcp://[::1]:601"),
            ("tcp://[::1]:6514", "tcp://[::1]:6514"),
            ("unix:///dev/log", "unix:///dev/log"),
        ] {
            assert_eq!(word.parse::<Destination>().unwrap().to_string(), shown);
        }
        for word in [
            "",
            "log.test",
            "tls://log.test",
            "udp://",
            "udp://:514",
            "tcp://log.test:0",
            "tcp://log.test:99999",
            "tcp://::1",
            "unix://dev/log",
            "tcp://log.test/x",
        ] {
            word.parse::<Destination>().unwrap_err();
        }
    }
}
