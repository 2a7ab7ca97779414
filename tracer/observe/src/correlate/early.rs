//! Early data of a client, held until the server has accepted or rejected it.
//!
//! Rejected early data never reached the server, and the client sends it again, so decoding it would invent requests.

use http_decode::Direction;

use crate::{event::Data, limits::MAX_EARLY_BYTES};

/// The early data of one connection.
#[derive(Debug, Default)]
pub(super) struct EarlyData {
    held: Vec<Held>,
    bytes: usize,
}

/// A [`Data`] that owns its bytes, because it outlives its record.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tid: u32,
    direction: Direction,
    at_ns: u64,
    position: u64,
    call_position: u64,
    over_limit: u64,
    from_start: bool,
    early: crate::event::Early,
    bytes: Box<[u8]>,
}

impl EarlyData {
    /// Holds data, or drops it if it is over the limit. Returns the number of bytes dropped.
    pub(super) fn hold(&mut self, tid: u32, data: &Data<'_>) -> usize {
        let Data {
            direction,
            at_ns,
            position,
            call_position,
            over_limit,
            from_start,
            early,
            bytes,
        } = *data;
        if self.bytes.saturating_add(bytes.len()) > MAX_EARLY_BYTES {
            return bytes.len();
        }
        self.bytes += bytes.len();
        self.held.push(Held {
            tid,
            direction,
            at_ns,
            position,
            call_position,
            over_limit,
            from_start,
            early,
            bytes: bytes.into(),
        });
        0
    }

    /// Removes and returns all data.
    pub(super) fn take(&mut self) -> Vec<Held> {
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Returns whether no data is held.
    pub(super) const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Returns the number of bytes held.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Held {
    /// Borrows it.
    pub(super) fn data(&self) -> Data<'_> {
        Data {
            direction: self.direction,
            at_ns: self.at_ns,
            position: self.position,
            call_position: self.call_position,
            over_limit: self.over_limit,
            from_start: self.from_start,
            early: self.early,
            bytes: &self.bytes,
        }
    }
}
