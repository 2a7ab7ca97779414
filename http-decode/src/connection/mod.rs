//! One connection: both directions, put in order, decoded and paired.
//!
//! A connection never decides by itself that bytes will not arrive. Missing bytes become a gap, and a response is emitted
//! without its request, when the caller [settles](Connection::settle) the connection or when a limit leaves no choice.
//! Decoding pauses while the output queue is full.

mod detection;
mod state;
mod steps;

use self::state::{DirectionState, Phase, Session};
use crate::context::{Arrivals, Context};
use crate::direction::PerDirection;
use crate::{
    ActiveRequest, Chunk, Counters, Direction, Ended, Gap, GapCause, Moment, Output, Proxied, Settings, Side, Timestamp,
};

/// Decodes one connection.
#[derive(Debug)]
pub struct Connection {
    context: Context,
    directions: PerDirection<DirectionState>,
    session: Session,
    phase: Phase,
    /// Whether bytes captured before now may still arrive.
    arrivals: Arrivals,
    /// The number of bytes discarded before any HTTP was seen, and the first of them.
    unrecognised: u64,
    unrecognised_from: Option<(Direction, u64)>,
    /// Whether decoding is paused because the output queue is full.
    paused: bool,
}

impl Connection {
    /// Starts to decode a connection of which nothing is known.
    pub fn new(settings: Settings) -> Self {
        Self {
            context: Context::new(settings),
            directions: PerDirection::new(DirectionState::new),
            session: Session::Unknown,
            phase: Phase::Open,
            arrivals: Arrivals::Pending,
            unrecognised: 0,
            unrecognised_from: None,
            paused: false,
        }
    }

    /// Notes that position 0 of both directions is their first byte: the connection was traced from its start.
    pub fn mark_from_start(&mut self) {
        self.context.from_start = true;
    }

    /// Keeps the heads that are decoded from here on for [`take_moments`](Self::take_moments).
    pub fn keep_moments(&mut self) {
        self.context.keep_moments();
    }

    /// Removes and returns the heads that were decoded since the last call. They are to be taken after each push: beyond
    /// [`MAX_MOMENTS`](crate::MAX_MOMENTS), they are dropped and counted.
    pub fn take_moments(&mut self) -> Vec<Moment> {
        self.context.take_moments()
    }

    /// Decodes captured bytes of one direction, or holds them until bytes before them have arrived.
    pub fn push(&mut self, direction: Direction, mut chunk: Chunk<'_>) {
        let length = chunk.bytes.len() as u64;
        match self.phase {
            Phase::Open => {}
            Phase::Opaque => return,
            Phase::Ending(..) | Phase::Over => {
                self.context.counters.late_bytes += length;
                return;
            }
        }
        if chunk.position.checked_add(length).is_none() {
            self.context.counters.dropped_bytes += length;
            return;
        }
        self.arrivals = Arrivals::Pending;
        let repeated = self
            .directions
            .of(direction)
            .reassembler
            .next()
            .saturating_sub(chunk.position)
            .min(length);
        self.context.counters.repeated_bytes += repeated;
        chunk.advance(usize::try_from(repeated).unwrap_or(usize::MAX));
        if self.directions.of(direction).reassembler.is_next(&chunk) {
            self.decode(direction, &mut chunk);
        }
        self.hold(direction, chunk);
        if !self.is_idle() {
            self.run();
        }
    }

    /// Notes bytes that will not arrive.
    pub fn gap(&mut self, gap: Gap) {
        if self.phase == Phase::Open {
            let limits = self.context.settings.limits;
            self.directions.of_mut(gap.direction).reassembler.add_gap(&gap, &limits);
            self.run();
        }
    }

    /// Decodes nothing of what follows, and drops what is in progress: it is of no interest to the caller.
    pub fn dismiss(&mut self) {
        if self.phase == Phase::Open {
            self.become_opaque();
        }
    }

    /// Returns whether anything waits that only [`settle`](Self::settle) can end.
    pub fn unsettled(&self) -> bool {
        let gap = |direction| self.waits_for_gap(direction) && !self.is_blocked(direction);
        let session = match &self.session {
            Session::Unknown => false,
            Session::Http1(session) => session.is_unsettled(),
            Session::Http2(session) => session.is_unsettled(),
        };
        self.phase == Phase::Open && (session || gap(Direction::Read) || gap(Direction::Write))
    }

