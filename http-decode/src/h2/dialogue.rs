//! Both directions of an HTTP/2 connection.
//!
//! In: contiguous bytes of either direction, in step with its frames, and holes. Out: exchanges, into the [`Context`].
//! Refuses to say what a stream carries before it is known which side asks: until then header blocks wait. One direction's
//! loss leaves the other one as it is.

use std::collections::VecDeque;

use super::frame::{self, Block, Event, Lost, Reader, Skipped};
use super::hpack;
use super::section::{Kind, Section, SectionReader};
use super::streams::{Origin, Streams};
use crate::context::Context;
use crate::h1::Role;
use crate::limits::{LATE_TABLE_BYTES, MAX_WAITING};
use crate::stream::Hole;
use crate::{Chunk, Direction, Ended, Exchange, GapCause, Limits, Reason, Side, Timestamp};

/// An HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Dialogue {
    read: Half,
    write: Half,
    sections: SectionReader,
    streams: Streams,
    /// What was decoded before it was known which side asks.
    waiting: VecDeque<Waiting>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    reader: Reader,
    table: hpack::Decoder,
    in_step: bool,
    last_at: Timestamp,
}

/// Something that happened to a stream.
#[derive(Debug)]
struct Waiting {
    direction: Direction,
    origin: Origin,
    section: Option<Section>,
}

impl Dialogue {
    /// Begins where `found` carries a frame next, or the client's preface; the other direction is out of step.
    pub(crate) fn new(found: Direction, at_preface: bool, context: &Context) -> Self {
        let limits = &context.settings.limits;
        let half = |direction| Half {
            reader: Reader::new(limits.max_head_bytes),
            table: hpack::Decoder::new(limits.max_table_bytes.min(LATE_TABLE_BYTES)),
            in_step: direction == found,
            last_at: Timestamp::default(),
        };
        let mut dialogue = Self {
            read: half(Direction::Read),
            write: half(Direction::Write),
            sections: SectionReader::default(),
            streams: Streams::default(),
            waiting: VecDeque::new(),
        };
        if at_preface {
            dialogue.begin(found, limits);
        }
        dialogue
    }

    /// Begins behind the 101 response to `exchange`, whose request is stream 1 (RFC 7540 section 3.2).
    pub(crate) fn upgraded(exchange: Box<Exchange>, context: &Context) -> Self {
        let [requests, responses] = context.request_direction();
        let mut dialogue = Self::new(requests, true, context);
        dialogue.half_mut(responses).in_step = true;
        dialogue.streams.adopt(exchange);
        dialogue
    }

    /// Tells whether it is known where the next frame of a direction begins.
    pub(crate) fn is_in_step(&self, direction: Direction) -> bool {
        self.half(direction).in_step
    }

    /// Goes on where a direction carries a frame next, or the client's preface.
    pub(crate) fn find_step(&mut self, direction: Direction, at_preface: bool, context: &mut Context) {
        let limits = &context.settings.limits;
        let half = self.half_mut(direction);
        half.reader = Reader::new(limits.max_head_bytes);
        half.in_step = true;
        if at_preface {
            self.begin(direction, limits);
        } else {
            context.counters.resynchronised += 1;
        }
    }

    /// Begins with the connection: no header block precedes the client's preface in either direction.
    fn begin(&mut self, requests: Direction, limits: &Limits) {
        self.half_mut(requests).reader = Reader::at_preface(limits.max_head_bytes);
        self.half_mut(requests).table = hpack::Decoder::from_start(limits.max_table_bytes);
        let responses = self.half_mut(requests.other());
        // Where its bytes arrived first, blocks may have been decoded already.
        if !responses.in_step {
            responses.table = hpack::Decoder::from_start(limits.max_table_bytes);
        }
    }

    /// Reads on in a direction; false when `chunk` is used up.
    pub(crate) fn read(&mut self, direction: Direction, chunk: &mut Chunk<'_>, context: &mut Context) -> bool {
        let Self {
            read,
            write,
            sections,
            streams,
            waiting,
        } = self;
        let half = match direction {
            Direction::Read => read,
            Direction::Write => write,
        };
        half.last_at = chunk.at;
        let at = chunk.at;
        let Some(event) = half.reader.read(chunk) else {
            return false;
        };
        let mut hearing = Hearing {
            direction,
            streams,
            waiting,
            context,
        };
        match event {
            Event::Preface => hearing.find_side(Role::Requests),
            Event::Block(block) => {
                let section = hearing.decode(sections, &block, &mut half.table);
                hearing.take_block(&block, section);
            }
            Event::Content { stream, bytes } => hearing.take_content(stream, Some(bytes), at),
            Event::EndStream { stream } => hearing.end_stream(stream, at, true),
            Event::Reset { stream, code: _ } => hearing.take_reset(stream, at, true),
            Event::GoAway { last_stream, code: _ } => hearing.take_goaway(last_stream, at),
            Event::Settings(settings) => self.take_settings(direction, settings),
            Event::Malformed { position, code: _ } => {
                hearing.context.undecoded(direction, position, Reason::MalformedFrame);
                hearing.context.counters.malformed_frames += 1;
                hearing.lose(at);
                half.in_step = false;
                half.table.forget();
            }
        }
        true
    }

