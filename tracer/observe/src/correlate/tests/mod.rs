//! Tests of the correlator: records in, observations out.

mod active;
mod decoding;
mod addresses;
mod life;
mod function_records;
mod gaps;
mod refusals;
mod skips;
mod summaries;

use std::time::Duration;

use http_decode::{Ended, Exchange};
use tracer_ebpf::{
    AddressSource as Source, Change, ConnectionRecord, Cookie, DataRecord, Direction as Way, EndRecord, Kind,
    PassedCause, PassedRecord, ProcessRecord, RecordFlags, RecordHeader, Role, SocketEnd, SocketRecord, TlsRecord,
};
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::*;
use crate::batch::ProcessEntry;

const PID: u32 = 7;
const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MILLISECOND: u64 = 1_000_000;
const OWN_NETNS: u32 = 100;

/// Returns a connection of which only the process and the library are known.
pub(super) fn connection() -> Connection {
    Connection {
        id: String::new(),
        process: Process {
            pid: PID,
            name: String::new(),
        },
        tls: LibraryName::new("openssl"),
        local: None,
        remote: None,
        source: AddressSource::Unseen,
        proxied: None,
        netns: None,
        server_name: None,
    }
}

/// A correlator, the clock of its records, and its output. Each record is a millisecond after the previous one.
struct Bench {
    correlator: Correlator,
    now_ns: u64,
    pid: u32,
    out: Vec<Observed>,
}

impl Bench {
    fn new(bounds: Bounds) -> Self {
        Self::with(bounds, false)
    }

    /// Creates a bench that emits summaries of connections.
    fn with_summaries() -> Self {
        Self::with(Bounds::default(), true)
    }

    fn with(bounds: Bounds, summarize: bool) -> Self {
        let header = Header {
            own_netns: OWN_NETNS,
            processes: vec![ProcessEntry {
                pid: PID,
                name: "nginx".to_owned(),
            }],
            sites: vec![SiteEntry {
                library: "openssl".to_owned(),
                path: String::new(),
                function: String::new(),
            }],
            ..Header::default()
        };
        let correlator = Correlator::with_bounds(&header, Settings::default(), summarize, bounds);
        Self {
            correlator,
            now_ns: 0,
            pid: PID,
            out: Vec::new(),
        }
    }

    fn header(&mut self, ssl: u64, kind: Kind, direction: Way) -> RecordHeader {
        self.now_ns += MILLISECOND;
        RecordHeader {
            ts_ns: self.now_ns,
            cookie: Cookie::new(0, Role::Read),
            object: ssl,
            generation: ssl,
            tgid: self.pid,
            tid: self.pid,
            kind,
            direction,
            flags: RecordFlags::LAST,
            reserved: 0,
        }
    }

    fn data(&mut self, ssl: u64, direction: Way, position: u64, bytes: &[u8]) {
        let record = DataRecord {
            header: self.header(ssl, Kind::DATA, direction),
            began_ns: self.now_ns,
            position,
            call_position: position,
            call_length: bytes.len() as u64,
            captured: bytes.len().try_into().unwrap(),
            reserved: 0,
        };
        self.push(&[record.as_bytes(), bytes].concat());
    }

    /// Bytes that a client writes, with the flags of early data.
    fn early(&mut self, ssl: u64, position: u64, bytes: &[u8], flags: RecordFlags) {
        let mut record = DataRecord::new_zeroed();
        record.header = self.header(ssl, Kind::DATA, Way::WRITE);
        record.header.flags = flags;
        record.began_ns = self.now_ns;
        (record.position, record.call_position) = (position, position);
        record.call_length = bytes.len() as u64;
        record.captured = bytes.len().try_into().unwrap();
        self.push(&[record.as_bytes(), bytes].concat());
    }

    /// Bytes that were not captured.
    fn passed(&mut self, ssl: u64, direction: Way, position: u64, span: u64, cause: PassedCause) {
        let record = PassedRecord {
            header: self.header(ssl, Kind::PASSED, direction),
            began_ns: self.now_ns,
            position,
            span,
            cause,
            reserved: [0; 7],
        };
        self.push(record.as_bytes());
    }

    /// The exchange number `index` of a connection, from 0.
    fn exchange(&mut self, ssl: u64, index: usize) {
        self.data(ssl, Way::READ, (index * REQUEST.len()) as u64, REQUEST);
        self.data(ssl, Way::WRITE, (index * RESPONSE.len()) as u64, RESPONSE);
    }

    /// An exchange whose response lacks its last byte.
    fn begin(&mut self, ssl: u64) {
        self.data(ssl, Way::READ, 0, REQUEST);
        self.data(ssl, Way::WRITE, 0, &RESPONSE[..RESPONSE.len() - 1]);
    }

