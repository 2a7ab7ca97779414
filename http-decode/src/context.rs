//! What every stage of a connection shares: its settings, what is known of it, and where its outputs go.
//!
//! In: exchanges and reasons. Out: the same, queued and counted. Refuses nothing, but says when the queue is full.

use crate::chunk::Mark;
use crate::outbox::Outbox;
use crate::proxy::Proxied;
use crate::{Counters, Direction, Ended, Exchange, Output, Protocol, Reason, Request, Settings, Side};

/// Whether bytes may still arrive that were captured before now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arrivals {
    /// They may.
    Open,
    /// The caller has promised that they will not.
    Settled,
}

/// What a direction carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Requests.
    Requests,
    /// Responses.
    Responses,
}

impl Role {
    /// Says what `direction` carries where the traced process is on `side`.
    pub(crate) const fn of(direction: Direction, side: Side) -> Self {
        match (direction, side) {
            (Direction::Read, Side::Server) | (Direction::Write, Side::Client) => Self::Requests,
            (Direction::Write, Side::Server) | (Direction::Read, Side::Client) => Self::Responses,
        }
    }

    /// Says on which side the traced process is where `direction` carries this.
    pub(crate) const fn side(self, direction: Direction) -> Side {
        match (direction, self) {
            (Direction::Read, Self::Requests) | (Direction::Write, Self::Responses) => Side::Server,
            (Direction::Write, Self::Requests) | (Direction::Read, Self::Responses) => Side::Client,
        }
    }
}

/// What the stages of one connection share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) side: Option<Side>,
    /// Whether position 0 of both directions is known to be their first byte.
    pub(crate) from_start: bool,
    /// Whom the connection is for, if that was said.
    pub(crate) proxied: Option<Proxied>,
    pub(crate) outbox: Outbox,
    pub(crate) counters: Counters,
    ordinals: u64,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            side: None,
            from_start: false,
            proxied: None,
            outbox: Outbox::default(),
            counters: Counters::default(),
            ordinals: 0,
        }
    }

    /// Orders the directions: the one with the requests, then the one with the responses.
    pub(crate) fn request_direction(&self) -> [Direction; 2] {
        match self.side {
            Some(Side::Client) => [Direction::Write, Direction::Read],
            Some(Side::Server) | None => [Direction::Read, Direction::Write],
        }
    }

    /// Begins an exchange whose first byte is at `mark`.
    pub(crate) fn begin_exchange(&mut self, mark: Mark, protocol: Protocol) -> Box<Exchange> {
        self.ordinals += 1;
        Box::new(Exchange {
            ordinal: self.ordinals,
            protocol,
            stream: self.ordinals,
            side: self.side.unwrap_or(Side::Server),
            origin: mark.origin,
            request: None,
            informational: Vec::new(),
            response: None,
            began: mark.at,
            head_at: None,
            ended_at: None,
            ended: None,
        })
    }

    /// Puts out an exchange that goes on, or has ended as `ended` says; what is no request and was not answered is none.
    pub(crate) fn put_out(&mut self, exchange: Box<Exchange>, ended: Option<Ended>) {
        let is_refused = |request: &Request| request.head.is_refused();
        if exchange.response.is_none() && exchange.request.as_ref().is_some_and(is_refused) {
            return;
        }
        self.outbox.push_exchange(exchange, ended, &mut self.counters);
    }

    /// Says that bytes from `position` on were not decoded.
    pub(crate) fn undecoded(&mut self, direction: Direction, position: u64, reason: Reason) {
        self.outbox.push(Output::Undecoded(direction, position, reason));
    }

    /// Returns whether decoding has to pause.
    pub(crate) fn is_full(&self) -> bool {
        self.outbox.held_bytes() >= self.settings.limits.max_queued_bytes
    }
}
