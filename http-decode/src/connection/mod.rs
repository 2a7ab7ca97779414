//! One connection: both directions, in order and paired.
//!
//! In: chunks, gaps, and the caller's word on time and ends. Out: [`Output`]s, by `poll`. Refuses to decide alone that
//! bytes will not come: holes are final, and responses without a request are let through, when the caller says
//! [`settle`](Connection::settle), or when a limit leaves no choice. Decoding pauses while the outbox is full.

mod detection;

use crate::both::Both;
use crate::context::{Arrivals, Context};
use crate::h1::dialogue::Outcome;
use crate::proxy::{Preamble, Proxied};
use crate::scout::Scout;
use crate::stream::{Hole, Stream};
use crate::{Chunk, Counters, Direction, Ended, Gap, GapCause, Output, Settings, Side, Timestamp, h1, h2};

/// Decodes one connection.
#[derive(Debug)]
pub struct Connection {
    context: Context,
    halves: Both<Half>,
    dialogue: Dialogue,
    phase: Phase,
    /// Whether nothing captured before now will arrive any more.
    arrivals: Arrivals,
    /// Bytes discarded before any HTTP was seen, and the first of them.
    unrecognised: u64,
    unrecognised_from: Option<(Direction, u64)>,
    /// Whether decoding stopped because the outbox was full.
    paused: bool,
}

/// One direction of it.
#[derive(Debug)]
struct Half {
    stream: Stream,
    /// What looks ahead, until it is known how to read.
    scout: Option<Scout>,
    /// What may be a header of the PROXY protocol, and where what follows it begins.
    preamble: Option<Preamble>,
    start: u64,
    /// Until when bytes were passed over here before it was known what the direction carries.
    lost_until: Option<Timestamp>,
}

impl Default for Half {
    fn default() -> Self {
        Self {
            stream: Stream::default(),
            scout: Some(Scout::default()),
            preamble: Some(Preamble::default()),
            start: 0,
            lost_until: None,
        }
    }
}

/// What is spoken.
#[derive(Debug)]
enum Dialogue {
    Unknown,
    Http1(Box<h1::dialogue::Dialogue>),
    Http2(Box<h2::dialogue::Dialogue>),
}

/// How far the life of the connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// It goes on.
    Open,
    /// A tunnel: nothing is decoded any more.
    Opaque,
    /// Ended, but what came is not all decoded.
    Ending(Timestamp, Option<Ended>),
    /// Ended.
    Over,
}

impl Connection {
    /// Starts with a connection of which nothing is known.
    pub fn new(settings: Settings) -> Self {
        Self {
            context: Context::new(settings),
            halves: Both::default(),
            dialogue: Dialogue::Unknown,
            phase: Phase::Open,
            arrivals: Arrivals::Open,
            unrecognised: 0,
            unrecognised_from: None,
            paused: false,
        }
    }

    /// Takes word that position 0 of both directions is truly their first byte: the connection was seen to begin.
    pub fn mark_from_start(&mut self) {
        self.context.from_start = true;
    }

