//! One connection: both directions, in order and paired.
//!
//! In: chunks, gaps, and the caller's word on time and ends. Out: [`Output`]s, by `poll`. Refuses to decide alone that
//! bytes will not come: holes are final, and responses without a request are let through, when the caller says
//! [`settle`](Connection::settle), or when a limit leaves no choice. Decoding pauses while the outbox is full.

mod messages;

use crate::h1::body::Skip;
use crate::h1::head::Versioned;
use crate::h1::{Decoder, Role, Skipped};
use crate::outbox::{Outbox, response_head_bytes};
use crate::pair::{Arrivals, Pairing};
use crate::progress::{Ending, Progress};
use crate::stream::Mark;
use crate::stream::{Hole, Stream};
use crate::{
    Chunk, Counters, Direction, Ended, Fields, Gap, GapCause, Output, Reason, ResponseHead, Settings, Side, Timestamp,
};

/// Decodes one connection.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    read: Half,
    write: Half,
    side: Option<Side>,
    phase: Phase,
    /// Whether nothing captured before now will arrive any more.
    arrivals: Arrivals,
    pairing: Pairing,
    /// The exchange whose response is coming.
    progress: Option<Progress>,
    /// A response head for which no request has been found yet.
    waiting: Option<Waiting>,
    /// The request whose body is coming, by its ordinal.
    receiving: Option<u64>,
    /// A request that may turn the connection into a tunnel, by its ordinal: behind it nothing is decoded until it
    /// is answered.
    tunnel: Option<u64>,
    ordinals: u64,
    /// Bytes discarded before any HTTP was seen, and the first of them.
    unrecognised: u64,
    unrecognised_from: Option<(Direction, u64)>,
    outbox: Outbox,
    /// Whether decoding stopped because the outbox was full.
    paused: bool,
    counters: Counters,
}

/// One direction of it.
#[derive(Debug, Default)]
struct Half {
    stream: Stream,
    decoder: Decoder,
    last_at: Timestamp,
    /// Until when something was lost here before it was known what the direction carries.
    lost_until: Option<Timestamp>,
}

#[derive(Debug)]
struct Waiting {
    response: Versioned<ResponseHead>,
    mark: Mark,
    at: Timestamp,
}

