//! Builds tapes record by record, for cases that recorded tapes do not cover.

use anyhow::{Context as _, Result};
use support::Trace;
use tempfile::TempDir;
use tracer_ebpf::{
    AddressSource, Change, ConnectionRecord, Cookie, DataRecord, Direction, EndRecord, Kind, PassedCause, PassedRecord,
    ProcessRecord, RecordFlags, RecordHeader, Role, SocketEnd, SocketRecord, TlsRecord,
};
use tracer_observe::{
    batch::{Batch, Header, ProcessEntry, SiteEntry, Totals},
    tape::{Writer, create},
};
use zerocopy::{FromZeros as _, Immutable, IntoBytes};

use crate::tapes;

pub(crate) const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The PID of the process that is traced from the beginning.
pub(crate) const PID: u32 = 7;

/// The network namespace of tlscope in these tapes.
pub(crate) const OWN_NETNS: u32 = 4_026_531_840;

const MILLISECOND: u64 = 1_000_000;

/// A tape in memory. Each record is a millisecond later than the previous one.
pub(crate) struct TapeBuilder {
    /// Completed batches.
    drained: Vec<Batch>,
    batch: Batch,
    now_ns: u64,
    pub(crate) pid: u32,
    /// The index of the site of the next records.
    pub(crate) site: u32,
}

impl TapeBuilder {
    pub(crate) fn new() -> Self {
        Self {
            drained: Vec::new(),
            batch: Batch::default(),
            now_ns: 0,
            pid: PID,
            site: 0,
        }
    }

    /// Adds a site that is found during the trace.
    pub(crate) fn add_site(&mut self, library: &str) -> &mut Self {
        self.batch.sites.push(site(library));
        self
    }

