//! Lifts: this process sends through a socket what stands for records of a library.

mod checks;
#[cfg(target_arch = "x86_64")]
mod frames;
mod shifted;

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
};

use tracer_ebpf::{
    Cookie, DataRecord, Guard, HooksRecord, HooksRefused, Kind, MAX_HIT_BYTES, Operand, PassedRecord, Place,
    RecordFlags, Role, STRETCH, SiteConfig, SiteOperands, TargetFlags, Width,
};
use zerocopy::FromBytes as _;

use super::{
    Calls, Kernel,
    operands::tests::{Own, data, header},
    program::Program,
    sockets::Sockets,
    tables::Tables,
};

/// As a connection of a library, with the fields of the record that it writes.
#[repr(C)]
struct Session {
    reads_from: *const Bio,
    writes_to: *const Bio,
    kind: u32,
    bytes: u64,
    from: *const u8,
    sequence: u64,
    behind: u64,
}

/// As the library's object for a socket.
#[repr(C)]
struct Bio {
    method: *const Method,
    descriptor: i32,
}

/// As its methods; the name of the library's own for sockets is at a known distance.
#[repr(C)]
struct Method {
    kind: u32,
    name: usize,
}

const SOCKET_NAME: i32 = 64;
/// `BIO_TYPE_SOCKET`.
const SOCKET: u32 = 0x505;

/// The tap is the first site, the lift the second.
const CONFIG: SiteConfig = SiteConfig {
    socket_name: SOCKET_NAME,
    rbio: 0,
    wbio: 8,
    bio_method: 0,
    bio_num: 8,
    tap: 0,
    lift: 1,
    ..SiteConfig::NONE
};

const fn behind(offset: i16, width: Width) -> Operand {
    Operand {
        loads: [offset, Operand::UNKNOWN],
        ..Operand::at(Place::CONNECTION, width)
    }
}

const SEND: SiteOperands = SiteOperands {
    object: Operand::at(Place::CONNECTION, Width::U64),
    buffer: behind(32, Width::U64),
    count: behind(24, Width::U64),
    sequence: behind(40, Width::U64),
    guards: [Guard::new(behind(16, Width::S32), 23), Guard::NONE],
    ..SiteOperands::OBJECT
};

/// As the copy out of the record layer: of a handshake, which makes the connection known, or of a program's bytes.
#[inline(never)]
extern "C" fn tapped(session: *const Session, is_content: i32, from: *const u8, bytes: usize) {
    black_box((session, is_content, from, bytes));
}

const TAPPED: SiteOperands = SiteOperands {
    buffer: Operand::argument(2, Width::U64),
    count: Operand::argument(3, Width::U64),
    guards: [Guard::new(Operand::argument(1, Width::S32), 1), Guard::NONE],
    ..SiteOperands::OBJECT
};

/// A connection of this process through a socket, and the programs that watch it.
struct Connection {
    own: Own,
    session: Box<Session>,
    bio: Box<Bio>,
    method: Box<Method>,
    stream: TcpStream,
    peer: TcpStream,
}

impl Connection {
    fn open(flags: TargetFlags) -> Self {
        Self::open_with(flags, TAPPED, SEND)
    }