    /// Takes captured bytes of one direction.
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
        self.arrivals = Arrivals::Open;
        let repeated = self
            .halves
            .of(direction)
            .stream
            .next()
            .saturating_sub(chunk.position)
            .min(length);
        self.context.counters.repeated_bytes += repeated;
        chunk.advance(usize::try_from(repeated).unwrap_or(usize::MAX));
        if self.halves.of(direction).stream.is_next(&chunk) {
            self.decode(direction, &mut chunk);
        }
        self.hold(direction, chunk);
        if !self.is_idle() {
            self.run();
        }
    }

    /// Takes word of bytes that will not come, as soon as that is known.
    pub fn gap(&mut self, gap: Gap) {
        if self.phase == Phase::Open {
            let Gap {
                direction,
                position,
                span,
                cause,
                at,
            } = gap;
            let hole = Hole {
                position,
                span,
                cause,
                at,
            };
            let limits = self.context.settings.limits;
            self.halves.of_mut(direction).stream.missing(&hole, &limits);
            self.run();
        }
    }

    /// Tells whether something waits that only [`settle`](Self::settle) can end.
    pub fn unsettled(&self) -> bool {
        let hole = |direction| self.waits_for_hole(direction) && !self.is_blocked(direction);
        let dialogue = match &self.dialogue {
            Dialogue::Unknown => false,
            Dialogue::Http1(dialogue) => dialogue.is_unsettled(),
            Dialogue::Http2(dialogue) => dialogue.is_unsettled(),
        };
        self.phase == Phase::Open && (dialogue || hole(Direction::Read) || hole(Direction::Write))
    }

    /// Takes the caller's promise that whatever has not arrived by `now` never will.
    pub fn settle(&mut self, now: Timestamp) {
        self.tick(now);
        self.arrivals = Arrivals::Settled;
        self.run();
    }

    /// Takes the end of the connection: how it ended, and how many bytes were read and written in all, if known.
    pub fn close(&mut self, now: Timestamp, ended: Ended, positions: Option<[u64; 2]>) {
        if self.phase == Phase::Open
            && let Some([read, written]) = positions
        {
            let limits = self.context.settings.limits;
            for (half, end) in self.halves.all_mut().into_iter().zip([read, written]) {
                let position = half.stream.next();
                let hole = Hole {
                    position,
                    span: end.saturating_sub(position),
                    cause: GapCause::Lost,
                    at: None,
                };
                half.stream.missing(&hole, &limits);
            }
        }
        self.wind_up(now, Some(ended));
    }

    /// Takes the end of observation: everything in progress comes out as it stands.
    pub fn finish(&mut self, now: Timestamp) {
        self.wind_up(now, None);
    }

    /// Puts out each exchange whose response head is older than the hold and that goes on.
    pub fn tick(&mut self, now: Timestamp) {
        if self.next_tick().is_some_and(|at| at <= now) {
            match &mut self.dialogue {
                Dialogue::Unknown => {}
                Dialogue::Http1(dialogue) => dialogue.release(&mut self.context),
                Dialogue::Http2(dialogue) => dialogue.release(now, &mut self.context),
            }
        }
    }

    /// Says when [`tick`](Self::tick) has something to do.
    pub fn next_tick(&self) -> Option<Timestamp> {
        match &self.dialogue {
            Dialogue::Unknown => None,
            Dialogue::Http1(dialogue) => dialogue.release_at(self.context.settings.hold_ns),
            Dialogue::Http2(dialogue) => dialogue.release_at(),
        }
    }

    /// Takes the next output.
    pub fn poll(&mut self) -> Option<Output> {
        if self.context.outbox.held_bytes() == 0 && self.paused {
            self.run();
        }
        self.context.outbox.pop()
    }

    /// Counts the memory of what waits to be polled: 0 if nothing does.
    pub fn queued_bytes(&self) -> usize {
        self.context.outbox.held_bytes()
    }

    /// Says which side of the connection the traced process is, once that is known.
    pub fn side(&self) -> Option<Side> {
        self.context.side
    }

    /// Says whom the connection is for, if its first bytes were a header of the PROXY protocol that says so.
    pub fn proxied(&self) -> Option<Proxied> {
        self.context.proxied
    }

    /// Says how often what happened.
    pub fn counters(&self) -> Counters {
        self.context.counters
    }

    /// Counts the memory in use, which never exceeds [`max_connection_bytes`](crate::Limits::max_connection_bytes).
    pub fn held_bytes(&self) -> usize {
        let half = |half: &Half| {
            half.stream.held_bytes()
                + half.scout.as_ref().map_or(0, Scout::held_bytes)
                + half.preamble.as_ref().map_or(0, Preamble::held_bytes)
        };
        let dialogue = match &self.dialogue {
            Dialogue::Unknown => 0,
            Dialogue::Http1(dialogue) => dialogue.held_bytes(),
            Dialogue::Http2(dialogue) => dialogue.held_bytes(),
        };
        self.halves.all().map(half).iter().sum::<usize>() + dialogue + self.context.outbox.held_bytes()
    }

    /// Tells whether everything that came has been decoded, and nothing waits.
    fn is_idle(&self) -> bool {
        let streams_empty = self.halves.all().iter().all(|half| half.stream.is_empty());
        streams_empty
            && self.phase == Phase::Open
            && !matches!(&self.dialogue, Dialogue::Http1(dialogue) if dialogue.is_unsettled())
    }

    /// Holds what could not be decoded in place. At the limit, what was waited for is given up to make room.
    fn hold(&mut self, direction: Direction, mut chunk: Chunk<'_>) {
        let limits = self.context.settings.limits;
        if chunk.bytes.is_empty() || self.phase != Phase::Open {
            return;
        }
        if !self.halves.of(direction).stream.fits(&chunk, &limits) {
            self.context.counters.holes_forced += 1;
            self.arrivals = Arrivals::Settled;
            self.run();
            self.arrivals = Arrivals::Open;
            if self.halves.of(direction).stream.is_next(&chunk) {
                self.decode(direction, &mut chunk);
            }
        }
        if self.phase == Phase::Open {
            let inserted = self.halves.of_mut(direction).stream.insert(chunk, &limits);
            self.context.counters.repeated_bytes += inserted.repeated;
            self.context.counters.dropped_bytes += inserted.dropped;
        }
    }

    /// Decodes as far as what has arrived allows.
    fn run(&mut self) {
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
            && (self.open_hole(requests)
                || self.assign(Arrivals::Settled)
                || self.open_hole(responses)
                || self.settle_streams());
        let ending = matches!(self.phase, Phase::Ending(..));
        settled || (ending && (self.conclude(requests) || self.conclude(responses)))
    }

    /// Decodes the next piece that is held, or steps over the next hole that is known.
    fn advance(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        if let Some(hole) = self.halves.of_mut(direction).stream.take_missing() {
            self.skip(direction, hole);
            return true;
        }
        if self.halves.of(direction).scout.is_some() {
            return self.scan_ahead(direction);
        }
        let stream = &mut self.halves.of_mut(direction).stream;
        let Some(held) = stream.take() else { return false };
        let mut chunk = held.chunk(stream.next());
        let length = chunk.bytes.len();
        let consumed = self.decode_piece(direction, &mut chunk);
        let left = chunk.bytes.len();
        self.halves.of_mut(direction).stream.put_back(held, length - left);
        consumed
    }

    fn open_hole(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        if self.waits_for_hole(direction) && self.conclude(direction) {
            return true;
        }
        let Some(hole) = self.halves.of_mut(direction).stream.take_hole() else {
            return false;
        };
        self.skip(direction, hole);
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
    fn decode(&mut self, direction: Direction, chunk: &mut Chunk<'_>) {
        let length = chunk.bytes.len();
        self.decode_piece(direction, chunk);
        let left = chunk.bytes.len();
        self.halves.of_mut(direction).stream.consumed((length - left) as u64);
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
        self.halves.of(direction).scout.is_none()
            && !self.is_blocked(direction)
            && matches!(self.phase, Phase::Open | Phase::Ending(..))
            && !self.context.is_full()
    }

    /// Tells whether a direction must wait for the other one.
    fn is_blocked(&self, direction: Direction) -> bool {
        match &self.dialogue {
            Dialogue::Http1(dialogue) => dialogue.is_blocked(direction),
            Dialogue::Unknown | Dialogue::Http2(_) => false,
        }
    }

    fn skip(&mut self, direction: Direction, hole: Hole) {
        let Hole {
            position,
            span,
            cause,
            at,
        } = hole;
        let counters = &mut self.context.counters;
        match hole.bytes() {
            Some(bytes) => counters.missing_bytes = counters.missing_bytes.saturating_add(bytes),
            None => counters.uncounted_holes += 1,
        }
        self.context.outbox.push(Output::Gap(Gap {
            direction,
            position,
            span,
            cause,
            at,
        }));
        if let Some(scout) = &mut self.halves.of_mut(direction).scout {
            scout.pass_hole();
        }
        let stream = &self.halves.of(direction).stream;
        let behind_at = stream.held_at(stream.next()).map(|chunk| chunk.at);
        match &mut self.dialogue {
            Dialogue::Unknown => self.halves.of_mut(direction).lost_until = Some(Timestamp(u64::MAX)),
            Dialogue::Http1(dialogue) => dialogue.skip(direction, &hole, &mut self.context),
            Dialogue::Http2(dialogue) => dialogue.skip(direction, &hole, behind_at, &mut self.context),
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
        for half in self.halves.all_mut() {
            half.stream.clear();
            half.scout = None;
            half.preamble = None;
        }
    }

    fn wind_up(&mut self, now: Timestamp, ended: Option<Ended>) {
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
            .halves
            .all_mut()
            .map(|half| half.stream.clear())
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

#[cfg(test)]
mod tests;
