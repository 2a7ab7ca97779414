//! TLS and socket records: the parameters of a handshake, and the statistics of a socket at its close.
//!
//! A value that is zero or empty in the record was not seen, and is `None` here.

use http_decode::Unredacted;
use tracer_ebpf::{SocketRecord, TlsRecord};

use super::{Error, text};

/// The parameters that a handshake negotiated.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFacts {
    /// Protocol version as on the wire: `0x0304` is TLS 1.3.
    pub version: Option<u16>,
    /// Name of the cipher suite.
    pub cipher: Option<Unredacted>,
    /// Application protocol.
    pub alpn: Option<Unredacted>,
    /// Server name that the client asked for.
    pub server_name: Option<Unredacted>,
    /// Duration in nanoseconds.
    pub handshake_ns: Option<u64>,
}

/// The statistics of a socket at its close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketFacts {
    /// When it was established, in nanoseconds of `CLOCK_MONOTONIC`.
    pub opened_ns: Option<u64>,
    /// Bytes of ciphertext received.
    pub received: u64,
    /// Bytes of ciphertext sent and acknowledged.
    pub acknowledged: u64,
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: Option<u32>,
    /// Retransmitted segments.
    pub retransmits: u32,
    /// How it was closed.
    pub ended: Option<SocketEnd>,
}

/// How a socket was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketEnd {
    /// The traced process closed first.
    FinLocal,
    /// The peer closed first.
    FinRemote,
    /// The kernel of the traced process sent a reset.
    ResetLocal,
    /// The peer sent a reset.
    ResetRemote,
    /// The peer stopped responding.
    Timeout,
}

impl TlsFacts {
    /// Returns the server name, unless it fills the room of the record and may have been cut.
    pub fn whole_server_name(&self) -> Option<&Unredacted> {
        self.server_name.as_ref().filter(|name| name.len() < MAX_WHOLE_NAME)
    }

    /// Converts a record.
    pub(super) fn read(record: &TlsRecord) -> Self {
        let some = |padded| Some(text(padded)).filter(|text| !text.is_empty()).map(Unredacted::new);
        Self {
            version: Some(record.version).filter(|version| *version != 0),
            cipher: some(&record.cipher),
            alpn: some(&record.alpn),
            server_name: some(&record.server_name),
            handshake_ns: Some(record.handshake_ns).filter(|nanos| *nanos != 0),
        }
    }
}

/// The length from which on a server name may have been cut: the kernel ends it with a zero in a room of 128 bytes.
const MAX_WHOLE_NAME: usize = 127;

impl SocketFacts {
    /// Converts a record.
    pub(super) fn read(record: &SocketRecord) -> Result<Self, Error> {
        let ended = match record.ended {
            tracer_ebpf::SocketEnd::UNKNOWN => None,
            tracer_ebpf::SocketEnd::FIN_LOCAL => Some(SocketEnd::FinLocal),
            tracer_ebpf::SocketEnd::FIN_REMOTE => Some(SocketEnd::FinRemote),
            tracer_ebpf::SocketEnd::RESET_LOCAL => Some(SocketEnd::ResetLocal),
            tracer_ebpf::SocketEnd::RESET_REMOTE => Some(SocketEnd::ResetRemote),
            tracer_ebpf::SocketEnd::TIMEOUT => Some(SocketEnd::Timeout),
            _ => return Err(Error::Unknown),
        };
        Ok(Self {
            opened_ns: Some(record.opened_ns).filter(|opened| *opened != 0),
            received: record.received,
            acknowledged: record.acknowledged,
            rtt_us: Some(record.rtt_us).filter(|rtt| *rtt != 0),
            retransmits: record.retransmits,
            ended,
        })
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Kind;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;
    use crate::event::{Event, parse, tests::header};

    fn tls(change: impl FnOnce(&mut TlsRecord)) -> TlsFacts {
        let mut record = TlsRecord::new_zeroed();
        record.header = header(Kind::TLS);
        change(&mut record);
        let Event::Tls(facts) = parse(record.as_bytes()).unwrap().1 else {
            panic!("not a TLS record")
        };
        *facts
    }

    fn socket(ended: tracer_ebpf::SocketEnd, opened_ns: u64, rtt_us: u32) -> Result<SocketFacts, Error> {
        let record = SocketRecord {
            header: header(Kind::SOCKET),
            opened_ns,
            received: 10,
            acknowledged: 20,
            rtt_us,
            retransmits: 0,
            ended,
            reserved: [0; 7],
        };
        let Event::Socket(facts) = parse(record.as_bytes())?.1 else {
            panic!("not a socket record")
        };
        Ok(facts)
    }

    #[test]
    fn a_handshake_value_of_zero_is_unknown() {
        assert_eq!(tls(|_| {}), TlsFacts::default());
    }

    #[test]
    fn a_server_name_may_fill_its_array() {
        let facts = tls(|record| {
            record.version = 0x0304;
            record.alpn[..2].copy_from_slice(b"h2");
            record.server_name = [b'a'; 128];
        });
        assert_eq!(facts.whole_server_name(), None);
        assert_eq!(
            (facts.version, facts.alpn),
            (Some(0x0304), Some(Unredacted::new(b"h2")))
        );
        assert_eq!(facts.server_name.map(|name| name.len()), Some(128));
        for (length, is_whole) in [(1, true), (126, true), (127, false)] {
            let facts = tls(|record| record.server_name[..length].fill(b'a'));
            assert_eq!(facts.whole_server_name().is_some(), is_whole, "{length}");
        }
    }

    #[test]
    fn a_socket_value_of_zero_is_unknown() {
        let facts = socket(tracer_ebpf::SocketEnd::UNKNOWN, 0, 0).unwrap();
        assert_eq!((facts.opened_ns, facts.rtt_us, facts.ended), (None, None, None));
        assert_eq!((facts.received, facts.acknowledged, facts.retransmits), (10, 20, 0));
    }

    #[test]
    fn each_way_to_close_is_parsed_and_an_unknown_one_is_an_error() {
        for (code, expected) in [
            (tracer_ebpf::SocketEnd::FIN_LOCAL, SocketEnd::FinLocal),
            (tracer_ebpf::SocketEnd::FIN_REMOTE, SocketEnd::FinRemote),
            (tracer_ebpf::SocketEnd::RESET_LOCAL, SocketEnd::ResetLocal),
            (tracer_ebpf::SocketEnd::RESET_REMOTE, SocketEnd::ResetRemote),
            (tracer_ebpf::SocketEnd::TIMEOUT, SocketEnd::Timeout),
        ] {
            assert_eq!(socket(code, 1, 1).unwrap().ended, Some(expected));
        }
        assert_eq!(socket(tracer_ebpf::SocketEnd(99), 1, 1), Err(Error::Unknown));
    }
}
