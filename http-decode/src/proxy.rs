//! The PROXY protocol: a header that a load balancer sends first, with the addresses of the connection that it forwards.
//!
//! Version 1 is a line of text, version 2 is binary and may carry more; both are in haproxy's
//! `doc/proxy-protocol.txt` (2.9). Both are skipped; what does not keep to the
//! grammar is not a header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_BYTES;

/// The addresses in a PROXY protocol header.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Proxied {
    /// The address of the client.
    pub source: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
}

/// The first bytes of a connection.
#[derive(Debug)]
pub(crate) enum Preamble {
    /// They may be a header; these have arrived.
    Open(Vec<u8>),
    /// They are a header, which ends at this position.
    Within(u64),
}

/// The result of scanning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// More bytes are needed.
    NeedMore,
    /// There is no header.
    Nothing,
    /// There is a header of this length, with these addresses, if it names any.
    Header(u64, Option<Proxied>),
}

impl Default for Preamble {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Preamble {
    /// Scans bytes that follow those scanned before.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Found {
        let Self::Open(gathered) = self else {
            return Found::Nothing;
        };
        let found = if gathered.is_empty() {
            find(bytes)
        } else {
            Found::NeedMore
        };
        if found != Found::NeedMore {
            return found;
        }
        let room = PROXY_BYTES.saturating_sub(gathered.len());
        gathered.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        find(gathered)
    }

    /// Returns the number of bytes scanned.
    pub(crate) fn scanned(&self) -> u64 {
        match self {
            Self::Open(gathered) => gathered.len() as u64,
            Self::Within(_) => 0,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Open(gathered) => gathered.capacity(),
            Self::Within(_) => 0,
        }
    }
}

fn find(bytes: &[u8]) -> Found {
    if bytes.starts_with(SIGNATURE) {
        return version_2(bytes);
    }
    if bytes.starts_with(TEXT) {
        return version_1(bytes);
    }
    if SIGNATURE.starts_with(bytes) || TEXT.starts_with(bytes) {
        Found::NeedMore
    } else {
        Found::Nothing
    }
}

/// Parses `PROXY TCP4 source destination port port`, or `PROXY UNKNOWN` and anything behind it.
fn version_1(bytes: &[u8]) -> Found {
    let line = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if line.len() < MAX_LINE {
            Found::NeedMore
        } else {
            Found::Nothing
        };
    };
    let text = line.get(TEXT.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
        return Found::Nothing;
    };
    let length = end as u64 + 1;
    let mut words = text.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Found::Header(length, None);
    }
    let words: Vec<&str> = words.collect();
    let [source, destination, source_port, destination_port] = words[..] else {
        return Found::Nothing;
    };
    let address = |ip: &str, port: &str| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?));
    let ends = address(source, source_port).zip(address(destination, destination_port));
    match (family, ends) {
        (Some("TCP4"), Some((source, destination))) if source.is_ipv4() && destination.is_ipv4() => {
            Found::Header(length, Some(Proxied { source, destination }))
        }
        (Some("TCP6"), Some((source, destination))) if source.is_ipv6() && destination.is_ipv6() => {
            Found::Header(length, Some(Proxied { source, destination }))
        }
        (_, _) => Found::Nothing,
    }
}

/// Parses the binary header: signature, version and command, family, length, addresses, and anything behind them.
fn version_2(bytes: &[u8]) -> Found {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else {
        return Found::NeedMore;
    };
    let [.., command, family, high, low] = *header else {
        return Found::Nothing;
    };
    let length = u16::from_be_bytes([high, low]);
    let (needed, addresses): (_, Addresses) = match (command, family) {
        // 0x20 is the LOCAL command: a health check of the balancer itself.
        (0x20, _) | (0x21, 0x00 | 0x31 | 0x32) => (0, |_| None),
        (0x21, 0x11 | 0x12) => (12, inet),
        (0x21, 0x21 | 0x22) => (36, inet6),
        (_, _) => return Found::Nothing,
    };
    if usize::from(length) < needed {
        return Found::Nothing;
    }
    if rest.len() < needed {
        return Found::NeedMore;
    }
    Found::Header(HEADER as u64 + u64::from(length), addresses(rest))
}