    /// Advances the time, and completes the current batch.
    pub(crate) fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now_ns += milliseconds * MILLISECOND;
        let mut batch = std::mem::take(&mut self.batch);
        (batch.drained_ns, batch.complete_until_ns) = (self.now_ns, self.now_ns);
        self.drained.push(batch);
        self
    }

    pub(crate) fn exchange(&mut self, ssl: u64) -> Result<&mut Self> {
        self.data(ssl, Direction::READ, REQUEST)?
            .data(ssl, Direction::WRITE, RESPONSE)
    }

    /// Adds an exchange whose response has a body that was skipped.
    pub(crate) fn skipped(&mut self, ssl: u64) -> Result<&mut Self> {
        let (head, body) = RESPONSE.split_at(RESPONSE.len() - 2);
        self.data(ssl, Direction::READ, REQUEST)?
            .data(ssl, Direction::WRITE, head)?;
        let mut record = PassedRecord::new_zeroed();
        record.header = self.header(ssl, Kind::PASSED);
        record.header.direction = Direction::WRITE;
        record.began_ns = self.now_ns;
        (record.position, record.span) = (u64::try_from(head.len())?, u64::try_from(body.len())?);
        record.cause = PassedCause::SKIPPED;
        Ok(self.push(&record))
    }

    pub(crate) fn data(&mut self, ssl: u64, direction: Direction, bytes: &[u8]) -> Result<&mut Self> {
        self.data_at(ssl, direction, 0, bytes)
    }

    /// Adds bytes behind others of the same direction.
    pub(crate) fn data_at(&mut self, ssl: u64, direction: Direction, position: u64, bytes: &[u8]) -> Result<&mut Self> {
        let mut record = DataRecord::new_zeroed();
        record.header = self.header(ssl, Kind::DATA);
        record.header.direction = direction;
        record.began_ns = self.now_ns;
        (record.position, record.call_position) = (position, position);
        record.captured = u32::try_from(bytes.len())?;
        record.call_length = record.captured.into();
        self.batch.push(&[record.as_bytes(), bytes].concat());
        Ok(self)
    }

    /// Adds a connection record with internet addresses.
    pub(crate) fn facts(&mut self, ssl: u64, source: AddressSource, netns: u32) -> Result<&mut Self> {
        let header = self.header(ssl, Kind::CONNECTION);
        let mut record = ConnectionRecord::new_zeroed();
        (record.header, record.source, record.netns, record.family) = (header, source, netns, 2);
        for address in [&mut record.local, &mut record.remote] {
            prefix(address, &[127, 0, 0, 1])?;
        }
        (record.local_port, record.remote_port) = (8443, 50_312);
        Ok(self.push(&record))
    }

    /// Adds a connection record of a UNIX socket.
    pub(crate) fn unix(&mut self, ssl: u64, local: &[u8], remote: &[u8]) -> Result<&mut Self> {
        let mut record = ConnectionRecord::new_zeroed();
        (record.header, record.family) = (self.header(ssl, Kind::CONNECTION), 1);
        prefix(&mut record.local_path, local)?;
        prefix(&mut record.remote_path, remote)?;
        Ok(self.push(&record))
    }

    /// Adds a connection record without addresses, which may still be found.
    pub(crate) fn pending(&mut self, ssl: u64) -> &mut Self {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = self.header(ssl, Kind::CONNECTION);
        (record.source, record.pending) = (AddressSource::CUSTOM_BIO, 1);
        self.push(&record)
    }

    pub(crate) fn tls(&mut self, ssl: u64, server_name: &[u8]) -> Result<&mut Self> {
        let mut record = TlsRecord::new_zeroed();
        record.header = self.header(ssl, Kind::TLS);
        (record.version, record.handshake_ns) = (0x0304, 1_500_000);
        prefix(&mut record.cipher, b"TLS_AES_256_GCM_SHA384")?;
        prefix(&mut record.alpn, b"http/1.1")?;
        prefix(&mut record.server_name, server_name)?;
        Ok(self.push(&record))
    }

    pub(crate) fn end(&mut self, ssl: u64) -> &mut Self {
        let header = self.header(ssl, Kind::END);
        self.push(&EndRecord {
            header,
            read: REQUEST.len() as u64,
            written: RESPONSE.len() as u64,
        })
    }

    pub(crate) fn socket(&mut self, ssl: u64, ended: SocketEnd) -> &mut Self {
        let header = self.header(ssl, Kind::SOCKET);
        self.push(&SocketRecord {
            header,
            opened_ns: MILLISECOND / 2,
            received: 700,
            acknowledged: 1800,
            rtt_us: 45,
            retransmits: 0,
            ended,
            reserved: [0; 7],
        })
    }

    pub(crate) fn change(&mut self, change: Change, name: &[u8]) -> Result<&mut Self> {
        let mut record = ProcessRecord::new_zeroed();
        record.header = self.header(0, Kind::PROCESS);
        record.change = change;
        prefix(&mut record.name, name)?;
        Ok(self.push(&record))
    }

    fn header(&mut self, ssl: u64, kind: Kind) -> RecordHeader {
        self.now_ns += MILLISECOND;
        RecordHeader {
            ts_ns: self.now_ns,
            cookie: Cookie::new(self.site, Role::Read),
            object: ssl,
            generation: ssl,
            tgid: self.pid,
            tid: self.pid,
            kind,
            direction: Direction::READ,
            flags: RecordFlags::LAST,
            reserved: 0,
        }
    }

    fn push(&mut self, record: &(impl IntoBytes + Immutable)) -> &mut Self {
        self.batch.push(record.as_bytes());
        self
    }

    /// Writes and replays the tape. Returns the parsed output.
    pub(crate) fn replay(&self, args: &[&str]) -> Result<Trace> {
        let folder = self.write()?;
        tapes::trace(&folder.path().join("made.tape"), args)
    }

    /// Writes and replays the tape. Returns stdout.
    pub(crate) fn print(&self, args: &[&str]) -> Result<String> {
        let folder = self.write()?;
        Ok(tapes::replay(&folder.path().join("made.tape"), args)?.0)
    }

    /// Writes the tape as `made.tape` in a new folder.
    pub(crate) fn write(&self) -> Result<TempDir> {
        let folder = tempfile::tempdir()?;
        let header = Header {
            own_netns: OWN_NETNS,
            processes: vec![ProcessEntry {
                pid: PID,
                name: "nginx".to_owned(),
            }],
            sites: vec![site("openssl")],
            ..Header::default()
        };
        let mut writer = Writer::new(create(&folder.path().join("made.tape"))?, &header)?;
        let mut last = self.batch.clone();
        last.drained_ns = self.now_ns;
        for batch in self.drained.iter().chain([&last]) {
            writer.batch(batch)?;
        }
        writer.finish(Totals::default())?;
        Ok(folder)
    }
}

fn site(library: &str) -> SiteEntry {
    SiteEntry {
        path: "/libssl.so.3".to_owned(),
        function: "SSL_read".to_owned(),
        library: library.to_owned(),
    }
}

fn prefix(room: &mut [u8], bytes: &[u8]) -> Result<()> {
    room.get_mut(..bytes.len())
        .context("the bytes are too long")?
        .copy_from_slice(bytes);
    Ok(())
}
