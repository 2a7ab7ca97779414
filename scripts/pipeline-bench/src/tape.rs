//! The records of exchanges on many connections, a batch at a time, as the rings of a busy gateway bring them.

use tracer_ebpf::{
    AddressSource, ConnectionRecord, Cookie, DataRecord, Direction, Kind, RecordFlags, RecordHeader, Role,
};
use tracer_observe::batch::{Batch, Header, ProcessEntry, SiteEntry};
use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::{
    deflater::Deflater,
    heads::{BODY_BYTES, Exchange, HOST},
};

/// The protocol of all connections.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Protocol {
    /// One exchange at a time on each of 32 connections.
    Http1,
    /// 16 streams at a time on each of 8 connections.
    Http2,
}

impl Protocol {
    /// Returns the name of the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "http/2",
        }
    }

    const fn connections(self) -> usize {
        match self {
            Self::Http1 => 32,
            Self::Http2 => 8,
        }
    }

    const fn streams(self) -> usize {
        match self {
            Self::Http1 => 1,
            Self::Http2 => 16,
        }
    }
}

/// A tape in the making.
pub struct Tape {
    protocol: Protocol,
    connections: Vec<Connection>,
    now_ns: u64,
}

struct Connection {
    object: u64,
    positions: [u64; 2],
    next_stream: u32,
    requests: Deflater,
    responses: Deflater,
}

/// The header of the tape.
pub fn header() -> Header {
    Header {
        boot_unix_ns: 1_795_247_100_000_000_000,
        processes: vec![ProcessEntry {
            pid: PID,
            name: "nginx".to_owned(),
        }],
        sites: vec![SiteEntry {
            path: "/usr/lib/libssl.so.3".to_owned(),
            function: "SSL_read".to_owned(),
            library: "openssl".to_owned(),
        }],
        ..Header::default()
    }
}

impl Tape {
    /// Starts a tape, and returns it with the batch that opens its connections.
    pub fn new(protocol: Protocol) -> (Self, Batch) {
        let connection = |number| Connection {
            object: 0x7f00_0000_0000 + 0x1000 * number as u64,
            positions: [0; 2],
            next_stream: 1,
            requests: Deflater::new(),
            responses: Deflater::new(),
        };
        let mut tape = Self {
            protocol,
            connections: (0..protocol.connections()).map(connection).collect(),
            now_ns: 1_000_000,
        };
        let mut batch = Batch::new(0);
        for number in 0..tape.connections.len() {
            tape.open(number, &mut batch);
        }
        tape.drain(&mut batch);
        (tape, batch)
    }

    /// Returns the batches of these exchanges: in each, every connection has its streams answered.
    pub fn batches(&mut self, exchanges: &[Exchange]) -> Vec<Batch> {
        let at_once = self.protocol.connections() * self.protocol.streams();
        let batches = exchanges.chunks(at_once).map(|exchanges| {
            let mut batch = Batch::new(0);
            for (number, exchanges) in exchanges.chunks(self.protocol.streams()).enumerate() {
                match self.protocol {
                    Protocol::Http1 => self.http1(number, exchanges, &mut batch),
                    Protocol::Http2 => self.http2(number, exchanges, &mut batch),
                }
            }
            self.drain(&mut batch);
            batch
        });
        batches.collect()
    }

    fn http1(&mut self, number: usize, exchanges: &[Exchange], batch: &mut Batch) {
        for exchange in exchanges {
            self.data(number, Direction::READ, exchange.request_text().as_bytes(), batch);
            let response = [exchange.response_text().as_bytes(), &[b'x'; BODY_BYTES]].concat();
            self.data(number, Direction::WRITE, &response, batch);
        }
    }

    fn http2(&mut self, number: usize, exchanges: &[Exchange], batch: &mut Batch) {
        let connection = &mut self.connections[number];
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for exchange in exchanges {
            let stream = connection.next_stream;
            connection.next_stream += 2;
            let pseudo = [
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", HOST),
                (":path", &exchange.path),
            ];
            let request = block(&mut connection.requests, &pseudo, &exchange.request);
            asked.extend(frame(1, 5, stream, &request));
            let response = block(&mut connection.responses, &[(":status", "200")], &exchange.response);
            answered.extend(frame(1, 4, stream, &response));
            answered.extend(frame(0, 1, stream, &[b'x'; BODY_BYTES]));
        }
        self.data(number, Direction::READ, &asked, batch);
        for call in answered.chunks(8192) {
            self.data(number, Direction::WRITE, call, batch);
        }
    }

    /// Adds the addresses of a connection, and what HTTP/2 begins with.
    fn open(&mut self, number: usize, batch: &mut Batch) {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = self.record(number, Kind::CONNECTION, Direction::READ);
        (record.source, record.family) = (AddressSource::BIO, 2);
        record.local[..4].copy_from_slice(&[192, 0, 2, 1]);
        record.remote[..4].copy_from_slice(&[203, 0, 113, 7]);
        (record.local_port, record.remote_port) = (8443, 50_000 + number as u16);
        batch.push(record.as_bytes());
        if self.protocol == Protocol::Http2 {
            let settings = frame(4, 0, 0, &[]);
            let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat();
            self.data(number, Direction::READ, &preface, batch);
            self.data(number, Direction::WRITE, &settings, batch);
        }
    }

    fn data(&mut self, number: usize, direction: Direction, bytes: &[u8], batch: &mut Batch) {
        let header = self.record(number, Kind::DATA, direction);
        let position = &mut self.connections[number].positions[usize::from(direction == Direction::WRITE)];
        let record = DataRecord {
            header,
            began_ns: header.ts_ns,
            position: *position,
            call_position: *position,
            call_length: bytes.len() as u64,
            captured: bytes.len() as u32,
            reserved: 0,
        };
        *position += bytes.len() as u64;
        batch.push_parts(record.as_bytes(), bytes);
    }

    /// Makes the header of the next record, ten microseconds after the last one.
    fn record(&mut self, number: usize, kind: Kind, direction: Direction) -> RecordHeader {
        self.now_ns += 10_000;
        RecordHeader {
            ts_ns: self.now_ns,
            cookie: Cookie::new(0, Role::Read),
            object: self.connections[number].object,
            generation: 1,
            tgid: PID,
            tid: PID,
            kind,
            direction,
            flags: RecordFlags::FROM_START,
            reserved: 0,
        }
    }

    fn drain(&mut self, batch: &mut Batch) {
        (batch.drained_ns, batch.complete_until_ns) = (self.now_ns, self.now_ns);
    }
}

fn block(deflater: &mut Deflater, pseudo: &[(&str, &str)], fields: &[(&'static str, String)]) -> Vec<u8> {
    let lower: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let fields = lower.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    deflater.deflate(&pseudo.iter().copied().chain(fields).collect::<Vec<_>>())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const PID: u32 = 4242;