/// Parses the addresses of a family.
type Addresses = fn(&[u8]) -> Option<Proxied>;

fn inet(bytes: &[u8]) -> Option<Proxied> {
    let (&source, rest) = bytes.split_first_chunk::<4>()?;
    let (&destination, ports) = rest.split_first_chunk::<4>()?;
    proxied(Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into(), ports)
}

fn inet6(bytes: &[u8]) -> Option<Proxied> {
    let (&source, rest) = bytes.split_first_chunk::<16>()?;
    let (&destination, ports) = rest.split_first_chunk::<16>()?;
    proxied(Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into(), ports)
}

fn proxied(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Option<Proxied> {
    let &[a, b, c, d] = ports.first_chunk::<4>()?;
    Some(Proxied {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const TEXT: &[u8] = b"PROXY ";
/// Signature, version and command, family, and length.
const HEADER: usize = SIGNATURE.len() + 4;
/// The longest line of version 1, including its end.
const MAX_LINE: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(command: u8, family: u8, addresses: &[u8], more: usize) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + more).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, addresses, &vec![b'x'; more]].concat()
    }

    fn found(bytes: &[u8]) -> Found {
        Preamble::default().scan(bytes)
    }

    fn named(source: &str, destination: &str) -> Proxied {
        Proxied {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    #[test]
    fn headers_are_as_long_as_they_say_and_name_both_ends() {
        let inet = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 1, 187];
        let inet6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 9, 1, 187]].concat();
        let four = Some(named("1.2.3.4:9", "5.6.7.8:443"));
        let six = Some(named("[::1]:9", "[::2]:443"));
        for (bytes, expected) in [
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n".to_vec(), four),
            (b"PROXY TCP6 ::1 ::2 9 443\r\n".to_vec(), six),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &inet, 0), four),
            (binary(0x21, 0x11, &inet, 65_000), four),
            (binary(0x21, 0x21, &inet6, 7), six),
            (binary(0x21, 0x31, &[b'/'; 216], 0), None),
            (binary(0x21, 0x00, &[], 0), None),
            (binary(0x20, 0x00, &[], 20), None),
        ] {
            let length = bytes.len() as u64;
            let whole = [&bytes[..], b"GET / HTTP/1.1"].concat();
            assert_eq!(
                found(&whole),
                Found::Header(length, expected),
                "{}",
                bytes.escape_ascii()
            );
            let mut preamble = Preamble::default();
            let by_byte = whole
                .chunks(1)
                .map(|byte| preamble.scan(byte))
                .find(|found| *found != Found::NeedMore);
            assert_eq!(by_byte, Some(Found::Header(length, expected)));
            assert!(preamble.held_bytes() <= 2 * PROXY_BYTES);
        }
    }

    #[test]
    fn what_does_not_keep_to_the_grammar_is_no_header() {
        for bytes in [
            &b"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n"[..],
            b"PROXY TCP4 1.2.3.4 5.6.7.8 9 443 1\r\n",
            b"PROXY TCP4 ::1 ::2 9 443\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 9 443\n",
            b"PROXY /x HTTP/1.1\r\n",
            b"PROPFIND / HTTP/1.1\r\n",
            b"POST / HTTP/1.1\r\n",
            b"PRI * HTTP/2.0\r\n",
            &[b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(),
            &binary(0x31, 0x11, &[0; 12], 0),
            &binary(0x22, 0x11, &[0; 12], 0),
            &binary(0x21, 0x11, &[0; 11], 0),
            &binary(0x21, 0x41, &[0; 12], 0),
            b"\r\n\r\nGET / HTTP/1.1\r\n",
        ] {
            assert_eq!(found(bytes), Found::Nothing, "{}", bytes.escape_ascii());
        }
    }
}
