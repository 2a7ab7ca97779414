//! The steps of decoding, taken until bytes that have not arrived are needed.

use super::Connection;
use super::state::{Phase, Session};
use crate::context::{Arrivals, Context};
use crate::h1::session::Outcome;
use crate::{Chunk, Direction, Ended, Gap, GapCause, Output, Timestamp, h2};

impl Connection {
    /// Returns whether everything that arrived is decoded, and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        let nothing_held = self.directions.all().iter().all(|state| state.reassembler.is_empty());
        nothing_held
            && self.phase == Phase::Open
            && !matches!(&self.session, Session::Http1(session) if session.is_unsettled())
    }

    /// Holds bytes that could not be decoded in place. If they do not fit, the wait for missing bytes ends to make room.
    pub(super) fn hold(&mut self, direction: Direction, mut chunk: Chunk<'_>) {
        let limits = self.context.settings.limits;
        if chunk.bytes.is_empty() || self.phase != Phase::Open {
            return;
        }
        if !self.directions.of(direction).reassembler.fits(&chunk, &limits) {
            self.context.counters.gaps_forced += 1;
            self.arrivals = Arrivals::Settled;
            self.run();
            self.arrivals = Arrivals::Pending;
            if self.directions.of(direction).reassembler.is_next(&chunk) {
                self.decode(direction, &mut chunk);
            }
        }
        if self.phase == Phase::Open {
            let inserted = self.directions.of_mut(direction).reassembler.insert(chunk, &limits);
            self.context.counters.repeated_bytes += inserted.repeated;
            self.context.counters.dropped_bytes += inserted.dropped;
        }
    }

    /// Decodes as far as possible with what has arrived.
    pub(super) fn run(&mut self) {
        loop {
            if self.is_not_http() {
                self.become_opaque();
            }
            if matches!(self.phase, Phase::Opaque | Phase::Over) {
                self.clear();
                return;
            }
            self.paused = self.context.is_full();
            if self.paused {
                return;
            }
            if !self.step() {
                break;
            }
        }
        if let Phase::Ending(now, ended) = self.phase {
            self.end(now, ended);
        }
    }

    /// Takes the next step; `false` if there is none.
    ///
    /// All requests are decoded before a response is paired by time, because it may answer any earlier request.
    fn step(&mut self) -> bool {
        let [requests, responses] = self.context.request_direction();
        if self.advance(requests) || self.pair_response(Arrivals::Pending) || self.advance(responses) {
            return true;
        }
        let settled = self.arrivals == Arrivals::Settled
            && (self.skip_unknown_gap(requests)
                || self.pair_response(Arrivals::Settled)
                || self.skip_unknown_gap(responses)
                || self.settle_streams());
        let ending = matches!(self.phase, Phase::Ending(..));
        settled || (ending && (self.conclude(requests) || self.conclude(responses)))
    }

    /// Decodes the next held chunk, or skips the next known gap; `false` if neither is next.
    pub(super) fn advance(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        if let Some(gap) = self.directions.of_mut(direction).reassembler.take_known_gap() {
            self.skip_gap(gap);
            return true;
        }
        if self.directions.of(direction).scanner.is_some() {
            return self.scan_ahead(direction);
        }
        let reassembler = &mut self.directions.of_mut(direction).reassembler;
        let Some(held) = reassembler.take() else { return false };
        let mut chunk = held.chunk(reassembler.next());
        let length = chunk.bytes.len();
        let consumed = self.decode_chunk(direction, &mut chunk);
        let left = chunk.bytes.len();
        self.directions
            .of_mut(direction)
            .reassembler
            .put_back(held, length - left);
        consumed
    }

    /// Ends the wait for missing bytes, and skips them as a gap.
    fn skip_unknown_gap(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        if self.waits_for_gap(direction) && self.conclude(direction) {
            return true;
        }
        let Some(gap) = self.directions.of_mut(direction).reassembler.take_gap() else {
            return false;
        };
        self.skip_gap(gap);
        true
    }

    /// Pairs the HTTP/1 response that waits for its request; `false` if that is undecided.
    fn pair_response(&mut self, arrivals: Arrivals) -> bool {
        match &mut self.session {
            Session::Http1(session) => {
                let paired = session.pair_response(arrivals, &mut self.context);
                self.apply_outcome();
                paired
            }
            Session::Unknown | Session::Http2(_) => false,
        }
    }

    /// Ends the HTTP/2 streams that nothing can change any more; `false` if there are none.
    fn settle_streams(&mut self) -> bool {
        // The undecided bytes may hold the request of a stream whose response has ended.
        let is_undecided = self.is_undecided(Direction::Read) || self.is_undecided(Direction::Write);
        match &mut self.session {
            Session::Http2(_) if is_undecided => false,
            Session::Http2(session) => session.settle(&mut self.context),
            Session::Unknown | Session::Http1(_) => false,
        }
    }

    /// Decodes the next bytes in place.
    pub(super) fn decode(&mut self, direction: Direction, chunk: &mut Chunk<'_>) {
        let length = chunk.bytes.len();
        self.decode_chunk(direction, chunk);
        let left = chunk.bytes.len();
        self.directions
            .of_mut(direction)
            .reassembler
            .consumed((length - left) as u64);
    }

    /// Decodes `chunk` until it is used up or must wait, and returns whether that changed anything.
    fn decode_chunk(&mut self, direction: Direction, chunk: &mut Chunk<'_>) -> bool {
        let length = chunk.bytes.len();
        let mut has_events = false;
        while self.can_decode(direction) {
            let read = match &mut self.session {
                Session::Unknown => false,
                Session::Http1(session) => session.read(direction, chunk, &mut self.context),
                Session::Http2(session) => session.read(direction, chunk, &mut self.context),
            };
            if !read {
                break;
            }
            has_events = true;
            self.apply_outcome();
            self.resync_if_lost(direction);
        }
        has_events || chunk.bytes.len() < length
    }

    fn can_decode(&self, direction: Direction) -> bool {
        self.directions.of(direction).scanner.is_none()
            && !self.is_blocked(direction)
            && matches!(self.phase, Phase::Open | Phase::Ending(..))
            && !self.context.is_full()
    }

    /// Returns whether a direction must wait for the other one.
    pub(super) fn is_blocked(&self, direction: Direction) -> bool {
        match &self.session {
            Session::Http1(session) => session.is_blocked(direction),
            Session::Unknown | Session::Http2(_) => false,
        }
    }

    /// Reports a gap, and lets the decoder step over it.
    fn skip_gap(&mut self, gap: Gap) {
        let direction = gap.direction;
        self.report_gap(&gap);
        if let Some(scanner) = &mut self.directions.of_mut(direction).scanner {
            scanner.skip_gap();
        }
        let stream = &self.directions.of(direction).reassembler;
        let resumed_at = stream.held_at(stream.next()).map(|chunk| chunk.at);
        match &mut self.session {
            Session::Unknown => self.directions.of_mut(direction).lost_until = Some(Timestamp(u64::MAX)),
            Session::Http1(session) => session.skip_gap(&gap, &mut self.context),
            Session::Http2(session) => session.skip_gap(&gap, resumed_at, &mut self.context),
        }
        self.resync_if_lost(direction);
    }

    /// Counts a gap, and reports it unless it was left on purpose.
    fn report_gap(&mut self, gap: &Gap) {
        let Context { counters, queue, .. } = &mut self.context;
        if gap.cause == GapCause::Skipped {
            counters.skipped_bytes = counters.skipped_bytes.saturating_add(gap.span);
            return;
        }
        match gap.bytes() {
            Some(bytes) => counters.missing_bytes = counters.missing_bytes.saturating_add(bytes),
            None => counters.unknown_gaps += 1,
        }
        queue.push(Output::Gap(*gap));
    }

    /// Goes on with what HTTP/1 turned into, if it did.
    fn apply_outcome(&mut self) {
        let Session::Http1(session) = &mut self.session else {
            return;
        };
        match session.take_outcome() {
            None => {}
            Some(Outcome::Opaque) => self.become_opaque(),
            Some(Outcome::Http2(exchange)) => {
                let upgraded = h2::session::Session::upgraded(exchange, &self.context);
                self.session = Session::Http2(Box::new(upgraded));
            }
        }
    }

    pub(super) fn become_opaque(&mut self) {
        self.phase = match self.phase {
            Phase::Open | Phase::Opaque => Phase::Opaque,
            Phase::Ending(..) | Phase::Over => Phase::Over,
        };
        self.clear();
    }

    /// Drops what will not be decoded.
    fn clear(&mut self) {
        self.session = Session::Unknown;
        for state in self.directions.all_mut() {
            state.reassembler.clear();
            state.scanner = None;
            state.preamble = None;
        }
    }

    /// Ends the connection once everything that arrived is decoded.
    pub(super) fn wind_up(&mut self, now: Timestamp, ended: Option<Ended>) {
        match self.phase {
            Phase::Open => {
                self.phase = Phase::Ending(now, ended);
                self.arrivals = Arrivals::Settled;
                self.run();
            }
            Phase::Opaque => self.phase = Phase::Over,
            Phase::Ending(..) | Phase::Over => {}
        }
    }

    /// Emits what is in progress, at the end of the connection or of its observation.
    fn end(&mut self, now: Timestamp, ended: Option<Ended>) {
        self.phase = Phase::Over;
        self.context.counters.discarded_bytes += self
            .directions
            .all_mut()
            .map(|state| state.reassembler.clear())
            .iter()
            .sum::<u64>();
        match &mut self.session {
            Session::Unknown => {}
            Session::Http1(session) => session.end(now, ended, &mut self.context),
            Session::Http2(session) => session.end(now, ended, &mut self.context),
        }
        self.report_unrecognised();
        self.clear();
    }
}
