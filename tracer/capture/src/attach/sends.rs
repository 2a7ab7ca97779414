//! Lifts: this process sends through a socket what stands for records of a library.

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
};

use tracer_ebpf::{
    Cookie, Guard, HooksRecord, HooksRefused, Kind, Operand, PassedRecord, Place, Role, STRETCH, SiteConfig,
    SiteOperands, TargetFlags, Width,
};
use zerocopy::FromBytes as _;

use super::{
    Kernel,
    operands::tests::{Own, data, header},
    program::Program,
    sockets::Sockets,
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

/// As the copy out of the record layer: here only of a handshake, which makes the connection known.
#[inline(never)]
extern "C" fn tapped(session: *const Session) {
    black_box(session);
}

const TAPPED: SiteOperands = SiteOperands {
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
    _sockets: Sockets,
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
        let mut sockets = Sockets::default();
        assert_eq!(sockets.watch_sends(&mut own.ebpf).unwrap(), []);
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
        });
        Self {
            own,
            session,
            bio,
            method,
            stream,
            peer,
            _sockets: sockets,
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
        black_box(tapped)(&raw const *self.session);
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
fn a_connection_whose_bio_is_not_the_library_s_own_is_left_to_its_calls() {
    let mut connection = Connection::open(TargetFlags::CALLS);
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

/// What a write does: records that it sends, each with its number, and its result.
struct Plan<'a> {
    sends: &'a [(u64, &'a [u8])],
    result: isize,
}

/// Writes as a library does.
#[inline(never)]
extern "C" fn write(
    session: *const Session,
    from: *const u8,
    room: usize,
    connection: &mut Connection,
    plan: &Plan<'_>,
) -> isize {
    black_box((session, from, room));
    for (sequence, bytes) in plan.sends {
        connection.send(*sequence, 23, bytes);
    }
    black_box(plan.result)
}

const WRITE: SiteOperands = SiteOperands {
    buffer: Operand::argument(1, Width::U64),
    length: Operand::argument(2, Width::U64),
    count: Operand::result(Width::S64),
    result: Operand::result(Width::S64),
    ..SiteOperands::OBJECT
};

impl Connection {
    /// Opens a connection whose calls are watched as well.
    fn checked() -> Self {
        let mut connection = Self::open(TargetFlags::CALLS);
        let site = connection.own.site(CONFIG, WRITE);
        for program in [Program::CallReturn, Program::CallEntry] {
            let cookie = Cookie::new(site, Role::Write);
            connection.own.attach(program, write as *const () as usize, cookie);
        }
        connection.after_handshake()
    }

    fn write(&mut self, sends: &[(u64, &[u8])], result: isize) {
        let session: *const Session = &raw const *self.session;
        let plan = Plan { sends, result };
        black_box(write)(session, b"whatever was written".as_ptr(), 20, self, &plan);
    }
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn calls_confirm_a_lift_also_over_failures_and_parts() {
    let mut connection = Connection::checked();
    connection.write(&[(1, b"hello")], 5);
    // It has sent two records as it fails, and succeeds with nothing left to send.
    connection.write(&[(2, b"abcde"), (3, b"fghij")], -1);
    connection.write(&[], 10);
    // It returns what is sent, while the next record is under way.
    connection.write(&[(4, b"klmno"), (5, b"pqrst")], 5);
    connection.write(&[], 5);
    connection.write(&[(6, b"end")], 3);
    let written: Vec<u8> = connection.written().into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(written, b"helloabcdefghijklmnopqrstend");
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_lift_that_brings_another_number_of_bytes_is_given_up() {
    let mut connection = Connection::checked();
    connection.write(&[(1, b"hello")], 5);
    connection.write(&[(2, b"agai")], 5);
    connection.write(&[(3, b"other")], 5);
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::DATA, Kind::DATA, Kind::HOOKS, Kind::PASSED, Kind::DATA]);
    assert_eq!(refused(&records[2]), HooksRefused::MISMATCH);
    assert_eq!(
        data(&records[4]),
        (header(&records[0]).ssl, 9 + STRETCH, b"whate".as_slice())
    );
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_lift_that_is_wrong_from_the_first_call_on_is_noticed() {
    let mut connection = Connection::checked();
    for sequence in 1..10 {
        connection.write(&[(sequence, b"hell")], 5);
    }
    let records = connection.own.records();
    let (refusal, _): (Vec<_>, Vec<_>) = records.iter().partition(|record| header(record).kind == Kind::HOOKS);
    assert_eq!((refusal.len(), refused(refusal[0])), (1, HooksRefused::MISMATCH));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_lift_that_no_send_reaches_loses_nothing_while_calls_are_watched() {
    let mut connection = Connection::checked();
    connection.write(&[], 5);
    connection.write(&[], 5);
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::HOOKS, Kind::DATA, Kind::DATA]);
}

#[cfg(target_arch = "x86_64")]
mod frames {
    use std::arch::naked_asm;

    use super::*;

    /// Has what it sends on its stack while it calls what sends it.
    #[unsafe(naked)]
    extern "C" fn framed(
        from: *const u8,
        bytes: usize,
        kind: u64,
        send: extern "C" fn(&mut Connection),
        connection: &mut Connection,
    ) {
        naked_asm!(
            "sub rsp, 40",
            "mov [rsp + 8], rdx",
            "mov [rsp + 16], rdi",
            "mov [rsp + 24], rsi",
            "mov rdi, r8",
            "call rcx",
            "add rsp, 40",
            "ret",
        )
    }

    /// Where its call returns to.
    const BEHIND_CALL: usize = 24;

    extern "C" fn push(connection: &mut Connection) {
        connection.push();
    }

    const fn in_frame(offset: i16, width: Width) -> Operand {
        Operand {
            loads: [offset, Operand::UNKNOWN],
            ..Operand::at(Place::FRAME, width)
        }
    }

    impl Connection {
        fn send_framed(&mut self, sequence: u64, kind: u64, bytes: &[u8]) {
            (self.session.sequence, self.session.bytes) = (sequence.to_be(), bytes.len() as u64);
            black_box(framed)(bytes.as_ptr(), bytes.len(), kind, push, self);
        }
    }

    #[test]
    #[ignore = "needs the privilege to place probes: scripts/test runs it"]
    fn a_record_in_a_frame_is_found_by_where_its_call_returns_to() {
        let code = (framed as *const ()).addr() + BEHIND_CALL;
        let distance = code.cast_signed() - (tapped as *const ()).addr().cast_signed();
        let tapped_at = SiteOperands {
            behind_lift: distance.try_into().unwrap(),
            ..TAPPED
        };
        let sent = SiteOperands {
            buffer: in_frame(24, Width::U64),
            length: in_frame(32, Width::U64),
            guards: [Guard::new(in_frame(16, Width::U8), 23), Guard::NONE],
            ..SEND
        };
        let mut connection = Connection::open_with(TargetFlags::default(), tapped_at, sent).after_handshake();
        connection.send_framed(1, 22, b"finished");
        connection.send_framed(2, 23, b"hello");
        // From another call: what is left of a record, and one of another kind.
        connection.push();
        connection.session.sequence = 3_u64.to_be();
        connection.push();
        connection.send_framed(4, 23, b"again");
        assert_eq!(connection.written(), [at(0, b"hello"), at(5, b"again")]);
    }
}
