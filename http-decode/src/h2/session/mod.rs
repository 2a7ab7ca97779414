//! Both directions of an HTTP/2 connection.
//!
//! Whether a direction carries requests or responses may be unknown at first, if the connection was joined late. Until the
//! header blocks show it, events are queued. A loss in one direction does not affect the framing of the other.

mod events;

use std::collections::VecDeque;

use self::events::{EventHandler, QueuedEvent, Seen};
use super::frame::{self, Event, GapEffect, Lost, Reader};
use super::hpack;
use super::section::{Kind, SectionReader};
use super::streams::Streams;
use crate::context::{Context, Role};
use crate::direction::PerDirection;
use crate::limits::LATE_TABLE_BYTES;
use crate::server_events::last_taken;
use crate::{ActiveRequest, Chunk, Direction, Ended, Exchange, Gap, Limits, Reason, Timestamp};

/// An HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Session {
    directions: PerDirection<DirectionState>,
    sections: SectionReader,
    streams: Streams,
    /// Events that wait until it is known which side is the client.
    queued: VecDeque<QueuedEvent>,
}

/// One direction.
#[derive(Debug)]
struct DirectionState {
    reader: Reader,
    table: hpack::Decoder,
    in_sync: bool,
    /// Whether the boundaries of frames are known for certain: from the preface on, or because they led to a head. Otherwise
    /// they were inferred from a few frames, and other bytes may look like these.
    is_certain: bool,
    last_at: Timestamp,
}

impl Session {
    /// Begins at a frame, or at the client preface, in direction `found`. The other direction is out of sync.
    pub(crate) fn new(found: Direction, at_preface: bool, context: &Context) -> Self {
        let limits = &context.settings.limits;
        let state = |direction| DirectionState {
            reader: Reader::new(limits.max_head_bytes),
            table: hpack::Decoder::new(limits.max_table_bytes.min(LATE_TABLE_BYTES)),
            in_sync: direction == found,
            is_certain: false,
            last_at: Timestamp::default(),
        };
        let mut session = Self {
            directions: PerDirection::new(state),
            sections: SectionReader::default(),
            streams: Streams::default(),
            queued: VecDeque::new(),
        };
        if at_preface {
            session.begin(found, limits);
        }
        session
    }

    /// Begins behind the 101 response to `exchange`, whose request becomes stream 1 (RFC 7540 section 3.2).
    pub(crate) fn upgraded(exchange: Box<Exchange>, context: &Context) -> Self {
        let [requests, responses] = context.request_direction();
        let mut session = Self::new(requests, true, context);
        let responses = session.directions.of_mut(responses);
        (responses.in_sync, responses.is_certain) = (true, true);
        session.streams.adopt(exchange);
        session
    }

    /// Returns the requests that are active.
    pub(crate) fn active_requests(&self) -> impl Iterator<Item = ActiveRequest> {
        self.streams.active_requests()
    }

    /// Returns whether the next frame boundary of a direction is known.
    pub(crate) fn is_in_sync(&self, direction: Direction) -> bool {
        self.directions.of(direction).in_sync
    }

    /// Resumes a direction at a frame, or at the client preface.
    pub(crate) fn resync(&mut self, direction: Direction, at_preface: bool, context: &mut Context) {
        let limits = &context.settings.limits;
        let state = self.directions.of_mut(direction);
        state.reader = Reader::new(limits.max_head_bytes);
        (state.in_sync, state.is_certain) = (true, false);
        if at_preface {
            self.begin(direction, limits);
        } else {
            context.counters.resynchronised += 1;
        }
    }

    /// Notes that the connection begins: no header block precedes the client preface in either direction.
    fn begin(&mut self, requests: Direction, limits: &Limits) {
        self.streams.begin_connection();
        let state = self.directions.of_mut(requests);
        state.reader = Reader::at_preface(limits.max_head_bytes);
        state.table = hpack::Decoder::from_start(limits.max_table_bytes);
        state.is_certain = true;
        let responses = self.directions.of_mut(requests.other());
        // If its bytes arrived first, blocks may have been decoded with the table already.
        if !responses.in_sync {
            responses.table = hpack::Decoder::from_start(limits.max_table_bytes);
        }
    }

    /// Reads one event of a direction; `false` when `chunk` is used up.
    pub(crate) fn read(&mut self, direction: Direction, chunk: &mut Chunk<'_>, context: &mut Context) -> bool {
        let (state, sections, mut handler) = self.split(direction, context);
        state.last_at = chunk.at;
        let (at, before) = (chunk.at, chunk.bytes);
        let Some(event) = state.reader.read(chunk) else {
            return false;
        };
        match event {
            Event::Preface => handler.set_role(Role::Requests),
            Event::SecondPreface { position } => {
                handler.restart(position, at);
                state.table = hpack::Decoder::from_start(handler.context.settings.limits.max_table_bytes);
            }
            Event::Block(block) if block.headless => handler.handle_headless_block(block.stream, at),
            Event::Block(block) => {
                let section = handler.decode(sections, &block, &mut state.table);
                state.is_certain |= matches!(section.kind(), Kind::Request | Kind::Response);
                handler.handle_block(&block, section);
            }
            Event::Content { stream, bytes } => {
                let seen = last_taken(before, chunk.bytes, bytes);
                handler.handle_content(stream, Some(bytes), seen, at);
            }
            Event::EndStream { stream } => handler.end_stream(stream, at, Seen::Yes),
            Event::Reset { stream, code: _ } => handler.handle_reset(stream, at, Seen::Yes),
            Event::GoAway { last_stream, code: _ } => handler.handle_goaway(last_stream, at),
            Event::Settings(settings) => self.apply_settings(direction, settings),
            Event::Malformed { position, code: _ } => {
                handler.context.undecoded(direction, position, Reason::MalformedFrame);
                handler.context.counters.malformed_frames += 1;
                handler.lose(at, at);
                state.in_sync = false;
                state.table.forget();
            }
        }
        true
    }