    /// Steps over a hole.
    pub(crate) fn skip(&mut self, direction: Direction, hole: &Hole, context: &mut Context) {
        let Self {
            read,
            write,
            sections,
            streams,
            waiting,
        } = self;
        let half = match direction {
            Direction::Read => read,
            Direction::Write => write,
        };
        let at = half.last_at;
        let mut hearing = Hearing {
            direction,
            streams,
            waiting,
            context,
        };
        let (lost, in_step) = match half.reader.skip(hole.bytes) {
            Skipped::InStep(lost) => (lost, half.in_step),
            Skipped::OutOfStep(lost) => (lost, false),
        };
        match lost {
            Lost::Nothing | Lost::Control { .. } => {}
            Lost::Content {
                stream,
                bytes,
                ends_stream,
            } => {
                hearing.take_content(stream, Some(bytes), at);
                if ends_stream {
                    // What lies over the limit of a call was moved by that call, whose first bytes were just seen.
                    hearing.end_stream(stream, at, hole.cause == GapCause::OverLimit);
                }
            }
            Lost::ContentUnknown { stream, ends_stream } => {
                hearing.take_content(stream, None, at);
                if ends_stream {
                    hearing.end_stream(stream, at, hole.cause == GapCause::OverLimit);
                }
            }
            Lost::Block(block) => {
                let section = hearing.decode(sections, &block, &mut half.table);
                hearing.take_block(&block, section);
            }
            Lost::Reset { stream } => hearing.take_reset(stream, at, false),
        }
        if !in_step {
            hearing.lose(at);
            half.in_step = false;
            half.table.forget();
        }
    }

    /// Tells whether something waits that only settling can end.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.streams.is_unsettled()
    }

    /// Takes the promise that nothing captured before now will arrive; false if that changed nothing.
    pub(crate) fn settle(&mut self, context: &mut Context) -> bool {
        self.streams.settle(context)
    }

    /// Puts out each exchange that was held long enough and goes on.
    pub(crate) fn release(&mut self, now: Timestamp, context: &mut Context) {
        self.streams.release(now, context);
    }

    /// Says when that is due.
    pub(crate) fn release_at(&self) -> Option<Timestamp> {
        self.streams.release_at()
    }

    /// Puts out what is in progress when the connection, or its observation, has ended.
    pub(crate) fn end(&mut self, now: Timestamp, ended: Option<Ended>, context: &mut Context) {
        for waiting in self.waiting.drain(..) {
            if waiting.section.is_some() {
                context.undecoded(waiting.direction, waiting.origin.mark.position, Reason::UnknownSide);
            }
        }
        self.streams.end_all(now, ended, context);
        for half in [&mut self.read, &mut self.write] {
            let counted = half.reader.take_counters();
            context.counters.blocks_cut += counted.blocks_cut;
            context.counters.empty_frames += counted.empty_fragments + counted.empty_data;
            context.counters.oversize_frames += counted.oversize_frames;
        }
    }

    /// Counts the memory in use.
    pub(crate) fn held_bytes(&self) -> usize {
        let half = |half: &Half| half.reader.held_bytes() + half.table.held_bytes();
        let section = |waiting: &Waiting| waiting.section.as_ref().map_or(0, Section::held_bytes);
        half(&self.read)
            + half(&self.write)
            + self.sections.held_bytes()
            + self.streams.held_bytes()
            + self.waiting.iter().map(section).sum::<usize>()
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

    fn take_settings(&mut self, direction: Direction, settings: frame::Settings) {
        if let Some(bytes) = settings.max_frame_size {
            self.half_mut(direction.other()).reader.set_max_frame_size(bytes);
        }
    }
}

/// What is heard in one direction, and who has to know.
struct Hearing<'a> {
    direction: Direction,
    streams: &'a mut Streams,
    waiting: &'a mut VecDeque<Waiting>,
    context: &'a mut Context,
}

