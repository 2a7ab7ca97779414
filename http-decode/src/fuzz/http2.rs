//! HTTP/2 frames of any type in any order, some of them in two calls, some lost.

use super::outputs::Outputs;
use crate::{Chunk, Connection, Direction, Ended, Settings, Timestamp};

/// The positions and the time of a connection.
#[derive(Default)]
struct Tape {
    positions: [u64; 2],
    now: u64,
}

/// Pushes frames as `data` says, and checks the outputs.
pub(super) fn http2(data: &[u8]) {
    let settings = Settings {
        hold_ns: 20,
        ..Settings::default()
    };
    let (mut connection, mut outputs, mut tape) = (Connection::new(settings), Outputs::default(), Tape::default());
    for [what, stream, length] in data.as_chunks().0 {
        tape.now += 1;
        let now = Timestamp(tape.now);
        let direction = if what & 1 == 0 {
            Direction::Read
        } else {
            Direction::Write
        };
        match what >> 1 & 15 {
            0 => connection.settle(now),
            1 => {
                tape.now += u64::from(*length);
                connection.tick(Timestamp(tape.now));
            }
            kind => {
                let frame = frame(kind, stream % 16, *length);
                tape.push(&mut connection, direction, what >> 5, &frame);
            }
        }
        outputs.drain(&mut connection);
        assert!(!outputs.ended_by_connection, "the connection goes on");
    }
    connection.close(Timestamp(tape.now), Ended::Closed, Some(tape.positions));
    outputs.drain(&mut connection);
    assert_eq!(connection.held_bytes(), 0, "nothing is held in the end");
}

/// Makes a frame, or bytes that look like the beginning of one.
fn frame(kind: u8, stream: u8, length: u8) -> Vec<u8> {
    let content = vec![length; length.into()];
    let (kind, flags, payload): (u8, u8, &[u8]) = match kind {
        // GET https /, :status: 200, and a reference to an entry that was not seen.
        2 | 3 => (1, 5, &[0x82, 0x87, 0x84]),
        4 => (1, 4, &[0x82, 0x87, 0x84, 0xbe]),
        5 | 6 => (1, 4, &[0x88]),
        7 => (1, 5, &[0x88]),
        8 => (1, 5, &[0xbe]),
        9 => (0, 0, &content),
        10 | 11 => (0, 1, &content),
        12 => (3, 0, &[0, 0, 0, 8]),
        13 => (9, 4, &[0xbe]),
        14 => (0xfa, 0xff, &content),
        _ => return vec![0, length, 9, 0, 0, 0, 0, 0, stream],
    };
    let size = u8::try_from(payload.len()).unwrap_or(u8::MAX);
    [&[0, 0, size, kind, flags, 0, 0, 0, stream], payload].concat()
}

impl Tape {
    /// Pushes a frame in one call or in two, of which the first or the second may be lost.
    fn push(&mut self, connection: &mut Connection, direction: Direction, how: u8, frame: &[u8]) {
        let (header, payload) = frame.split_at(frame.len().min(9));
        match how {
            0 | 1 => self.call(connection, direction, frame),
            2 | 3 => {
                self.call(connection, direction, header);
                self.call(connection, direction, payload);
            }
            4 => {
                self.advance(direction, header);
                self.call(connection, direction, payload);
            }
            5 => {
                self.call(connection, direction, header);
                self.advance(direction, payload);
            }
            6 => {
                self.advance(direction, frame);
            }
            _ => {
                let (first, second) = frame.split_at(4);
                self.call(connection, direction, first);
                self.call(connection, direction, second);
            }
        }
    }

    fn call(&mut self, connection: &mut Connection, direction: Direction, bytes: &[u8]) {
        let position = self.advance(direction, bytes);
        let chunk = Chunk {
            position,
            at: Timestamp(self.now),
            origin: 0,
            call_start: true,
            bytes,
        };
        if !bytes.is_empty() {
            connection.push(direction, chunk);
        }
    }

    /// Advances the position over bytes, captured or not, and returns the position of the first.
    fn advance(&mut self, direction: Direction, bytes: &[u8]) -> u64 {
        let position = match direction {
            Direction::Read => &mut self.positions[0],
            Direction::Write => &mut self.positions[1],
        };
        let first = *position;
        *position += bytes.len() as u64;
        first
    }
}
