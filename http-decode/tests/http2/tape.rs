//! A connection that is fed with calls.

use http_decode::{Chunk, Connection, Direction, Ended, Exchange, Limits, Output, Reason, Settings, Timestamp};

use super::format::{format_bytes, format_end, format_exchange, format_fields};
use super::wire;

pub(crate) const READ: Direction = Direction::Read;
pub(crate) const WRITE: Direction = Direction::Write;

/// A connection of a server. Each call gets the next position and the next time.
pub(crate) struct Tape {
    pub(crate) connection: Connection,
    limits: Limits,
    pub(crate) positions: [u64; 2],
    pub(crate) now: u64,
    pub(crate) outputs: Vec<Output>,
}

impl Tape {
    pub(crate) fn new() -> Self {
        Self::with(Limits::DEFAULT)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self {
            connection: Connection::new(Settings { limits, hold_ns: 1000 }),
            limits,
            positions: [0; 2],
            now: 0,
            outputs: Vec::new(),
        }
    }

    /// Returns a connection on which both sides have sent their preface.
    pub(crate) fn begun() -> Self {
        let mut tape = Self::new();
        tape.push(READ, wire::hello()).push(WRITE, wire::settings());
        tape
    }

    pub(crate) fn push(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.push_part(direction, bytes, true)
    }

    pub(crate) fn push_part(&mut self, direction: Direction, bytes: impl AsRef<[u8]>, call_start: bool) -> &mut Self {
        let bytes = bytes.as_ref();
        self.now += 10;
        let position = self.lose(direction, bytes.len());
        let chunk = Chunk {
            position,
            at: Timestamp(self.now),
            origin: 7,
            call_start,
            bytes,
        };
        self.connection.push(direction, chunk);
        self.drain()
    }

    /// Skips bytes that were not captured, and returns their position.
    pub(crate) fn lose(&mut self, direction: Direction, count: usize) -> u64 {
        let position = &mut self.positions[usize::from(direction == WRITE)];
        *position += count as u64;
        *position - count as u64
    }

    pub(crate) fn settle(&mut self) -> &mut Self {
        self.connection.settle(Timestamp(self.now));
        self.drain()
    }

    pub(crate) fn pass_time(&mut self, by: u64) -> &mut Self {
        self.now += by;
        self.connection.tick(Timestamp(self.now));
        self.drain()
    }

    pub(crate) fn close(&mut self) -> &mut Self {
        self.connection.close(Timestamp(self.now), Ended::Closed, None);
        self.drain();
        assert_eq!(self.connection.held_bytes(), 0, "nothing is held in the end");
        self
    }

    pub(crate) fn drain(&mut self) -> &mut Self {
        let held = self.connection.held_bytes();
        assert!(held <= self.limits.max_connection_bytes(), "{held} bytes held");
        self.outputs.extend(std::iter::from_fn(|| self.connection.poll()));
        self
    }

    pub(crate) fn exchanges(&self) -> Vec<&Exchange> {
        let exchanges = self.outputs.iter().filter_map(|output| match output {
            Output::Exchange(exchange) => Some(exchange.as_ref()),
            Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        });
        exchanges.collect()
    }

    pub(crate) fn reasons(&self) -> Vec<Reason> {
        let reasons = self.outputs.iter().filter_map(|output| match output {
            Output::Undecoded(_, _, reason) => Some(*reason),
            Output::Exchange(_) | Output::End(_) | Output::Gap(_) => None,
        });
        reasons.collect()
    }

    /// Returns a line for each exchange, and for each end.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.outputs.iter().filter_map(|output| match output {
            Output::Exchange(exchange) => Some(format_exchange(exchange)),
            Output::End(end) => Some(format!(
                "end {}{} {}",
                format_bytes(end.body_bytes),
                format_fields(&end.trailers),
                format_end(Some(end.ended))
            )),
            Output::Gap(_) | Output::Undecoded(..) => None,
        });
        lines.collect()
    }
}