impl Hearing<'_> {
    /// Says what this direction carries, if that is known.
    fn role(&self) -> Option<Role> {
        let side = self.context.side?;
        Some(match (side, self.direction) {
            (Side::Server, Direction::Read) | (Side::Client, Direction::Write) => Role::Requests,
            (Side::Server, Direction::Write) | (Side::Client, Direction::Read) => Role::Responses,
        })
    }

    fn decode(
        &mut self,
        sections: &mut SectionReader,
        block: &Block<'_>,
        table: &mut hpack::Decoder,
    ) -> Option<Section> {
        let Context { settings, counters, .. } = &mut *self.context;
        match sections.read(block, table, &settings.limits, counters) {
            Ok(section) => Some(section),
            Err(reason) => {
                self.context.counters.malformed_heads += 1;
                self.context.undecoded(self.direction, block.mark.position, reason);
                None
            }
        }
    }

    fn take_block(&mut self, block: &Block<'_>, section: Option<Section>) {
        let mut origin = Origin {
            stream: block.stream,
            mark: block.mark,
            at: block.at,
            last: block.end_stream,
        };
        let Some(section) = section else {
            if block.end_stream {
                self.end_stream(block.stream, block.at, true);
            }
            return;
        };
        let role = match (block.promised, section.kind()) {
            (Some(_), _) | (None, Kind::Response) => Some(Role::Responses),
            (None, Kind::Request) => Some(Role::Requests),
            (None, Kind::Trailers | Kind::Unknown) => None,
        };
        if let (None, Some(role)) = (self.context.side, role) {
            self.find_side(role);
        }
        if let Some(promised) = block.promised {
            origin.stream = promised;
            self.streams.take_promise(origin, section, self.context);
        } else {
            self.take_section(origin, section);
        }
    }

    fn take_section(&mut self, origin: Origin, section: Section) {
        match (self.role(), section.kind()) {
            (None, _) => self.wait(origin, Some(section)),
            (Some(Role::Requests), Kind::Response) | (Some(Role::Responses), Kind::Request) => {
                self.context.counters.malformed_heads += 1;
                self.context
                    .undecoded(self.direction, origin.mark.position, Reason::MalformedHead);
            }
            (Some(Role::Requests), _) => self.streams.take_request(origin, section, self.context),
            (Some(Role::Responses), _) => self.streams.take_response(origin, section, self.context),
        }
    }

    fn take_content(&mut self, stream: u32, count: Option<u64>, at: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.add_request_content(stream, count, at),
            Some(Role::Responses) => self.streams.add_content(stream, count, at),
            None => {}
        }
    }

    /// Takes the end of a stream in this direction; `seen` says whether it came at that time.
    fn end_stream(&mut self, stream: u32, at: Timestamp, seen: bool) {
        match self.role() {
            Some(Role::Requests) => self.streams.end_request(stream, self.context),
            Some(Role::Responses) => {
                let ended = if seen { Ended::Complete } else { Ended::Lost };
                self.streams.end(stream, ended, at, seen, self.context);
            }
            None => {}
        }
    }

    fn take_reset(&mut self, stream: u32, at: Timestamp, seen: bool) {
        self.streams.end(stream, Ended::Reset, at, seen, self.context);
    }

    fn take_goaway(&mut self, last_stream: u32, at: Timestamp) {
        // Clients begin streams with odd identifiers, servers those with even ones (RFC 9113 section 5.1.1).
        let parity = match self.role() {
            Some(Role::Responses) => 1,
            Some(Role::Requests) => 0,
            None => return,
        };
        self.streams.end_above(last_stream, parity, at, self.context);
    }

    /// Notes that frames were lost here.
    fn lose(&mut self, at: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.lose_requests(),
            Some(Role::Responses) => self.streams.lose_responses(at, self.context),
            None => {}
        }
    }

    /// Takes note of what this direction carries, and goes on with what waited for that.
    fn find_side(&mut self, role: Role) {
        if self.context.side.is_some() {
            return;
        }
        self.context.side = Some(match (self.direction, role) {
            (Direction::Read, Role::Requests) | (Direction::Write, Role::Responses) => Side::Server,
            (Direction::Write, Role::Requests) | (Direction::Read, Role::Responses) => Side::Client,
        });
        for waiting in std::mem::take(self.waiting) {
            let Waiting {
                direction,
                origin,
                section,
            } = waiting;
            let mut hearing = Hearing {
                direction,
                streams: self.streams,
                waiting: self.waiting,
                context: self.context,
            };
            if let Some(section) = section {
                hearing.take_section(origin, section);
            }
        }
    }

    fn wait(&mut self, origin: Origin, section: Option<Section>) {
        if self.waiting.len() >= MAX_WAITING
            && let Some(Waiting { direction, origin, .. }) = self.waiting.pop_front()
        {
            self.context
                .undecoded(direction, origin.mark.position, Reason::UnknownSide);
        }
        self.waiting.push_back(Waiting {
            direction: self.direction,
            origin,
            section,
        });
    }
}