    fn open_with(flags: TargetFlags, tapped_at: SiteOperands, sent: SiteOperands) -> Self {
        let offsets = Kernel::describe(std::path::Path::new("/sys/kernel/btf/vmlinux")).offsets;
        let mut own = Own::load_on(offsets, flags);
        let tap = own.site(CONFIG, tapped_at);
        own.site(CONFIG, sent.with_window(Place::CONNECTION));
        own.attach(Program::Tap, tapped as *const () as usize, Cookie::new(tap, Role::Read));
        assert_eq!(Sockets::default().attach_lift(&mut own.ebpf).unwrap(), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        let mut method = Box::new(Method { kind: SOCKET, name: 0 });
        method.name = (&raw const *method).addr() + 64;
        let bio = Box::new(Bio {
            method: &raw const *method,
            descriptor: stream.as_raw_fd(),
        });
        let session = Box::new(Session {
            reads_from: &raw const *bio,
            writes_to: &raw const *bio,
            kind: 22,
            bytes: 0,
            from: std::ptr::null(),
            sequence: 0,
            behind: 0,
        });
        Self {
            own,
            session,
            bio,
            method,
            stream,
            peer,
        }
    }

    /// Opens a connection whose handshake was seen.
    fn known() -> Self {
        Self::open(TargetFlags::default()).after_handshake()
    }

    fn after_handshake(mut self) -> Self {
        let connection = &mut self;
        connection.become_known();
        let records = connection.own.records();
        assert_eq!(records.len(), 1);
        assert_eq!(header(&records[0]).kind, Kind::CONNECTION);
        self
    }

    fn become_known(&self) {
        black_box(tapped)(&raw const *self.session, 0, std::ptr::null(), 0);
    }

    /// Sends a record of some bytes with a sequence number.
    fn send(&mut self, sequence: u64, kind: u32, bytes: &[u8]) {
        let session = &mut *self.session;
        (session.sequence, session.kind) = (sequence.to_be(), kind);
        (session.from, session.bytes) = (bytes.as_ptr(), bytes.len() as u64);
        black_box(&self.session);
        self.push();
    }

    /// Sends a piece of whatever is under way.
    fn push(&mut self) {
        self.stream.write_all(b"ciphertext").unwrap();
        let mut sent = [0; 10];
        self.peer.read_exact(&mut sent).unwrap();
    }

    /// The bytes that were reported since, with their positions.
    fn written(&mut self) -> Vec<(u64, Vec<u8>)> {
        let records = self.own.records();
        let written = records.iter().map(|record| data(record));
        written.map(|(_, position, bytes)| (position, bytes.to_vec())).collect()
    }
}

fn at(position: u64, bytes: &[u8]) -> (u64, Vec<u8>) {
    (position, bytes.to_vec())
}

fn refused(record: &[u8]) -> HooksRefused {
    let record = HooksRecord::read_from_prefix(record).unwrap().0;
    assert_eq!(record.header.kind, Kind::HOOKS);
    record.cause
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn each_new_record_of_the_program_is_lifted_once() {
    let mut connection = Connection::known();
    connection.send(1, 22, b"finished");
    connection.send(2, 23, b"hello");
    connection.push();
    connection.push();
    connection.send(3, 21, b"alert");
    connection.send(4, 23, b"again");
    assert_eq!(connection.written(), [at(0, b"hello"), at(5, b"again")]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn new_keys_begin_the_sequence_anew_also_where_it_comes_as_far() {
    let mut connection = Connection::known();
    // A client's last record of the handshake and its first one behind it have the same number.
    connection.send(1, 22, b"finished");
    connection.send(1, 23, b"hello");
    connection.send(2, 23, b"again");
    connection.send(3, 22, b"update");
    connection.send(1, 23, b"other");
    assert_eq!(
        connection.written(),
        [at(0, b"hello"), at(5, b"again"), at(10, b"other")]
    );
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn records_that_no_send_shows_are_a_hole_and_parts_of_one_write_are_not() {
    let mut connection = Connection::known();
    connection.send(1, 23, b"hello");
    // Four records of one write.
    connection.send(5, 23, b"four");
    connection.send(7, 23, b"behind");
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::DATA, Kind::DATA, Kind::PASSED, Kind::DATA]);
    let passed = PassedRecord::read_from_prefix(&records[2]).unwrap().0;
    assert_eq!((passed.position, passed.span), (9, STRETCH));
    assert_eq!(data(&records[3]).1, 9 + STRETCH);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_connection_that_writes_to_another_bio_is_left_to_its_calls() {
    let mut connection = Connection::known();
    let other = Bio {
        method: connection.bio.method,
        descriptor: connection.peer.as_raw_fd(),
    };
    connection.session.writes_to = &raw const other;
    // As a handshake does, whose records go through a buffer.
    connection.send(3, 22, b"finished");
    assert!(connection.own.records().is_empty());
    connection.send(4, 23, b"hello");
    connection.send(5, 23, b"again");
    let records = connection.own.records();
    let (refusal, rest): (Vec<_>, Vec<_>) = records.iter().partition(|record| header(record).kind == Kind::HOOKS);
    assert_eq!((refusal.len(), refused(refusal[0])), (1, HooksRefused::WRITE_BIO));
    assert_eq!(rest.len(), 1, "once, until bytes are seen again");
    assert_eq!(header(rest[0]).kind, Kind::PASSED);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_connection_that_writes_to_another_socket_is_noticed_as_it_reads() {
    let mut connection = Connection::known();
    let other = Bio {
        method: connection.bio.method,
        descriptor: connection.peer.as_raw_fd(),
    };
    connection.session.writes_to = &raw const other;
    black_box(tapped)(&raw const *connection.session, 1, b"hello".as_ptr(), 5);
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::DATA, Kind::HOOKS, Kind::PASSED]);
    assert_eq!(data(&records[0]).2, b"hello");
    assert_eq!(refused(&records[1]), HooksRefused::NO_SOCKET);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn what_a_connection_writes_that_a_lift_does_not_serve_is_a_hole() {
    let mut connection = Connection::open(TargetFlags::default());
    connection.method.name += 1;
    connection.become_known();
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(
        kinds,
        [Kind::CONNECTION, Kind::HOOKS, Kind::PASSED],
        "no calls are watched"
    );
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_connection_whose_bio_is_not_the_library_s_own_is_left_to_its_calls() {
    // The calls of this process are watched, or those of every process.
    for (flags, every) in [
        (Calls::BOTH.flags(), TargetFlags::default()),
        (TargetFlags::default(), TargetFlags::WRITE_CALLS),
    ] {
        let mut connection = Connection::open(flags);
        let config = SiteConfig {
            calls: u8::try_from(every.0).unwrap(),
            ..CONFIG
        };
        Tables(&mut connection.own.ebpf).configure(0, config).unwrap();
        connection.method.name += 1;
        connection.become_known();
        connection.send(1, 23, b"hello");
        let records = connection.own.records();
        let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
        assert_eq!(
            kinds,
            [Kind::CONNECTION, Kind::HOOKS],
            "its calls are watched, so nothing is lost"
        );
        assert_eq!(refused(&records[1]), HooksRefused::WRITE_BIO);
    }
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn eight_full_records_at_once_are_believed_and_no_byte_more() {
    let bytes = vec![b'x'; usize::try_from(MAX_HIT_BYTES).unwrap() + 1];
    let mut connection = Connection::known();
    connection.send(8, 23, &bytes[1..]);
    connection.send(9, 23, &bytes);
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::DATA, Kind::HOOKS, Kind::PASSED]);
    let whole = DataRecord::read_from_prefix(&records[0]).unwrap().0;
    assert_eq!(whole.call_length, MAX_HIT_BYTES);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn what_is_no_content_of_a_record_is_not_reported() {
    let mut connection = Connection::known();
    connection.send(1, 23, b"hello");
    connection.session.bytes = 1 << 40;
    connection.session.sequence = 2_u64.to_be();
    connection.push();
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::DATA, Kind::HOOKS, Kind::PASSED]);
    assert_eq!(refused(&records[1]), HooksRefused::IMPLAUSIBLE);
}

/// Clears a connection for another one.
#[inline(never)]
extern "C" fn clear(session: *const Session) {
    black_box(session);
}

impl Connection {
    /// Opens a connection that is seen to be cleared, and clears it.
    fn cleared() -> Self {
        let mut connection = Self::open(TargetFlags::default());
        let site = connection.own.site(CONFIG, SiteOperands::OBJECT);
        let cookie = Cookie::new(site, Role::Clear);
        connection
            .own
            .attach(Program::ConnectionEnd, clear as *const () as usize, cookie);
        black_box(clear)(&raw const *connection.session);
        connection
    }
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_client_that_was_cleared_is_seen_from_its_first_write_on() {
    let mut connection = Connection::cleared().after_handshake();
    connection.send(1, 22, b"finished");
    connection.send(1, 23, b"hello");
    let records = connection.own.records();
    assert_eq!(data(&records[0]).2, b"hello");
    assert!(header(&records[0]).flags.contains(RecordFlags::FROM_START));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_write_before_its_connection_is_known_is_a_hole() {
    let mut connection = Connection::cleared();
    // Early data, before anything was read.
    connection.send(1, 23, b"early");
    connection.become_known();
    connection.send(1, 22, b"finished");
    connection.send(1, 23, b"hello");
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::CONNECTION, Kind::PASSED, Kind::DATA]);
    assert!(!header(&records[2]).flags.contains(RecordFlags::FROM_START));
    assert_eq!(data(&records[2]).1, STRETCH);
}
