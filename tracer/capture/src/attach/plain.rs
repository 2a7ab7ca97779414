//! Sockets without TLS: both ends of a connection are in this process.

use std::{
    io::{IoSlice, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    path::Path,
};

use tracer_ebpf::{
    AddressSource, Carrier, ConnectionRecord, Cookie, DataRecord, Direction, EndRecord, KernelOffsets, Kind,
    PLAIN_SITE, PassedCause, PassedRecord, PlainState, RecordFlags, Role, SiteConfig, SiteOperands, SocketState,
    TargetFlags,
};
use zerocopy::FromBytes as _;

use super::{
    Kernel,
    batch::read_named,
    operands::tests::{Own, data, header},
    sockets,
};

const REQUEST: &[u8] = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The programs at sockets, attached for this process.
struct Sockets(Own);

impl Sockets {
    fn watch() -> Self {
        let offsets: KernelOffsets = Kernel::describe(Path::new("/sys/kernel/btf/vmlinux")).offsets;
        let mut own = Own::load_on(offsets, TargetFlags::default());
        assert_eq!(own.site(SiteConfig::NONE, SiteOperands::OBJECT), PLAIN_SITE);
        assert_eq!(sockets::Sockets::default().attach_plain(&mut own.ebpf).unwrap(), None);
        assert!(sockets::attach(&mut own.ebpf, false).unwrap().missing.is_empty());
        Self(own)
    }

    /// Returns what each end has moved since.
    fn moved(&mut self) -> Moved {
        Moved(self.0.records())
    }

    fn states(&self) -> Vec<PlainState> {
        let mut states = Vec::new();
        read_named(&self.0.ebpf, "SOCKETS", |_: u64, socket: SocketState| {
            states.push(socket.plain);
        })
        .unwrap();
        states
    }
}

/// Opens a connection over TCP: the end that connected, and the one that was accepted.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Records.
struct Moved(Vec<Vec<u8>>);

impl Moved {
    /// Returns the socket that is bound to a port, by the record of its addresses.
    fn socket(&self, port: u16) -> u64 {
        let of_kind = |record: &&Vec<u8>| header(record).kind == Kind::CONNECTION;
        let introduced = self.0.iter().filter(of_kind);
        let mut introduced = introduced.map(|record| ConnectionRecord::read_from_prefix(record).unwrap().0);
        let found = introduced.find(|record| record.local_port == port).unwrap();
        assert_eq!(found.source, AddressSource::SOCKET);
        found.header.object
    }

    /// Returns the bytes that a socket has moved in a direction, with their positions.
    fn bytes(&self, object: u64, direction: Direction) -> Vec<(u64, Vec<u8>)> {
        let of = |record: &&Vec<u8>| {
            let header = header(record);
            header.kind == Kind::DATA && header.object == object && header.direction == direction
        };
        let bytes = self.0.iter().filter(of).map(|record| data(record));
        bytes.map(|(_, position, bytes)| (position, bytes.to_vec())).collect()
    }

    fn passed(&self) -> Vec<(Direction, u64, u64, PassedCause)> {
        let passed = self.0.iter().filter(|record| header(record).kind == Kind::PASSED);
        let passed = passed.map(|record| PassedRecord::read_from_prefix(record).unwrap().0);
        passed
            .map(|record| (record.header.direction, record.position, record.span, record.cause))
            .collect()
    }

    fn ends(&self) -> Vec<(u64, [u64; 2])> {
        let ends = self.0.iter().filter(|record| header(record).kind == Kind::END);
        let ends = ends.map(|record| EndRecord::read_from_prefix(record).unwrap().0);
        ends.map(|end| (end.header.object, [end.read, end.written])).collect()
    }
}

fn at(position: u64, bytes: &[u8]) -> (u64, Vec<u8>) {
    (position, bytes.to_vec())
}

/// Reads as many bytes as are expected, in one call.
fn receive(stream: &mut impl std::io::Read, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn both_ends_of_a_connection_are_captured_from_its_start_to_its_end() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    let ports = [&client, &server].map(|end| end.local_addr().unwrap().port());
    client.write_all(REQUEST).unwrap();
    receive(&mut server, REQUEST);
    server.write_all(RESPONSE).unwrap();
    receive(&mut client, RESPONSE);
    drop(client);
    drop(server);
    let moved = sockets.moved();
    let [asking, answering] = ports.map(|port| moved.socket(port));
    assert_eq!(moved.bytes(asking, Direction::WRITE), [at(0, REQUEST)]);
    assert_eq!(moved.bytes(asking, Direction::READ), [at(0, RESPONSE)]);
    assert_eq!(moved.bytes(answering, Direction::READ), [at(0, REQUEST)]);
    assert_eq!(moved.bytes(answering, Direction::WRITE), [at(0, RESPONSE)]);
    let (asked, answered) = (REQUEST.len() as u64, RESPONSE.len() as u64);
    let mut ends = moved.ends();
    let mut expected = [(asking, [answered, asked]), (answering, [asked, answered])];
    ends.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ends, expected);
    for record in moved.0.iter().filter(|record| header(record).kind == Kind::DATA) {
        let header = header(record);
        assert!(header.flags.contains(RecordFlags::FROM_START));
        let role = if header.direction == Direction::READ {
            Role::Read
        } else {
            Role::Write
        };
        assert_eq!(
            header.cookie,
            Cookie::new(PLAIN_SITE, role).with_carrier(Carrier::PLAIN)
        );
    }
    assert!(sockets.states().is_empty() && sockets.0.connections().is_empty());
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn another_protocol_is_left_alone_after_its_first_bytes() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    client.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    receive(&mut server, b"*1\r\n$4\r\nPING\r\n");
    client.write_all(REQUEST).unwrap();
    receive(&mut server, REQUEST);
    assert!(sockets.moved().0.is_empty());
    assert_eq!(sockets.states(), [PlainState::OTHER; 2]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_in_several_buffers_have_the_positions_of_their_stream() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    let (first, rest) = REQUEST.split_at(4);
    let (second, third) = rest.split_at(16);
    let buffers = [first, &[], second, third];
    let sent = client.write_vectored(&buffers.map(IoSlice::new)).unwrap();
    assert_eq!(sent, REQUEST.len());
    receive(&mut server, REQUEST);
    let moved = sockets.moved();
    let object = moved.socket(client.local_addr().unwrap().port());
    let expected = [at(0, first), at(4, second), at(20, third)];
    assert_eq!(moved.bytes(object, Direction::WRITE), expected);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_that_are_peeked_at_are_captured_once() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    client.write_all(REQUEST).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(server.peek(&mut bytes).unwrap(), 8);
    receive(&mut server, REQUEST);
    let moved = sockets.moved();
    let object = moved.socket(server.local_addr().unwrap().port());
    assert_eq!(moved.bytes(object, Direction::READ), [at(0, REQUEST)]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_of_a_file_pass_with_their_number() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    // SAFETY: both descriptors are open, and there is no offset.
    let sent = unsafe { libc::sendfile(server.as_raw_fd(), file.as_raw_fd(), std::ptr::null_mut(), 1000) };
    let sent = usize::try_from(sent).unwrap();
    server.write_all(RESPONSE).unwrap();
    let mut bytes = vec![0; 19 + sent + RESPONSE.len()];
    client.read_exact(&mut bytes).unwrap();
    let moved = sockets.moved();
    assert_eq!(
        moved.passed(),
        [(Direction::WRITE, 19, sent as u64, PassedCause::SENDFILE)]
    );
    let object = moved.socket(server.local_addr().unwrap().port());
    let expected = [at(0, b"HTTP/1.1 200 OK\r\n\r\n"), at(19 + sent as u64, RESPONSE)];
    assert_eq!(moved.bytes(object, Direction::WRITE), expected);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_that_no_program_sees_are_missed_at_the_next_ones() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    client.write_all(REQUEST).unwrap();
    receive(&mut server, REQUEST);
    client.write_all(b"content").unwrap();
    let (_receiver, sender) = std::io::pipe().unwrap();
    let (from, to, nowhere) = (server.as_raw_fd(), sender.as_raw_fd(), std::ptr::null_mut());
    // SAFETY: both descriptors are open, and there are no offsets.
    let spliced = unsafe { libc::splice(from, nowhere, to, nowhere, 7, 0) };
    assert_eq!(spliced, 7);
    client.write_all(REQUEST).unwrap();
    receive(&mut server, REQUEST);
    let moved = sockets.moved();
    let position = REQUEST.len() as u64;
    assert_eq!(
        moved.passed(),
        [(Direction::READ, position, 7, PassedCause::NOT_CAPTURED)]
    );
    let object = moved.socket(server.local_addr().unwrap().port());
    let expected = [at(0, REQUEST), at(position + 7, REQUEST)];
    assert_eq!(moved.bytes(object, Direction::READ), expected);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_connection_older_than_the_trace_is_seen_from_its_next_turn_on() {
    let (mut client, mut server) = connection();
    client.write_all(b"old").unwrap();
    receive(&mut server, b"old");
    let mut sockets = Sockets::watch();
    client.write_all(b"middle").unwrap();
    receive(&mut server, b"middle");
    client.write_all(REQUEST).unwrap();
    receive(&mut server, REQUEST);
    assert!(sockets.moved().0.is_empty(), "it may be content");
    server.write_all(RESPONSE).unwrap();
    receive(&mut client, RESPONSE);
    let moved = sockets.moved();
    let object = moved.socket(client.local_addr().unwrap().port());
    assert_eq!(moved.bytes(object, Direction::READ), [at(0, RESPONSE)]);
    let record = moved.0.iter().find(|record| header(record).kind == Kind::DATA).unwrap();
    assert!(!header(record).flags.contains(RecordFlags::FROM_START));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_frame_of_http_2_begins_a_connection_that_is_older_than_the_trace_and_no_other() {
    const HEADERS: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x03\x82";
    const DATA: &[u8] = b"\0\0\x02\0\x01\0\0\0\x01ok";
    let (mut client, mut server) = connection();
    client.write_all(DATA).unwrap();
    receive(&mut server, DATA);
    let mut sockets = Sockets::watch();
    server.write_all(DATA).unwrap();
    receive(&mut client, DATA);
    client.write_all(HEADERS).unwrap();
    receive(&mut server, HEADERS);
    let (mut other, mut answering) = connection();
    other.write_all(HEADERS).unwrap();
    receive(&mut answering, HEADERS);
    let moved = sockets.moved();
    let socket = moved.socket(server.local_addr().unwrap().port());
    assert_eq!(moved.bytes(socket, Direction::READ), [at(0, HEADERS)]);
    assert_eq!(moved.bytes(socket, Direction::WRITE), []);
    let records = moved.0.iter().map(|record| header(record));
    let captured: Vec<_> = records.filter(|header| header.kind == Kind::DATA).collect();
    assert_eq!(captured.len(), 2, "both ends of the older connection");
    assert!(
        captured
            .iter()
            .all(|header| !header.flags.contains(RecordFlags::FROM_START))
    );
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_peer_that_has_ended_is_no_byte() {
    let mut sockets = Sockets::watch();
    let (mut client, mut server) = connection();
    server.write_all(b"HTTP/1.1 200 OK\r\n\r\nbody").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    client.write_all(REQUEST).unwrap();
    assert_eq!(sockets.moved().passed(), []);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_unix_socket_is_captured_and_its_address_used_again_is_another_connection() {
    let mut sockets = Sockets::watch();
    let mut generations = Vec::new();
    for _ in 0..50 {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        client.write_all(REQUEST).unwrap();
        receive(&mut server, REQUEST);
        let moved = sockets.moved();
        let of_data = moved.0.iter().filter(|record| header(record).kind == Kind::DATA);
        let of_data: Vec<_> = of_data
            .map(|record| DataRecord::read_from_prefix(record).unwrap().0)
            .collect();
        assert_eq!(of_data.len(), 2);
        assert!(of_data.iter().all(|record| record.position == 0));
        generations.extend(
            of_data
                .iter()
                .map(|record| (record.header.object, record.header.generation)),
        );
    }
    let objects: std::collections::BTreeSet<_> = generations.iter().map(|(object, _)| object).collect();
    assert!(objects.len() < generations.len(), "no address was used again");
    let all: std::collections::BTreeSet<_> = generations.iter().collect();
    assert_eq!(all.len(), generations.len());
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn datagrams_and_failures_are_no_connection() {
    let mut sockets = Sockets::watch();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(socket.local_addr().unwrap()).unwrap();
    socket.send(REQUEST).unwrap();
    let (client, _server) = connection();
    client.set_nonblocking(true).unwrap();
    let blocked = (&client).read(&mut [0; 8]).unwrap_err();
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    assert!(sockets.moved().0.is_empty() && sockets.states().is_empty());
}
