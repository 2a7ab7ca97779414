//! Connection records: the addresses of a connection, or why they are unknown.
//!
//! Addresses that no connected socket has, without a remote host or port, are treated as unknown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tracer_ebpf::{ConnectionRecord, UNIX_PATH};

use super::{
    Error,
    address::{Address, AddressSource},
    text,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// The addresses of a connection, or why they are unknown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Local and remote address, as the traced process sees them.
    pub addresses: Option<(Address, Address)>,
    /// How the addresses were learned, or why they were not.
    pub source: AddressSource,
    /// Whether addresses that are unknown may still become known.
    pub pending: bool,
    /// Inode of the network namespace of the socket, if known.
    pub netns: Option<u32>,
    /// Where the addresses were read.
    pub basis: Basis,
}

/// Where the addresses of a connection were read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// In the memory of the library and of the kernel, when the record was made.
    Memory,
    /// Nowhere yet: only the file descriptor is known.
    Descriptor(i32),
    /// In `/proc`, by file descriptor. Another socket may have had that descriptor at the time, unless the connection moves
    /// data after the lookup.
    Proc(i32),
}

impl Facts {
    /// Converts a record.
    pub(super) fn read(record: &ConnectionRecord) -> Result<Self, Error> {
        let source = match record.source {
            tracer_ebpf::AddressSource::BIO => AddressSource::Bio,
            tracer_ebpf::AddressSource::SET_FD => AddressSource::SetFd,
            tracer_ebpf::AddressSource::CIPHERTEXT => AddressSource::Ciphertext,
            tracer_ebpf::AddressSource::CUSTOM_BIO => AddressSource::CustomBio,
            tracer_ebpf::AddressSource::UNKNOWN_LAYOUT => AddressSource::UnknownLayout,
            tracer_ebpf::AddressSource::NOT_INET => AddressSource::NotInet,
            tracer_ebpf::AddressSource::DESCRIPTOR => AddressSource::Unconfirmed,
            tracer_ebpf::AddressSource::PROC => AddressSource::Proc,
            tracer_ebpf::AddressSource::NET_CONN => AddressSource::NetConn,
            tracer_ebpf::AddressSource::NESTED_SEND => AddressSource::NestedSend,
            tracer_ebpf::AddressSource::SOCKET => AddressSource::Socket,
            _ => return Err(Error::Unknown),
        };
        let addresses = addresses(record);
        let source = match addresses {
            None if source.is_known() => AddressSource::NotInet,
            _ => source,
        };
        Ok(Self {
            pending: addresses.is_none() && record.pending != 0,
            netns: Some(record.netns).filter(|netns| *netns != 0),
            basis: match record.source {
                tracer_ebpf::AddressSource::DESCRIPTOR => Basis::Descriptor(record.fd),
                tracer_ebpf::AddressSource::PROC => Basis::Proc(record.fd),
                _ => Basis::Memory,
            },
            addresses,
            source,
        })
    }
}

fn addresses(record: &ConnectionRecord) -> Option<(Address, Address)> {
    if record.family == AF_UNIX {
        return Some((unix(&record.local_path), unix(&record.remote_path)));
    }
    let local = inet(record.family, &record.local, record.local_port)?;
    let remote = inet(record.family, &record.remote, record.remote_port)?;
    let connected = remote.port() != 0 && !remote.ip().is_unspecified();
    connected.then_some((local.into(), remote.into()))
}

