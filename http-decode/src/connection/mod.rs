//! One connection: both directions, in order and paired.
//!
//! In: chunks, gaps, and the caller's word on time and ends. Out: [`Output`]s, by `poll`. Refuses to decide alone that
//! bytes will not come: holes are final, and responses without a request are let through, when the caller says
//! [`settle`](Connection::settle), or when a limit leaves no choice. Decoding pauses while the outbox is full.

mod detection;
mod steps;

use crate::context::{Arrivals, Context};
use crate::direction::PerDirection;
use crate::proxy::{Preamble, Proxied};
use crate::reassembly::Reassembler;
use crate::scout::Scout;
use crate::{Chunk, Counters, Direction, Ended, Gap, GapCause, Output, Settings, Side, Timestamp, h1, h2};

/// Decodes one connection.
#[derive(Debug)]
pub struct Connection {
    context: Context,
    directions: PerDirection<DirectionState>,
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
struct DirectionState {
    reassembler: Reassembler,
    /// What looks ahead, until it is known how to read.
    scout: Option<Scout>,
    /// What may be a header of the PROXY protocol, and where what follows it begins.
    preamble: Option<Preamble>,
    start: u64,
    /// Until when bytes were passed over here before it was known what the direction carries.
    lost_until: Option<Timestamp>,
}

impl DirectionState {
    fn new(direction: Direction) -> Self {
        Self {
            reassembler: Reassembler::new(direction),
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
            directions: PerDirection::new(DirectionState::new),
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

    /// Takes word of bytes that will not come, as soon as that is known.
    pub fn gap(&mut self, gap: Gap) {
        if self.phase == Phase::Open {
            let limits = self.context.settings.limits;
            self.directions.of_mut(gap.direction).reassembler.add_gap(&gap, &limits);
            self.run();
        }
    }

    /// Returns whether something waits that only [`settle`](Self::settle) can end.
    pub fn unsettled(&self) -> bool {
        let hole = |direction| self.waits_for_gap(direction) && !self.is_blocked(direction);
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

    /// Returns when [`tick`](Self::tick) has something to do.
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

    /// Returns the memory in use, in bytes, which never exceeds [`max_connection_bytes`](crate::Limits::max_connection_bytes).
    pub fn held_bytes(&self) -> usize {
        let state = |state: &DirectionState| {
            state.reassembler.held_bytes()
                + state.scout.as_ref().map_or(0, Scout::held_bytes)
                + state.preamble.as_ref().map_or(0, Preamble::held_bytes)
        };
        let dialogue = match &self.dialogue {
            Dialogue::Unknown => 0,
            Dialogue::Http1(dialogue) => dialogue.held_bytes(),
            Dialogue::Http2(dialogue) => dialogue.held_bytes(),
        };
        self.directions.all().map(state).iter().sum::<usize>() + dialogue + self.context.outbox.held_bytes()
    }
}

#[cfg(test)]
mod tests;
