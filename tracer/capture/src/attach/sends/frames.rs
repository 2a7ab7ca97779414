//! Lifts whose operands are in a frame of the stack.

use std::{arch::naked_asm, hint::black_box};

use tracer_ebpf::{Guard, Kind, Operand, Place, SiteOperands, TargetFlags, Width};

use super::{Connection, SEND, TAPPED, at, header, tapped};

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

/// A connection whose lift has its operands in the frame.
fn connection() -> Connection {
    let code = (framed as *const ()).addr() + BEHIND_CALL;
    let distance = code.cast_signed() - (tapped as *const ()).addr().cast_signed();
    let tapped_at = SiteOperands {
        code_distance: distance.try_into().unwrap(),
        ..TAPPED
    };
    let sent = SiteOperands {
        buffer: in_frame(24, Width::U64),
        length: in_frame(32, Width::U64),
        guards: [Guard::new(in_frame(16, Width::U8), 23), Guard::NONE],
        ..SEND
    };
    Connection::open_with(TargetFlags::default(), tapped_at, sent).after_handshake()
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_record_in_a_frame_is_found_by_where_its_call_returns_to() {
    let mut connection = connection();
    connection.send_framed(1, 22, b"finished");
    connection.send_framed(2, 23, b"hello");
    // From another call: what is left of a record, and one of another kind.
    connection.push();
    connection.session.sequence = 3_u64.to_be();
    connection.push();
    connection.send_framed(4, 23, b"again");
    assert_eq!(connection.written(), [at(0, b"hello"), at(5, b"again")]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_client_s_first_record_may_have_the_number_of_its_last_one_of_the_handshake() {
    let mut connection = connection();
    connection.session.sequence = 1_u64.to_be();
    connection.push();
    connection.send_framed(1, 23, b"hello");
    assert_eq!(connection.written(), [at(0, b"hello")]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn records_that_are_in_no_frame_are_left_to_the_calls() {
    let mut connection = connection();
    connection.send_framed(1, 23, b"hello");
    for sequence in 2..6_u64 {
        connection.session.sequence = sequence.to_be();
        connection.push();
    }
    let records = connection.own.records();
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [Kind::DATA, Kind::HOOKS, Kind::PASSED]);
}
