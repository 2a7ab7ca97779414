//! Calls that confirm, or refute, what a lift brings.

use std::hint::black_box;

use tracer_ebpf::{Cookie, HooksRefused, Kind, Operand, Role, STRETCH, SiteOperands, Width};

use super::{CONFIG, Connection, SEND, Session, TAPPED, data, header, refused};
use crate::attach::{Calls, program::Program};

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
        Self::checked_with(SEND)
    }

    /// The same, with a lift of certain operands.
    pub(super) fn checked_with(sent: SiteOperands) -> Self {
        let mut connection = Self::open_with(Calls::BOTH.flags(), TAPPED, sent);
        let site = connection.own.site(CONFIG, WRITE);
        for program in [Program::CallReturn, Program::CallEntry] {
            let cookie = Cookie::new(site, Role::Write);
            connection.own.attach(program, write as *const () as usize, cookie);
        }
        connection.after_handshake()
    }

    fn write(&mut self, sends: &[(u64, &[u8])], result: isize) {
        self.write_from(b"whatever was written", sends, result);
    }

    /// Writes some bytes as one record.
    pub(super) fn write_record(&mut self, sequence: u64, bytes: &[u8]) {
        self.write_from(bytes, &[(sequence, bytes)], bytes.len().cast_signed());
    }

    fn write_from(&mut self, bytes: &[u8], sends: &[(u64, &[u8])], result: isize) {
        let session: *const Session = &raw const *self.session;
        let plan = Plan { sends, result };
        black_box(write)(session, bytes.as_ptr(), bytes.len(), self, &plan);
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
        (header(&records[0]).object, 9 + STRETCH, b"whate".as_slice())
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