    /// Facts without addresses, which may become known if `pending`.
    fn unknown(&mut self, ssl: u64, pending: bool) {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = self.header(ssl, Kind::CONNECTION, Way::READ);
        record.source = Source::CUSTOM_BIO;
        record.pending = pending.into();
        self.push(record.as_bytes());
    }

    /// Facts with addresses, distinguished by the remote port.
    fn known(&mut self, ssl: u64, source: Source, remote_port: u16, netns: u32) {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = self.header(ssl, Kind::CONNECTION, Way::READ);
        (record.source, record.netns, record.family) = (source, netns, 2);
        record.local[..4].copy_from_slice(&[127, 0, 0, 1]);
        record.remote[..4].copy_from_slice(&[127, 0, 0, 1]);
        (record.local_port, record.remote_port) = (443, remote_port);
        self.push(record.as_bytes());
    }

    /// A file descriptor that is to be looked up in `/proc`.
    fn descriptor(&mut self, ssl: u64, fd: i32) {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = self.header(ssl, Kind::CONNECTION, Way::READ);
        (record.source, record.pending, record.fd) = (Source::DESCRIPTOR, 1, fd);
        self.push(record.as_bytes());
    }

    /// The result of a lookup of a descriptor in `/proc` that was made `ago_ns` ago.
    fn lookup(&mut self, ssl: u64, fd: i32, remote_port: u16, ago_ns: u64) {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = self.header(ssl, Kind::CONNECTION, Way::READ);
        record.header.ts_ns -= ago_ns;
        (record.source, record.fd, record.family) = (Source::PROC, fd, 2);
        record.local[..4].copy_from_slice(&[127, 0, 0, 1]);
        record.remote[..4].copy_from_slice(&[127, 0, 0, 1]);
        (record.local_port, record.remote_port) = (443, remote_port);
        self.push(record.as_bytes());
    }

    fn end(&mut self, ssl: u64, read: usize, written: usize) {
        let header = self.header(ssl, Kind::END, Way::READ);
        let (read, written) = (read as u64, written as u64);
        self.push(EndRecord { header, read, written }.as_bytes());
    }

    fn socket(&mut self, ssl: u64) {
        let record = SocketRecord {
            header: self.header(ssl, Kind::SOCKET, Way::READ),
            opened_ns: 1,
            received: 1000,
            acknowledged: 2000,
            rtt_us: 3,
            retransmits: 4,
            ended: SocketEnd::FIN_REMOTE,
            reserved: [0; 7],
        };
        self.push(record.as_bytes());
    }

    fn tls(&mut self, ssl: u64) {
        let mut record = TlsRecord::new_zeroed();
        record.header = self.header(ssl, Kind::TLS, Way::READ);
        record.version = 0x0304;
        self.push(record.as_bytes());
    }

    fn change(&mut self, pid: u32, change: Change, parent: u32, name: &str) {
        let before = std::mem::replace(&mut self.pid, pid);
        let mut record = ProcessRecord::new_zeroed();
        record.header = self.header(0, Kind::PROCESS, Way::READ);
        (record.change, record.parent) = (change, parent);
        record.name[..name.len()].copy_from_slice(name.as_bytes());
        self.pid = before;
        self.push(record.as_bytes());
    }

    fn push(&mut self, record: &[u8]) {
        self.correlator.push(record, &mut self.out);
    }

    /// Advances the clock of the records.
    fn wait(&mut self, nanos: u64) {
        self.now_ns += nanos;
        self.correlator.advance(self.now_ns, &mut self.out);
    }

    fn finish(&mut self) {
        self.correlator.finish(self.now_ns, &mut self.out);
    }

    fn exchanges(&self) -> Vec<&Exchange> {
        self.out
            .iter()
            .filter_map(|observed| match &observed.kind {
                ObservedKind::Exchange(exchange) => Some(exchange.as_ref()),
                ObservedKind::End(_) | ObservedKind::Gap(_) | ObservedKind::Connection(_) => None,
            })
            .collect()
    }

    fn summaries(&self) -> Vec<(&str, &ConnectionSummary)> {
        self.out
            .iter()
            .filter_map(|observed| match &observed.kind {
                ObservedKind::Connection(summary) => Some((observed.connection.id.as_str(), summary.as_ref())),
                ObservedKind::Exchange(_) | ObservedKind::End(_) | ObservedKind::Gap(_) => None,
            })
            .collect()
    }

    /// Returns the connection of each observation.
    fn ids(&self) -> Vec<&str> {
        self.out
            .iter()
            .map(|observed| observed.connection.id.as_str())
            .collect()
    }
}