fn inet(family: u16, bytes: &[u8; 16], port: u16) -> Option<SocketAddr> {
    let ip = match family {
        AF_INET => {
            let [a, b, c, d, ..] = *bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// An abstract name begins with a zero byte and may contain others. Those at its end are taken for padding.
fn unix(path: &[u8; UNIX_PATH]) -> Address {
    let end = path.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match path.get(..end) {
        Some([0, name @ ..]) => Address::Abstract(name.into()),
        _ => Address::Unix(text(path).into()),
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Kind;
    use zerocopy::IntoBytes as _;

    use super::*;
    use crate::event::{Event, parse, tests::header};

    fn record(family: u16, local: &[u8], remote: &[u8]) -> ConnectionRecord {
        let padded = |bytes: &[u8]| std::array::from_fn(|index| bytes.get(index).copied().unwrap_or(0));
        let path = |bytes: &[u8]| std::array::from_fn(|index| bytes.get(index).copied().unwrap_or(0));
        let unix = |bytes: &[u8]| if family == AF_UNIX { path(bytes) } else { [0; UNIX_PATH] };
        ConnectionRecord {
            header: header(Kind::CONNECTION),
            inode: 5,
            local: padded(local),
            remote: padded(remote),
            fd: 3,
            local_port: 443,
            remote_port: 50312,
            family,
            source: tracer_ebpf::AddressSource::BIO,
            pending: 0,
            netns: 0,
            local_path: unix(local),
            remote_path: unix(remote),
        }
    }

    fn facts(record: &ConnectionRecord) -> Facts {
        let Event::Facts(facts) = parse(record.as_bytes()).unwrap().1 else {
            panic!("not a connection record")
        };
        facts
    }

    #[test]
    fn addresses_of_each_family_are_read_and_v4_mapped_ones_as_v4() {
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        for (family, bytes, expected) in [
            (AF_INET, &[127, 0, 0, 1][..], "127.0.0.1:443"),
            (AF_INET6, &mapped, "127.0.0.1:443"),
            (AF_INET6, &Ipv6Addr::LOCALHOST.octets(), "[::1]:443"),
        ] {
            let facts = facts(&record(family, bytes, bytes));
            let (local, _) = facts.addresses.unwrap();
            assert_eq!(local, Address::Inet(expected.parse::<SocketAddr>().unwrap().into()));
        }
    }

    #[test]
    fn unix_sockets_have_a_path_an_abstract_name_or_nothing() {
        let path = |bytes: &[u8]| Address::Unix(bytes.into());
        for (bytes, expected) in [
            (&b"/run/x.sock"[..], path(b"/run/x.sock")),
            (b"", path(b"")),
            (b"\0bus\0x", Address::Abstract(b"bus\0x"[..].into())),
            (&[b'p'; UNIX_PATH], path(&[b'p'; UNIX_PATH])),
        ] {
            let facts = facts(&record(AF_UNIX, b"", bytes));
            assert_eq!(facts.addresses, Some((path(b""), expected)));
        }
    }

    #[test]
    fn addresses_that_no_connected_socket_has_are_unknown() {
        let mut without_port = record(AF_INET, &[127, 0, 0, 1], &[127, 0, 0, 1]);
        without_port.remote_port = 0;
        let without_host = record(AF_INET, &[127, 0, 0, 1], &[0; 4]);
        let without_family = record(0, &[127, 0, 0, 1], &[127, 0, 0, 1]);
        for record in [without_port, without_host, without_family] {
            let facts = facts(&record);
            assert_eq!((facts.addresses, facts.source), (None, AddressSource::NotInet));
        }
    }

    #[test]
    fn only_unknown_addresses_are_pending() {
        let mut known = record(AF_INET, &[127, 0, 0, 1], &[127, 0, 0, 1]);
        known.source = tracer_ebpf::AddressSource::CIPHERTEXT;
        (known.pending, known.netns) = (1, 4_026_531_840);
        let known = facts(&known);
        assert_eq!((known.source, known.pending), (AddressSource::Ciphertext, false));
        assert_eq!(known.netns, Some(4_026_531_840));
        let mut unknown = record(0, b"", b"");
        unknown.source = tracer_ebpf::AddressSource::CUSTOM_BIO;
        unknown.pending = 1;
        let unknown = facts(&unknown);
        assert_eq!((unknown.source, unknown.pending), (AddressSource::CustomBio, true));
        assert_eq!(unknown.netns, None);
    }

    #[test]
    fn a_descriptor_and_its_lookup_in_proc_have_the_descriptor_as_basis() {
        let mut descriptor = record(0, b"", b"");
        (descriptor.source, descriptor.pending) = (tracer_ebpf::AddressSource::DESCRIPTOR, 1);
        let descriptor = facts(&descriptor);
        assert_eq!(
            (descriptor.source, descriptor.pending),
            (AddressSource::Unconfirmed, true)
        );
        assert_eq!(descriptor.basis, Basis::Descriptor(3));
        let mut lookup = record(AF_INET, &[127, 0, 0, 1], &[127, 0, 0, 1]);
        lookup.source = tracer_ebpf::AddressSource::PROC;
        let found = facts(&lookup);
        assert_eq!((found.source, found.basis), (AddressSource::Proc, Basis::Proc(3)));
        lookup.family = 0;
        let nothing = facts(&lookup);
        assert_eq!(
            (nothing.source, nothing.basis),
            (AddressSource::NotInet, Basis::Proc(3))
        );
    }

    #[test]
    fn an_unknown_source_is_an_error() {
        let mut record = record(AF_INET, &[127, 0, 0, 1], &[127, 0, 0, 1]);
        record.source = tracer_ebpf::AddressSource(77);
        assert_eq!(parse(record.as_bytes()).unwrap_err(), Error::Unknown);
    }
}
