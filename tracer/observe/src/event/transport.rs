//! What a connection's handshake and its socket had to say.
//!
//! In: TLS and socket records. Out: [`TlsFacts`] and [`SocketFacts`]. Refuses an end of an unknown kind. What is zero or
//! empty on the wire was not seen, and is `None` here.

use http_decode::Unredacted;
use tracer_ebpf::{SocketRecord, TlsRecord};

use super::{Error, text};

/// What a handshake agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFacts {
    /// Protocol version as on the wire (`0x0304` is TLS 1.3).
    pub version: Option<u16>,
    /// Name of the cipher suite.
    pub cipher: Option<Unredacted>,
    /// The application protocol that was agreed on.
    pub alpn: Option<Unredacted>,
    /// The server name that the client asked for.
    pub server_name: Option<Unredacted>,
    /// How long it took, in nanoseconds.
    pub handshake_ns: Option<u64>,
}

/// What a socket had to say when it was closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketFacts {
    /// When it was established, on the clock of the records.
    pub opened_ns: Option<u64>,
    /// Bytes received, ciphertext.
    pub received: u64,
    /// Bytes sent and acknowledged, ciphertext.
    pub acknowledged: u64,
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: Option<u32>,
    /// Segments sent again.
    pub retransmits: u32,
    /// How it ended.
    pub ended: Option<SocketEnd>,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketEnd {
    /// The traced process closed first.
    FinLocal,
    /// The peer closed first.
    FinRemote,
    /// The traced process's kernel sent a reset.
    ResetLocal,
    /// The peer sent a reset.
    ResetRemote,
    /// The peer did not answer any more.
    Timeout,
}

impl TlsFacts {
    /// Reads a record.
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

impl SocketFacts {
    /// Reads a record.
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
            panic!("not a handshake's")
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
            panic!("not a socket's")
        };
        Ok(facts)
    }

    #[test]
    fn what_a_handshake_does_not_tell_is_unknown() {
        assert_eq!(tls(|_| {}), TlsFacts::default());
    }

    #[test]
    fn a_server_name_is_bounded_by_its_room() {
        let facts = tls(|record| {
            record.version = 0x0304;
            record.alpn[..2].copy_from_slice(b"h2");
            record.server_name = [b'a'; 128];
        });
        assert_eq!(
            (facts.version, facts.alpn),
            (Some(0x0304), Some(Unredacted::new(b"h2")))
        );
        assert_eq!(facts.server_name.map(|name| name.len()), Some(128));
    }

    #[test]
    fn what_a_socket_does_not_tell_is_unknown() {
        let facts = socket(tracer_ebpf::SocketEnd::UNKNOWN, 0, 0).unwrap();
        assert_eq!((facts.opened_ns, facts.rtt_us, facts.ended), (None, None, None));
        assert_eq!((facts.received, facts.acknowledged, facts.retransmits), (10, 20, 0));
    }

    #[test]
    fn each_way_to_end_is_read_and_an_unknown_one_refused() {
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
