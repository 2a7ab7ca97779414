//! The parts of a connection's state that all its steps use.

use crate::boundary::BoundaryScanner;
use crate::proxy::Preamble;
use crate::reassembly::Reassembler;
use crate::{Direction, Ended, Timestamp, h1, h2};

/// One direction.
#[derive(Debug)]
pub(super) struct DirectionState {
    pub(super) reassembler: Reassembler,
    /// Scans for a boundary while it is unknown where, or how, to decode.
    pub(super) scanner: Option<BoundaryScanner>,
    /// The bytes that may be a PROXY protocol header.
    pub(super) preamble: Option<Preamble>,
    /// The position behind that header, or 0.
    pub(super) start: u64,
    /// The time up to which bytes were lost before the protocol was known.
    pub(super) lost_until: Option<Timestamp>,
}

impl DirectionState {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            reassembler: Reassembler::new(direction),
            scanner: Some(BoundaryScanner::default()),
            preamble: Some(Preamble::default()),
            start: 0,
            lost_until: None,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.reassembler.held_bytes()
            + self.scanner.as_ref().map_or(0, BoundaryScanner::held_bytes)
            + self.preamble.as_ref().map_or(0, Preamble::held_bytes)
    }
}

/// The decoder of the protocol that the connection speaks.
#[derive(Debug)]
pub(super) enum Session {
    /// The protocol is unknown.
    Unknown,
    /// HTTP/1.
    Http1(Box<h1::session::Session>),
    /// HTTP/2.
    Http2(Box<h2::session::Session>),
}

/// The phase of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// It is open.
    Open,
    /// It is a tunnel: nothing is decoded any more.
    Opaque,
    /// It has ended at this time, in this way, but not everything that arrived is decoded.
    Ending(Timestamp, Option<Ended>),
    /// It has ended.
    Over,
}
