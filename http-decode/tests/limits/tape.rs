//! A connection that is fed with calls, and checked for its memory limit.

use http_decode::{Chunk, Connection, Counters, Direction, Exchange, Gap, Limits, Output, Reason, Settings, Timestamp};

pub(crate) const READ: Direction = Direction::Read;
pub(crate) const WRITE: Direction = Direction::Write;
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection that is fed with calls.
pub(crate) struct Tape {
    pub(crate) connection: Connection,
    pub(crate) limits: Limits,
    pub(crate) positions: [u64; 2],
    now: u64,
    pub(crate) outputs: Vec<Output>,
}

impl Tape {
    pub(crate) fn new(limits: Limits) -> Self {
        let connection = Connection::new(Settings {
            limits,
            ..Settings::default()
        });
        Self {
            connection,
            limits,
            positions: [0; 2],
            now: 0,
            outputs: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let index = usize::from(direction == WRITE);
        let position = self.positions[index];
        self.positions[index] += bytes.as_ref().len() as u64;
        self.push_at(direction, position, bytes.as_ref());
        self
    }

    pub(crate) fn push_at(&mut self, direction: Direction, position: u64, bytes: &[u8]) {
        self.now += 1;
        self.connection.push(
            direction,
            Chunk {
                position,
                at: Timestamp(self.now),
                origin: 0,
                call_start: true,
                bytes,
            },
        );
        assert!(self.connection.held_bytes() <= self.limits.max_connection_bytes());
        self.outputs.extend(std::iter::from_fn(|| self.connection.poll()));
    }

    pub(crate) fn settle(&mut self) -> &mut Self {
        self.connection.settle(Timestamp(self.now));
        self.outputs.extend(std::iter::from_fn(|| self.connection.poll()));
        self
    }

    pub(crate) fn counters(&self) -> Counters {
        self.connection.counters()
    }

    pub(crate) fn exchanges(&self) -> Vec<&Exchange> {
        let exchanges = self.outputs.iter().filter_map(|output| match output {
            Output::Exchange(exchange) => Some(exchange.as_ref()),
            Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        });
        exchanges.collect()
    }

    pub(crate) fn undecoded(&self) -> Vec<Reason> {
        let reasons = self.outputs.iter().filter_map(|output| match output {
            Output::Undecoded(_, _, reason) => Some(*reason),
            Output::Exchange(_) | Output::End(_) | Output::Gap(_) => None,
        });
        reasons.collect()
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let gaps = self.outputs.iter().filter_map(|output| match output {
            Output::Gap(gap) => Some(*gap),
            Output::Exchange(_) | Output::End(_) | Output::Undecoded(..) => None,
        });
        gaps.collect()
    }
}

/// A response with a body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