    /// Returns how many bytes of content follow in a direction, up to the end of the frame; `None` if it is not within content.
    pub(crate) fn content_left(&self, direction: Direction) -> Option<u64> {
        let state = self.directions.of(direction);
        state.in_sync.then(|| state.reader.content_left()).flatten()
    }

    /// Steps over a gap; `resumed_at` is when the bytes behind it were captured, if they have arrived.
    pub(crate) fn skip_gap(&mut self, gap: &Gap, resumed_at: Option<Timestamp>, context: &mut Context) {
        let (state, sections, mut handler) = self.split(gap.direction, context);
        let (at, seen) = match (gap.ended_at(state.last_at), gap.bytes()) {
            (Some(at), Some(_)) => (at, Seen::Yes),
            (_, _) => (state.last_at, Seen::No),
        };
        let (lost, in_sync) = match state.reader.skip_gap(gap.bytes()) {
            GapEffect::InSync(lost) => (lost, state.in_sync),
            GapEffect::OutOfSync(lost) => (lost, false),
        };
        match lost {
            Lost::Nothing | Lost::Control { .. } => {}
            Lost::Content {
                stream,
                bytes,
                ends_stream,
            } => handler.handle_lost_content(stream, Some(bytes), ends_stream.then_some(seen), at),
            Lost::ContentUnknown { stream, ends_stream } => {
                handler.handle_lost_content(stream, None, ends_stream.then_some(seen), at);
            }
            Lost::Block(block) => {
                let section = handler.decode(sections, &block, &mut state.table);
                handler.handle_block(&block, section);
            }
            Lost::Reset { stream } => handler.handle_reset(stream, at, Seen::No),
        }
        if !in_sync {
            let until = gap.ended_at(state.last_at).or(resumed_at);
            handler.lose(at, until.unwrap_or(Timestamp(u64::MAX)));
            state.in_sync = false;
            state.table.forget();
        }
    }

    /// Notes that bytes of a direction that is out of sync were discarded, up to those captured at `at`.
    pub(crate) fn lose(&mut self, direction: Direction, at: Timestamp, context: &mut Context) {
        let (_, _, mut handler) = self.split(direction, context);
        handler.lose(at, at);
    }

    /// Returns whether a stream has ended unless bytes captured earlier are still to arrive.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.streams.is_unsettled()
    }

    /// Notes that no bytes captured before now will arrive; `false` if that changed nothing.
    pub(crate) fn settle(&mut self, context: &mut Context) -> bool {
        self.streams.settle(context)
    }

    /// Emits each exchange that was held for long enough and goes on.
    pub(crate) fn release(&mut self, now: Timestamp, context: &mut Context) {
        self.streams.release(now, context);
    }

    /// Returns when [`release`](Self::release) is due.
    pub(crate) fn release_at(&self) -> Option<Timestamp> {
        self.streams.release_at()
    }

    /// Emits what is in progress, at the end of the connection, or of its observation if `ended` is `None`.
    pub(crate) fn end(&mut self, now: Timestamp, ended: Option<Ended>, context: &mut Context) {
        for direction in [Direction::Read, Direction::Write] {
            self.doubt_unfinished_frame(direction, context);
        }
        for (direction, position) in self.queued.drain(..).filter_map(|queued| queued.section_at()) {
            context.undecoded(direction, position, Reason::UnknownSide);
        }
        self.streams.end_all(now, ended, context);
        for state in self.directions.all_mut() {
            let counted = state.reader.take_counters();
            context.counters.heads_cut += counted.blocks_cut;
            context.counters.empty_frames += counted.empty_fragments + counted.empty_data;
            context.counters.oversize_frames += counted.oversize_frames;
        }
    }

    /// Notes that frames were lost if the last one of a direction is not complete and its boundaries are not certain: it may
    /// be no frame at all, and have hidden how streams ended.
    fn doubt_unfinished_frame(&mut self, direction: Direction, context: &mut Context) {
        let (state, _, mut handler) = self.split(direction, context);
        if let Some(began) = state.reader.frame_in_progress().filter(|_| !state.is_certain) {
            handler.lose(began, Timestamp(u64::MAX));
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let state = |state: &DirectionState| state.reader.held_bytes() + state.table.held_bytes();
        self.directions.all().map(state).iter().sum::<usize>()
            + self.sections.held_bytes()
            + self.streams.held_bytes()
            + self.queued.iter().map(QueuedEvent::held_bytes).sum::<usize>()
    }

    /// Borrows what reads a direction apart from what handles its events.
    fn split<'a>(
        &'a mut self,
        direction: Direction,
        context: &'a mut Context,
    ) -> (&'a mut DirectionState, &'a mut SectionReader, EventHandler<'a>) {
        let events = EventHandler {
            direction,
            streams: &mut self.streams,
            queued: &mut self.queued,
            context,
        };
        (self.directions.of_mut(direction), &mut self.sections, events)
    }

    fn apply_settings(&mut self, direction: Direction, settings: frame::Settings) {
        if let Some(bytes) = settings.max_frame_size {
            self.directions
                .of_mut(direction.other())
                .reader
                .set_max_frame_size(bytes);
        }
    }
}
