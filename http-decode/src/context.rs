//! What the stages of one connection share: settings, the side of the traced process, counters, and the output queue.

use crate::chunk::Mark;
use crate::proxy::Proxied;
use crate::queue::OutputQueue;
use crate::{
    Counters, Direction, Ended, Exchange, MAX_MOMENTS, Moment, MomentPart, Output, Protocol, Reason, Request, Settings,
    Side, Timestamp,
};

/// Whether bytes may still arrive that were captured before now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arrivals {
    /// They may.
    Pending,
    /// They will not: the caller has settled the connection.
    Settled,
}

/// The messages that a direction carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Requests.
    Requests,
    /// Responses.
    Responses,
}

impl Role {
    /// Returns what `direction` carries if the traced process is on `side`.
    pub(crate) const fn of(direction: Direction, side: Side) -> Self {
        match (direction, side) {
            (Direction::Read, Side::Server) | (Direction::Write, Side::Client) => Self::Requests,
            (Direction::Write, Side::Server) | (Direction::Read, Side::Client) => Self::Responses,
        }
    }

    /// Returns the side of the traced process if `direction` carries this.
    pub(crate) const fn side(self, direction: Direction) -> Side {
        match (direction, self) {
            (Direction::Read, Self::Requests) | (Direction::Write, Self::Responses) => Side::Server,
            (Direction::Write, Self::Requests) | (Direction::Read, Self::Responses) => Side::Client,
        }
    }
}

/// The shared state of one connection.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) side: Option<Side>,
    /// Whether position 0 of both directions is known to be their first byte.
    pub(crate) from_start: bool,
    /// The addresses that a PROXY protocol header named, if there was one.
    pub(crate) proxied: Option<Proxied>,
    pub(crate) queue: OutputQueue,
    pub(crate) counters: Counters,
    /// The moments that were not taken yet, if they are asked for.
    moments: Option<Vec<Moment>>,
    ordinals: u64,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            side: None,
            from_start: false,
            proxied: None,
            queue: OutputQueue::default(),
            counters: Counters::default(),
            moments: None,
            ordinals: 0,
        }
    }

    /// Returns the direction of the requests, then that of the responses.
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
            events: None,
            ended_at: None,
            ended: None,
        })
    }

    /// Emits an exchange that has ended as `ended` says, or goes on if that is `None`. An unparsable request that was not
    /// answered is not emitted: it may have been something else.
    pub(crate) fn emit(&mut self, exchange: Box<Exchange>, ended: Option<Ended>) {
        let is_unparsable = |request: &Request| request.head.is_unparsable();
        if exchange.response.is_none() && exchange.request.as_ref().is_some_and(is_unparsable) {
            return;
        }
        self.queue.push_exchange(exchange, ended, &mut self.counters);
    }

    /// Emits a notice that bytes from `position` on were not decoded.
    pub(crate) fn undecoded(&mut self, direction: Direction, position: u64, reason: Reason) {
        self.queue.push(Output::Undecoded(direction, position, reason));
    }

    /// Keeps moments from here on.
    pub(crate) fn keep_moments(&mut self) {
        self.moments.get_or_insert_default();
    }

    /// Removes and returns the moments.
    pub(crate) fn take_moments(&mut self) -> Vec<Moment> {
        self.moments.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes the head of a request, which was complete at `at`.
    pub(crate) fn note_request(&mut self, exchange: &Exchange, at: Timestamp) {
        let Some(request) = exchange.request.as_ref().filter(|_| self.moments.is_some()) else {
            return;
        };
        self.note(Moment {
            ordinal: exchange.ordinal,
            side: exchange.side,
            at,
            origin: exchange.origin,
            part: MomentPart::Request {
                head: Box::new(request.head.clone()),
                began: exchange.began,
                from_start: self.from_start,
            },
        });
    }

    /// Notes the head of the final response of an exchange, which was complete at `at`.
    pub(crate) fn note_response(&mut self, ordinal: u64, at: Timestamp, origin: u32) {
        self.note(Moment {
            ordinal,
            side: self.side.unwrap_or(Side::Server),
            at,
            origin,
            part: MomentPart::Response,
        });
    }

    fn note(&mut self, moment: Moment) {
        match &mut self.moments {
            Some(moments) if moments.len() < MAX_MOMENTS => moments.push(moment),
            Some(_) => self.counters.moments_dropped += 1,
            None => {}
        }
    }

    /// Returns whether decoding must pause until outputs are polled.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.held_bytes() >= self.settings.limits.max_queued_bytes
    }
}