    /// Settles the connection: bytes captured before `now` that have not arrived will not arrive.
    pub fn settle(&mut self, now: Timestamp) {
        self.tick(now);
        self.arrivals = Arrivals::Settled;
        self.run();
    }

    /// Ends the connection. `positions` are the numbers of bytes read and written in all, if they are known.
    pub fn close(&mut self, now: Timestamp, ended: Ended, positions: Option<[u64; 2]>) {
        if self.phase == Phase::Open
            && let Some([read, written]) = positions
        {
            let limits = self.context.settings.limits;
            for (direction, end) in [(Direction::Read, read), (Direction::Write, written)] {
                let reassembler = &mut self.directions.of_mut(direction).reassembler;
                let position = reassembler.next();
                let gap = Gap {
                    direction,
                    position,
                    span: end.saturating_sub(position),
                    cause: GapCause::Lost,
                    at: None,
                };
                reassembler.add_gap(&gap, &limits);
            }
        }
        self.wind_up(now, Some(ended));
    }

    /// Ends observation: everything in progress is emitted as it is.
    pub fn finish(&mut self, now: Timestamp) {
        self.wind_up(now, None);
    }

    /// Emits each exchange that goes on and whose response head is older than [`Settings::hold_ns`].
    pub fn tick(&mut self, now: Timestamp) {
        if self.next_tick().is_some_and(|at| at <= now) {
            match &mut self.session {
                Session::Unknown => {}
                Session::Http1(session) => session.release(&mut self.context),
                Session::Http2(session) => session.release(now, &mut self.context),
            }
        }
    }

    /// Returns when [`tick`](Self::tick) is to be called.
    pub fn next_tick(&self) -> Option<Timestamp> {
        match &self.session {
            Session::Unknown => None,
            Session::Http1(session) => session.release_at(self.context.settings.hold_ns),
            Session::Http2(session) => session.release_at(),
        }
    }

    /// Removes and returns the next output.
    pub fn poll(&mut self) -> Option<Output> {
        if self.context.queue.held_bytes() == 0 && self.paused {
            self.run();
        }
        self.context.queue.pop()
    }

    /// Returns the memory of the outputs that wait to be polled, in bytes; 0 if none do.
    pub fn queued_bytes(&self) -> usize {
        self.context.queue.held_bytes()
    }

    /// Returns the position up to which the bytes of a direction are of no interest, if that is known: content, of which only
    /// the length matters, or everything where nothing is decoded any more.
    ///
    /// The caller may leave out such bytes from any position on, and report a gap of the cause [`GapCause::Skipped`] in their
    /// place: what is decoded is the same.
    pub fn skippable_until(&self, direction: Direction) -> Option<u64> {
        let content = match (self.phase, &self.session) {
            (Phase::Opaque, _) => return Some(u64::MAX),
            (Phase::Ending(..) | Phase::Over, _) | (_, Session::Unknown) => None,
            (Phase::Open, Session::Http1(session)) => session.content_left(direction),
            (Phase::Open, Session::Http2(session)) => session.content_left(direction),
        };
        let next = self.directions.of(direction).reassembler.next();
        content.map(|left| next.saturating_add(left))
    }

    /// Returns the requests that were seen and whose responses have not ended.
    pub fn active_requests(&self) -> impl Iterator<Item = ActiveRequest> {
        let (http1, http2) = match &self.session {
            Session::Unknown => (None, None),
            Session::Http1(session) => (Some(session.active_requests()), None),
            Session::Http2(session) => (None, Some(session.active_requests())),
        };
        http1.into_iter().flatten().chain(http2.into_iter().flatten())
    }

    /// Returns the side of the traced process, once it is known.
    pub fn side(&self) -> Option<Side> {
        self.context.side
    }

    /// Returns the addresses in the PROXY protocol header, if the connection began with one that has addresses.
    pub fn proxied(&self) -> Option<Proxied> {
        self.context.proxied
    }

    /// Returns the counters.
    pub fn counters(&self) -> Counters {
        self.context.counters
    }

    /// Returns the memory in use, in bytes, which never exceeds [`max_connection_bytes`](crate::Limits::max_connection_bytes).
    pub fn held_bytes(&self) -> usize {
        let session = match &self.session {
            Session::Unknown => 0,
            Session::Http1(session) => session.held_bytes(),
            Session::Http2(session) => session.held_bytes(),
        };
        self.directions
            .all()
            .map(DirectionState::held_bytes)
            .iter()
            .sum::<usize>()
            + session
            + self.context.queue.held_bytes()
    }
}

#[cfg(test)]
mod tests;
