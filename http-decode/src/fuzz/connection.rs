//! Any operations on a connection.

use super::operation::{Operation, operations};
use super::outputs::Outputs;
use crate::{Chunk, Connection, Direction, Ended, Gap, GapCause, Limits, Settings, Timestamp};

/// Applies the operations in `data` to a connection with small limits, and checks its memory and its outputs.
pub(super) fn connection(data: &[u8]) {
    let limits = Limits {
        max_held_bytes: 600,
        max_held_chunks: 8,
        max_queued_bytes: 4000,
        ..Limits::DEFAULT
    };
    let mut connection = Connection::new(Settings { limits, hold_ns: 5 });
    let mut positions = [0_u64; 2];
    let mut outputs = Outputs::default();
    for (at, operation) in (0_u64..).zip(operations(data)) {
        apply(&mut connection, &operation, &mut positions, Timestamp(at));
        assert!(
            connection.held_bytes() <= limits.max_connection_bytes(),
            "{} bytes held",
            connection.held_bytes()
        );
        if operation.kind & 0x60 != 0x60 {
            outputs.drain(&mut connection);
        }
    }
    connection.finish(Timestamp(u64::MAX));
    outputs.drain(&mut connection);
    assert_eq!(connection.held_bytes(), 0, "nothing is held in the end");
}

/// Applies one operation. Its lowest bits are the direction and whether a call continues; the next three are its kind.
fn apply(connection: &mut Connection, operation: &Operation<'_>, positions: &mut [u64; 2], now: Timestamp) {
    let Operation { kind, bytes } = *operation;
    let [read, written] = positions;
    let (direction, position) = if kind & 1 == 0 {
        (Direction::Read, read)
    } else {
        (Direction::Write, written)
    };
    let length = bytes.len() as u64;
    let chunk = Chunk {
        position: *position,
        at: now,
        origin: 0,
        call_start: kind & 2 == 0,
        bytes,
    };
    match kind >> 2 & 7 {
        0..=2 => {
            *position += length;
            connection.push(direction, chunk);
        }
        3 => connection.push(
            direction,
            Chunk {
                position: position.saturating_sub(20) + length * 3,
                ..chunk
            },
        ),
        4 => *position += length,
        5 => {
            connection.gap(Gap {
                direction,
                position: *position,
                span: length,
                cause: GapCause::OverLimit,
                at: None,
            });
            *position += length;
        }
        6 => connection.settle(now),
        _ if kind & 0xe0 == 0xe0 => connection.close(now, Ended::Closed, Some(*positions)),
        _ => connection.tick(now),
    }
}
