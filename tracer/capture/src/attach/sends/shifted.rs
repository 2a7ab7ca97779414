//! Plans that are wrong on purpose: the place of one operand of a lift is off by eight bytes.

use tracer_ebpf::{Guard, HooksRefused, Kind, Operand, SiteOperands};

use super::{Connection, SEND, data, header, refused};
use crate::limits::CHECKED_CALLS;

const RECORD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

const fn shifted(operand: Operand, by: i16) -> Operand {
    Operand {
        loads: [operand.loads[0] + by, operand.loads[1]],
        ..operand
    }
}

/// Writes records while calls are probed too; returns why the lift was refused, and what was reported since.
fn refusal(sent: SiteOperands) -> (HooksRefused, Vec<Vec<u8>>) {
    let mut connection = Connection::checked_with(sent);
    for sequence in 1..=CHECKED_CALLS {
        connection.write_record(sequence, RECORD);
    }
    let mut records = connection.own.records();
    let refusals = records.iter().filter(|record| header(record).kind == Kind::HOOKS);
    assert_eq!(refusals.count(), 1, "{sent:?}");
    let at = records
        .iter()
        .position(|record| header(record).kind == Kind::HOOKS)
        .unwrap();
    let behind = records.split_off(at + 1);
    (refused(&records[at]), behind)
}

fn assert_dropped(sent: SiteOperands, causes: &[HooksRefused]) {
    let (cause, behind) = refusal(sent);
    assert!(causes.contains(&cause), "{cause:?} of {sent:?}");
    let mut written = behind.iter().filter(|record| header(record).kind == Kind::DATA);
    assert!(written.clone().count() > 50, "the calls report");
    assert!(written.all(|record| data(record).2 == RECORD), "{sent:?}");
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_lift_whose_buffer_is_eight_bytes_off_is_dropped() {
    for by in [-8, 8] {
        let sent = SiteOperands {
            buffer: shifted(SEND.buffer, by),
            ..SEND
        };
        assert_dropped(sent, &[HooksRefused::MISMATCH]);
    }
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_lift_whose_count_is_eight_bytes_off_is_dropped() {
    for by in [-8, 8] {
        let sent = SiteOperands {
            count: shifted(SEND.count, by),
            ..SEND
        };
        assert_dropped(sent, &[HooksRefused::MISMATCH, HooksRefused::IMPLAUSIBLE]);
    }
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_lift_whose_sequence_or_type_is_eight_bytes_off_is_dropped() {
    for by in [-8, 8] {
        let sequence = SiteOperands {
            sequence: shifted(SEND.sequence, by),
            ..SEND
        };
        let [guard, other] = SEND.guards;
        let kind = SiteOperands {
            guards: [Guard::new(shifted(guard.operand, by), 23), other],
            ..SEND
        };
        for sent in [sequence, kind] {
            assert_dropped(sent, &[HooksRefused::UNSEEN, HooksRefused::MISMATCH]);
        }
    }
}
