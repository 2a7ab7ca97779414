//! What a connection does next: one step after the other, as far as what has arrived allows.

use super::{Connection, Dialogue, Phase};
use crate::context::Arrivals;
use crate::h1::dialogue::Outcome;
use crate::{Chunk, Direction, Ended, Gap, Output, Timestamp, h2};

impl Connection {
    /// Returns whether everything that came has been decoded, and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        let streams_empty = self.directions.all().iter().all(|state| state.reassembler.is_empty());
        streams_empty
            && self.phase == Phase::Open
            && !matches!(&self.dialogue, Dialogue::Http1(dialogue) if dialogue.is_unsettled())
    }

    /// Holds what could not be decoded in place. At the limit, what was waited for is given up to make room.
    pub(super) fn hold(&mut self, direction: Direction, mut chunk: Chunk<'_>) {
        let limits = self.context.settings.limits;
        if chunk.bytes.is_empty() || self.phase != Phase::Open {
            return;
        }
        if !self.directions.of(direction).reassembler.fits(&chunk, &limits) {
            self.context.counters.gaps_forced += 1;
            self.arrivals = Arrivals::Settled;
            self.run();
            self.arrivals = Arrivals::Open;
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

    /// Decodes as far as what has arrived allows.
    pub(super) fn run(&mut self) {
        loop {
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

    /// Does the next thing there is to do, if there is one.
    ///
    /// Requests go first, and all of them before a response is matched by time: it may answer any that came before it.
    fn step(&mut self) -> bool {
        let [requests, responses] = self.context.request_direction();
        if self.advance(requests) || self.assign(Arrivals::Open) || self.advance(responses) {
            return true;
        }
        let settled = self.arrivals == Arrivals::Settled
            && (self.give_up_gap(requests)
                || self.assign(Arrivals::Settled)
                || self.give_up_gap(responses)
                || self.settle_streams());
        let ending = matches!(self.phase, Phase::Ending(..));
        settled || (ending && (self.conclude(requests) || self.conclude(responses)))
    }

    /// Decodes the next piece that is held, or steps over the next hole that is known.
    pub(super) fn advance(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        if let Some(gap) = self.directions.of_mut(direction).reassembler.take_known_gap() {
            self.skip_gap(gap);
            return true;
        }
        if self.directions.of(direction).scout.is_some() {
            return self.scan_ahead(direction);
        }
        let stream = &mut self.directions.of_mut(direction).reassembler;
        let Some(held) = stream.take() else { return false };
        let mut chunk = held.chunk(stream.next());
        let length = chunk.bytes.len();
        let consumed = self.decode_piece(direction, &mut chunk);
        let left = chunk.bytes.len();
        self.directions
            .of_mut(direction)
            .reassembler
            .put_back(held, length - left);
        consumed
    }

    fn give_up_gap(&mut self, direction: Direction) -> bool {
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

    fn assign(&mut self, arrivals: Arrivals) -> bool {
        match &mut self.dialogue {
            Dialogue::Http1(dialogue) => {
                let assigned = dialogue.assign(arrivals, &mut self.context);
                self.take_outcome();
                assigned
            }
            Dialogue::Unknown | Dialogue::Http2(_) => false,
        }
    }

    fn settle_streams(&mut self) -> bool {
        // What waits may be the other half of a stream that has ended.
        let undecided = self.is_undecided(Direction::Read) || self.is_undecided(Direction::Write);
        match &mut self.dialogue {
            Dialogue::Http2(_) if undecided => false,
            Dialogue::Http2(dialogue) => dialogue.settle(&mut self.context),
            Dialogue::Unknown | Dialogue::Http1(_) => false,
        }
    }

    /// Decodes bytes that are next, where they are.
    pub(super) fn decode(&mut self, direction: Direction, chunk: &mut Chunk<'_>) {
        let length = chunk.bytes.len();
        self.decode_piece(direction, chunk);
        let left = chunk.bytes.len();
        self.directions
            .of_mut(direction)
            .reassembler
            .consumed((length - left) as u64);
    }

    /// Decodes `chunk` until it is used up or must wait; tells whether anything came of it.
    fn decode_piece(&mut self, direction: Direction, chunk: &mut Chunk<'_>) -> bool {
        let length = chunk.bytes.len();
        let mut events = false;
        while self.can_decode(direction) {
            let read = match &mut self.dialogue {
                Dialogue::Unknown => false,
                Dialogue::Http1(dialogue) => dialogue.read(direction, chunk, &mut self.context),
                Dialogue::Http2(dialogue) => dialogue.read(direction, chunk, &mut self.context),
            };
            if !read {
                break;
            }
            events = true;
            self.take_outcome();
            self.resync_if_lost(direction);
        }
        events || chunk.bytes.len() < length
    }

    fn can_decode(&self, direction: Direction) -> bool {
        self.directions.of(direction).scout.is_none()
            && !self.is_blocked(direction)
            && matches!(self.phase, Phase::Open | Phase::Ending(..))
            && !self.context.is_full()
    }

    /// Returns whether a direction must wait for the other one.
    pub(super) fn is_blocked(&self, direction: Direction) -> bool {
        match &self.dialogue {
            Dialogue::Http1(dialogue) => dialogue.is_blocked(direction),
            Dialogue::Unknown | Dialogue::Http2(_) => false,
        }
    }

    fn skip_gap(&mut self, gap: Gap) {
        let direction = gap.direction;
        let counters = &mut self.context.counters;
        match gap.bytes() {
            Some(bytes) => counters.missing_bytes = counters.missing_bytes.saturating_add(bytes),
            None => counters.unknown_gaps += 1,
        }
        self.context.outbox.push(Output::Gap(gap));
        if let Some(scout) = &mut self.directions.of_mut(direction).scout {
            scout.skip_gap();
        }
        let stream = &self.directions.of(direction).reassembler;
        let behind_at = stream.held_at(stream.next()).map(|chunk| chunk.at);
        match &mut self.dialogue {
            Dialogue::Unknown => self.directions.of_mut(direction).lost_until = Some(Timestamp(u64::MAX)),
            Dialogue::Http1(dialogue) => dialogue.skip_gap(&gap, &mut self.context),
            Dialogue::Http2(dialogue) => dialogue.skip_gap(&gap, behind_at, &mut self.context),
        }
        self.resync_if_lost(direction);
    }

    /// Takes up what HTTP/1 turned into.
    fn take_outcome(&mut self) {
        let Dialogue::Http1(dialogue) = &mut self.dialogue else {
            return;
        };
        match dialogue.take_outcome() {
            None => {}
            Some(Outcome::Opaque) => self.become_opaque(),
            Some(Outcome::Http2(exchange)) => {
                let upgraded = h2::dialogue::Dialogue::upgraded(exchange, &self.context);
                self.dialogue = Dialogue::Http2(Box::new(upgraded));
            }
        }
    }

    fn become_opaque(&mut self) {
        self.phase = match self.phase {
            Phase::Open | Phase::Opaque => Phase::Opaque,
            Phase::Ending(..) | Phase::Over => Phase::Over,
        };
        self.clear();
    }

    /// Lets go of what will not be decoded.
    fn clear(&mut self) {
        self.dialogue = Dialogue::Unknown;
        for state in self.directions.all_mut() {
            state.reassembler.clear();
            state.scout = None;
            state.preamble = None;
        }
    }

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

    /// Puts out what is in progress when the connection, or its observation, has ended.
    fn end(&mut self, now: Timestamp, ended: Option<Ended>) {
        self.phase = Phase::Over;
        self.context.counters.discarded_bytes += self
            .directions
            .all_mut()
            .map(|state| state.reassembler.clear())
            .iter()
            .sum::<u64>();
        match &mut self.dialogue {
            Dialogue::Unknown => {}
            Dialogue::Http1(dialogue) => dialogue.end(now, ended, &mut self.context),
            Dialogue::Http2(dialogue) => dialogue.end(now, ended, &mut self.context),
        }
        self.report_unrecognised();
        self.clear();
    }
}