/// How far the life of the connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// HTTP/1, or not known yet.
    Open,
    /// A tunnel, or another protocol: nothing is decoded any more.
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
            settings,
            read: Half::default(),
            write: Half::default(),
            side: None,
            phase: Phase::Open,
            arrivals: Arrivals::Open,
            pairing: Pairing::default(),
            progress: None,
            waiting: None,
            receiving: None,
            tunnel: None,
            ordinals: 0,
            unrecognised: 0,
            unrecognised_from: None,
            outbox: Outbox::default(),
            paused: false,
            counters: Counters::default(),
        }
    }

    /// Takes captured bytes of one direction.
    pub fn push(&mut self, direction: Direction, mut chunk: Chunk<'_>) {
        let length = chunk.bytes.len() as u64;
        match self.phase {
            Phase::Open => {}
            Phase::Opaque => return,
            Phase::Ending(..) | Phase::Over => {
                self.counters.late_bytes += length;
                return;
            }
        }
        if chunk.position.checked_add(length).is_none() {
            self.counters.dropped_bytes += length;
            return;
        }
        self.arrivals = Arrivals::Open;
        let repeated = self
            .half(direction)
            .stream
            .next()
            .saturating_sub(chunk.position)
            .min(length);
        self.counters.repeated_bytes += repeated;
        chunk.advance(usize::try_from(repeated).unwrap_or(usize::MAX));
        if self.half(direction).stream.is_next(&chunk) {
            self.decode(direction, &mut chunk);
        }
        self.hold(direction, chunk);
        self.run();
    }

    /// Takes word of bytes that will not come, as soon as that is known.
    pub fn gap(&mut self, gap: Gap) {
        if self.phase == Phase::Open {
            let Gap {
                direction,
                position,
                bytes,
                cause,
            } = gap;
            let limits = self.settings.limits;
            self.half_mut(direction).stream.missing(position, bytes, cause, &limits);
            self.run();
        }
    }

    /// Tells whether something waits that only [`settle`](Self::settle) can end.
    pub fn unsettled(&self) -> bool {
        let hole = |direction| self.half(direction).stream.has_hole() && !self.is_blocked(direction);
        self.phase == Phase::Open && (self.waiting.is_some() || hole(Direction::Read) || hole(Direction::Write))
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
            let limits = self.settings.limits;
            for (half, end) in [(&mut self.read, read), (&mut self.write, written)] {
                let next = half.stream.next();
                half.stream
                    .missing(next, end.saturating_sub(next), GapCause::Lost, &limits);
            }
        }
        self.wind_up(now, Some(ended));
    }

    /// Takes the end of observation: everything in progress comes out as it stands.
    pub fn finish(&mut self, now: Timestamp) {
        self.wind_up(now, None);
    }

    /// Puts out the exchange in progress if its response head is older than the hold.
    pub fn tick(&mut self, now: Timestamp) {
        if self.next_tick().is_some_and(|at| at <= now) {
            let Self {
                progress,
                outbox,
                counters,
                ..
            } = self;
            *progress = progress.take().map(|progress| progress.release(outbox, counters));
        }
    }

    /// Says when [`tick`](Self::tick) would put something out.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.progress.as_ref()?.release_at(self.settings.hold_ns)
    }

    /// Takes the next output.
    pub fn poll(&mut self) -> Option<Output> {
        if self.outbox.held_bytes() == 0 && self.paused {
            self.run();
        }
        self.outbox.pop()
    }

    /// Says which side of the connection the traced process is, once that is known.
    pub fn side(&self) -> Option<Side> {
        self.side
    }

    /// Says how often what happened.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Counts the memory in use, which never exceeds [`max_connection_bytes`](crate::Limits::max_connection_bytes).
    pub fn held_bytes(&self) -> usize {
        let half = |half: &Half| half.stream.held_bytes() + half.decoder.held_bytes();
        let waiting = self
            .waiting
            .as_ref()
            .map_or(0, |waiting| response_head_bytes(&waiting.response.head));
        half(&self.read)
            + half(&self.write)
            + self.pairing.held_bytes()
            + self.progress.as_ref().map_or(0, Progress::held_bytes)
            + waiting
            + self.outbox.held_bytes()
    }

    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// Holds what could not be decoded in place. At the limit, what was waited for is given up to make room.
    fn hold(&mut self, direction: Direction, mut chunk: Chunk<'_>) {
        let limits = self.settings.limits;
        if chunk.bytes.is_empty() || self.phase != Phase::Open {
            return;
        }
        if !self.half(direction).stream.fits(&chunk, &limits) {
            self.counters.holes_forced += 1;
            self.arrivals = Arrivals::Settled;
            self.run();
            self.arrivals = Arrivals::Open;
            if self.half(direction).stream.is_next(&chunk) {
                self.decode(direction, &mut chunk);
            }
        }
        if self.phase == Phase::Open {
            let inserted = self.half_mut(direction).stream.insert(chunk, &limits);
            self.counters.repeated_bytes += inserted.repeated;
            self.counters.dropped_bytes += inserted.dropped;
        }
    }

    /// Decodes as far as what has arrived allows.
    fn run(&mut self) {
        loop {
            if matches!(self.phase, Phase::Opaque | Phase::Over) {
                self.clear();
                return;
            }
            self.paused = self.outbox.held_bytes() >= self.settings.limits.max_queued_bytes;
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
        let [requests, responses] = self.request_direction();
        if self.advance(requests) || self.assign(Arrivals::Open) || self.advance(responses) {
            return true;
        }
        self.arrivals == Arrivals::Settled
            && (self.open_hole(requests) || self.assign(Arrivals::Settled) || self.open_hole(responses))
    }

    /// Decodes the next piece that is held, or steps over the next hole that is known.
    fn advance(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        if let Some(hole) = self.half_mut(direction).stream.take_missing() {
            self.skip(direction, hole);
            return true;
        }
        let stream = &mut self.half_mut(direction).stream;
        let Some(held) = stream.take() else { return false };
        let mut chunk = held.chunk(stream.next());
        let length = chunk.bytes.len();
        let consumed = self.decode_piece(direction, &mut chunk);
        let left = chunk.bytes.len();
        self.half_mut(direction).stream.put_back(held, length - left);
        consumed
    }

    fn open_hole(&mut self, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        let Some(hole) = self.half_mut(direction).stream.take_hole() else {
            return false;
        };
        self.skip(direction, hole);
        true
    }

    /// Decodes bytes that are next, where they are.
    fn decode(&mut self, direction: Direction, chunk: &mut Chunk<'_>) {
        let length = chunk.bytes.len();
        self.decode_piece(direction, chunk);
        let left = chunk.bytes.len();
        self.half_mut(direction).stream.consumed((length - left) as u64);
    }

    /// Decodes `chunk` until it is used up or must wait; tells whether anything came of it.
    fn decode_piece(&mut self, direction: Direction, chunk: &mut Chunk<'_>) -> bool {
        let limits = self.settings.limits;
        let at = chunk.at;
        let length = chunk.bytes.len();
        let mut events = false;
        self.half_mut(direction).last_at = at;
        while self.can_decode(direction) {
            let Some(event) = self.half_mut(direction).decoder.read(chunk, &limits) else {
                break;
            };
            events = true;
            self.take_event(direction, event, at);
        }
        events || chunk.bytes.len() < length
    }

    fn can_decode(&self, direction: Direction) -> bool {
        !self.is_blocked(direction)
            && matches!(self.phase, Phase::Open | Phase::Ending(..))
            && self.outbox.held_bytes() < self.settings.limits.max_queued_bytes
    }

    /// Tells whether a direction must wait for the other one.
    fn is_blocked(&self, direction: Direction) -> bool {
        match self.half(direction).decoder.role() {
            Some(Role::Responses) => self.waiting.is_some(),
            Some(Role::Requests) => self.tunnel.is_some() && self.half(direction).decoder.is_between_messages(),
            None => false,
        }
    }

    /// Orders the directions: the one with the requests, then the one with the responses.
    fn request_direction(&self) -> [Direction; 2] {
        match self.side {
            Some(Side::Client) => [Direction::Write, Direction::Read],
            Some(Side::Server) | None => [Direction::Read, Direction::Write],
        }
    }

    fn skip(&mut self, direction: Direction, hole: Hole) {
        let Hole { position, bytes, cause } = hole;
        self.counters.missing_bytes = self.counters.missing_bytes.saturating_add(bytes);
        self.outbox.push(Output::Gap(Gap {
            direction,
            position,
            bytes,
            cause,
        }));
        let skipped = self.half_mut(direction).decoder.skip(bytes);
        match (self.half(direction).decoder.role(), skipped) {
            (None, _) => self.half_mut(direction).lost_until = Some(Timestamp(u64::MAX)),
            (Some(Role::Requests), Skipped::Heads) => self.pairing.lose_requests(),
            (Some(Role::Requests), Skipped::Body(skip)) => self.skip_request_body(skip),
            (Some(Role::Responses), Skipped::Heads) => self.lose_response_head(None),
            (Some(Role::Responses), Skipped::Body(skip)) => self.skip_response_body(skip, cause),
        }
    }

    fn skip_request_body(&mut self, skip: Skip) {
        match skip {
            Skip::Content(count) | Skip::Rest(count) => self.add_request_content(count),
            Skip::Beyond(count) => {
                self.add_request_content(count);
                self.pairing.lose_requests();
            }
            Skip::Unknown => {
                self.lose_request_body();
                self.pairing.lose_requests();
            }
        }
    }

    fn skip_response_body(&mut self, skip: Skip, cause: GapCause) {
        let Some(mut progress) = self.progress.take() else {
            return;
        };
        let at = match self.side {
            Some(Side::Client) => self.read.last_at,
            Some(Side::Server) | None => self.write.last_at,
        };
        match skip {
            Skip::Content(count) | Skip::Rest(count) | Skip::Beyond(count) => progress.add_content(count),
            Skip::Unknown => progress.lose_body(),
        }
        if matches!(skip, Skip::Content(_)) {
            self.progress = Some(progress);
            return;
        }
        // What lies over the limit of a call was moved by that call, whose first bytes were just seen.
        let ending = match (skip, cause) {
            (Skip::Rest(_) | Skip::Beyond(_), GapCause::OverLimit) => {
                Ending::seen(Ended::Complete, at, Fields::default())
            }
            (_, _) => Ending::unseen(at),
        };
        progress.end(ending, &mut self.outbox, &mut self.counters);
        if !matches!(skip, Skip::Rest(_)) {
            self.pairing.lose_responses(None);
        }
    }

    /// A response that was lost may have been a 1xx one, so its request waits on.
    fn lose_response_head(&mut self, until: Option<Timestamp>) {
        self.pairing.lose_responses(until);
        match self.progress.take() {
            Some(Progress::Within(exchange)) if exchange.request.is_some() => self.pairing.put_back(exchange),
            Some(progress) => {
                self.pairing.lose_first();
                let at = progress.release_at(0).unwrap_or_default();
                progress.end(Ending::unseen(at), &mut self.outbox, &mut self.counters);
            }
            None => {}
        }
    }

    /// Lets go of what will not be decoded.
    fn clear(&mut self) {
        for half in [&mut self.read, &mut self.write] {
            half.stream.clear();
            half.decoder.lose_step();
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
        self.counters.discarded_bytes += self.read.stream.clear() + self.write.stream.clear();
        let [_, responses] = self.request_direction();
        let to_the_end = self.half(responses).decoder.ends_with_connection();
        if let Some(progress) = self.progress.take() {
            match ended {
                None => progress.abandon(&mut self.outbox, &mut self.counters),
                Some(ended) => {
                    // RFC 9112 section 6.3, rule 8: such a body ends where the connection does.
                    let complete = to_the_end && ended == Ended::Closed;
                    let ended = if complete { Ended::Complete } else { ended };
                    progress.end(
                        Ending::seen(ended, now, Fields::default()),
                        &mut self.outbox,
                        &mut self.counters,
                    );
                }
            }
        }
        while let Some(exchange) = self.pairing.pop() {
            self.outbox.push_exchange(exchange, ended, &mut self.counters);
        }
        self.report_unrecognised(0);
        self.clear();
    }

    /// Says once that this is not HTTP, when more than `limit` bytes were not.
    fn report_unrecognised(&mut self, limit: u64) {
        if self.side.is_none()
            && self.unrecognised > limit
            && let Some((direction, position)) = self.unrecognised_from.take()
        {
            self.outbox
                .push(Output::Undecoded(direction, position, Reason::NotHttp));
        }
    }
}

#[cfg(test)]
mod tests;
