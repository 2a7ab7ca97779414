//! Taps whose bytes are in several pieces, and records that are looked for in what the process sends.

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use tracer_ebpf::{
    AddressSource, ConnectionRecord, Cookie, Guard, Kind, MAX_TAP_PIECES, Operand, Pieces, Role, SiteConfig,
    SiteOperands, TargetFlags, Width,
};
use zerocopy::FromBytes as _;

use crate::attach::{
    Kernel,
    operands::tests::{Own, data, header},
    program::Program,
    sockets::Sockets,
    tables::Tables,
};

/// As what encrypts a record of rustls: the place of the result, the object, and the message, of which the type follows the
/// pieces.
#[inline(never)]
extern "C" fn encrypt(result: usize, object: usize, message: *const Message) {
    black_box((result, object, message));
}

#[repr(C)]
struct Message {
    pieces: Pieces,
    kind: u8,
}

const ENCRYPT: SiteOperands = SiteOperands {
    object: Operand::argument(1, Width::U64),
    pieces: Operand::argument(2, Width::U64),
    guards: [
        Guard::new(
            Operand {
                loads: [32, Operand::UNKNOWN],
                ..Operand::argument(2, Width::U8)
            },
            3,
        ),
        Guard::NONE,
    ],
    ..SiteOperands::OBJECT
};

const OBJECT: usize = 0x1000;
const DATA: u8 = 3;

fn encrypted(pieces: Pieces, kind: u8) {
    black_box(encrypt)(0, OBJECT, &raw const *black_box(&Message { pieces, kind }));
}

fn one(bytes: &[u8]) -> Pieces {
    Pieces {
        array: 0,
        number: bytes.as_ptr().addr() as u64,
        start: bytes.len() as u64,
        end: 0xdead,
    }
}

fn several(pieces: &[&[u8]], start: u64, end: u64) -> Pieces {
    Pieces {
        array: pieces.as_ptr().addr() as u64,
        number: pieces.len() as u64,
        start,
        end,
    }
}

/// Returns the positions and the bytes that were captured.
fn captured(own: &mut Own) -> Vec<(u64, Vec<u8>)> {
    let records = own.records();
    let moved = records.iter().filter(|record| header(record).kind == Kind::DATA);
    moved.map(|record| (data(record).1, data(record).2.to_vec())).collect()
}

fn load() -> (Own, u32) {
    let mut own = Own::load();
    let site = own.site(SiteConfig::NONE, ENCRYPT);
    own.attach(
        Program::TapPieces,
        encrypt as *const () as usize,
        Cookie::new(site, Role::Write),
    );
    (own, site)
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn the_pieces_of_a_record_are_captured_one_behind_the_other() {
    let (mut own, _) = load();
    encrypted(one(b"hello"), DATA);
    encrypted(several(&[b"abc", b"", b"defg", b"hi"], 0, 9), DATA);
    // The parts of a message that two records have.
    encrypted(several(&[b"abc", b"defg", b"hi"], 0, 5), DATA);
    encrypted(several(&[b"abc", b"defg", b"hi"], 5, 9), DATA);
    encrypted(one(b"finished"), 2);
    let expected: [(u64, &[u8]); 7] = [
        (0, b"hello"),
        (5, b"abc"),
        (8, b"defg"),
        (12, b"hi"),
        (14, b"abc"),
        (17, b"de"),
        (19, b"fg"),
    ];
    let found = captured(&mut own);
    let last = (21, b"hi".to_vec());
    let expected: Vec<_> = expected
        .map(|(at, bytes)| (at, bytes.to_vec()))
        .into_iter()
        .chain([last])
        .collect();
    assert_eq!(found, expected);
    own.switch.set(false).unwrap();
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn bytes_of_more_pieces_than_are_read_are_counted_and_stepped_over() {
    let (mut own, site) = load();
    let most = usize::try_from(MAX_TAP_PIECES).unwrap();
    let pieces = vec![b"x".as_slice(); most + 3];
    encrypted(several(&pieces, 0, MAX_TAP_PIECES), DATA);
    assert_eq!(captured(&mut own).len(), most);
    encrypted(several(&pieces, 0, MAX_TAP_PIECES + 3), DATA);
    assert_eq!(captured(&mut own).len(), most);
    encrypted(one(b"behind"), DATA);
    assert_eq!(captured(&mut own), [(2 * MAX_TAP_PIECES + 3, b"behind".to_vec())]);
    let counters = Tables(&mut own.ebpf).losses(1).unwrap();
    let site = &counters[usize::try_from(site).unwrap()];
    assert_eq!((site.fault_records, site.fault_bytes), (1, 3));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn pieces_that_cannot_be_read_are_counted_and_stepped_over() {
    let (mut own, site) = load();
    let nowhere = Pieces {
        array: 0x10,
        number: 2,
        start: 0,
        end: 7,
    };
    encrypted(nowhere, DATA);
    encrypted(one(b"behind"), DATA);
    assert_eq!(captured(&mut own), [(7, b"behind".to_vec())]);
    let counters = Tables(&mut own.ebpf).losses(1).unwrap();
    assert_eq!(counters[usize::try_from(site).unwrap()].fault_bytes, 7);
}

/// As the place behind the encryption of a record: the connection, and the record.
#[inline(never)]
extern "C" fn made(object: usize, record: *const u8, bytes: usize) {
    black_box((object, record, bytes));
}

const MADE: SiteOperands = SiteOperands {
    buffer: Operand::argument(1, Width::U64),
    length: Operand::argument(2, Width::U64),
    ..SiteOperands::OBJECT
};

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_record_whose_header_is_missing_leads_to_the_socket_that_sends_it() {
    let offsets = Kernel::describe(std::path::Path::new("/sys/kernel/btf/vmlinux")).offsets;
    let mut own = Own::load_on(offsets, TargetFlags::CIPHERTEXT);
    let tap = own.site(SiteConfig::NONE, ENCRYPT);
    own.attach(
        Program::TapPieces,
        encrypt as *const () as usize,
        Cookie::new(tap, Role::Write),
    );
    let record = own.site(SiteConfig::NONE, MADE);
    own.attach(
        Program::TapRecord,
        made as *const () as usize,
        Cookie::new(record, Role::Ciphertext),
    );
    let mut sockets = Sockets::default();
    assert_eq!(sockets.attach_lift(&mut own.ebpf).unwrap(), None);
    // Some kernels have no program for sockets of the UNIX domain.
    sockets.attach_ciphertext_lookup(&mut own.ebpf).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut bytes = [9; 5 + 40];
    bytes[..5].fill(0);
    // Nothing is known of the connection yet, so its record is not remembered.
    black_box(made)(OBJECT, bytes.as_ptr(), bytes.len());
    encrypted(one(b"hello"), DATA);
    black_box(made)(OBJECT, bytes.as_ptr(), bytes.len());
    bytes[..5].copy_from_slice(&[23, 3, 3, 0, 40]);
    stream.write_all(&bytes).unwrap();
    peer.read_exact(&mut [0; 45]).unwrap();
    let records = own.records();
    let known = records.iter().filter(|record| header(record).kind == Kind::CONNECTION);
    let known: Vec<_> = known
        .map(|record| ConnectionRecord::read_from_prefix(record).unwrap().0)
        .collect();
    let [unknown, found] = &known[..] else {
        panic!("{known:?}")
    };
    assert_eq!(unknown.local_port, 0);
    assert_eq!(found.source, AddressSource::CIPHERTEXT);
    assert_eq!(found.local_port, stream.local_addr().unwrap().port());
    assert_eq!(found.header.object, OBJECT as u64);
}
