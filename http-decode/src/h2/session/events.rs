//! Handling the events of a direction: header blocks, content and ends go to the streams.
//!
//! The streams need to know whether an event is of a request or of a response. Until that is known, events are queued.

use std::collections::VecDeque;

use crate::context::{Context, Role};
use crate::h2::frame::Block;
use crate::h2::hpack;
use crate::h2::section::{Kind, Section, SectionReader};
use crate::h2::streams::{Origin, Streams};
use crate::limits::MAX_QUEUED_EVENTS;
use crate::{Direction, Reason, Timestamp};

/// An event that came before it was known which side is the client.
#[derive(Debug)]
pub(super) struct QueuedEvent {
    direction: Direction,
    kind: QueuedKind,
}

/// A queued event: a header block, or what followed one.
#[derive(Debug)]
enum QueuedKind {
    Section(Origin, Box<Section>),
    Content(u32, Option<u64>, Timestamp),
    EndStream(u32, Timestamp, Seen),
    Lost(Timestamp, Timestamp),
}

impl QueuedKind {
    /// Returns the stream of the event, if it is of one.
    fn stream(&self) -> Option<u32> {
        match self {
            Self::Section(Origin { stream, .. }, _) | Self::Content(stream, ..) | Self::EndStream(stream, ..) => {
                Some(*stream)
            }
            Self::Lost(..) => None,
        }
    }
}

/// Whether an event was seen at the given time, or was lost in a gap behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    Yes,
    No,
}

impl QueuedEvent {
    /// Returns the direction and the position of a queued header block.
    pub(super) fn section_at(&self) -> Option<(Direction, u64)> {
        match &self.kind {
            QueuedKind::Section(origin, _) => Some((self.direction, origin.mark.position)),
            QueuedKind::Content(..) | QueuedKind::EndStream(..) | QueuedKind::Lost(..) => None,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.kind {
                QueuedKind::Section(_, section) => section.held_bytes(),
                QueuedKind::Content(..) | QueuedKind::EndStream(..) | QueuedKind::Lost(..) => 0,
            }
    }
}

/// Handles the events of one direction.
pub(super) struct EventHandler<'a> {
    pub(super) direction: Direction,
    pub(super) streams: &'a mut Streams,
    pub(super) queued: &'a mut VecDeque<QueuedEvent>,
    pub(super) context: &'a mut Context,
}

impl EventHandler<'_> {
    /// Returns what the direction carries, if that is known.
    fn role(&self) -> Option<Role> {
        self.context.side.map(|side| Role::of(self.direction, side))
    }

    pub(super) fn decode(
        &mut self,
        sections: &mut SectionReader,
        block: &Block<'_>,
        table: &mut hpack::Decoder,
    ) -> Section {
        let Context { settings, counters, .. } = &mut *self.context;
        sections.read(block, table, &settings.limits, counters)
    }

    pub(super) fn handle_block(&mut self, block: &Block<'_>, section: Section) {
        let mut origin = Origin {
            stream: block.stream,
            mark: block.mark,
            at: block.at,
            ends_stream: block.end_stream,
        };
        let role = match (block.promised, section.kind()) {
            (Some(_), _) | (None, Kind::Response) => Some(Role::Responses),
            (None, Kind::Request) => Some(Role::Requests),
            (None, Kind::Trailers | Kind::Unknown) => None,
        };
        if let (None, Some(role)) = (self.context.side, role) {
            self.set_role(role);
        }
        if let Some(promised) = block.promised {
            origin.stream = promised;
            self.streams.handle_promise(origin, section, self.context);
        } else {
            self.handle_section(origin, section);
        }
    }

    /// Handles the rest of a header block whose first frame was not seen, which may have ended the stream.
    pub(super) fn handle_headless_block(&mut self, stream: u32, at: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.lose_request_block(stream),
            Some(Role::Responses) => self.streams.lose_response_block(stream, at, self.context),
            None => self.queue(QueuedKind::Lost(at, at)),
        }
    }

    fn handle_section(&mut self, origin: Origin, section: Section) {
        match (self.role(), section.kind()) {
            (None, _) => self.queue(QueuedKind::Section(origin, Box::new(section))),
            (Some(Role::Requests), Kind::Response) if !section.has_request_fields() => self.reject(origin),
            (Some(Role::Responses), Kind::Request) => {
                self.reject(origin);
                self.streams.lose_response_block(origin.stream, origin.at, self.context);
                if origin.ends_stream {
                    self.end_stream(origin.stream, origin.at, Seen::Yes);
                }
            }
            (Some(Role::Requests), _) => self.streams.handle_request(origin, section, self.context),
            (Some(Role::Responses), _) => self.streams.handle_response(origin, section, self.context),
        }
    }

    /// Reports the head of a response among requests, or the reverse.
    fn reject(&mut self, origin: Origin) {
        self.context.counters.malformed_heads += 1;
        self.context
            .undecoded(self.direction, origin.mark.position, Reason::MalformedHead);
    }

    /// Handles content of a length that may be unknown, and its bytes, if they were seen.
    pub(super) fn handle_content(&mut self, stream: u32, count: Option<u64>, content: Option<&[u8]>, at: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.add_request_content(stream, count, at),
            Some(Role::Responses) => {
                let is_short = self.streams.add_content(stream, count, content, at);
                self.context.counters.events_given_up += u64::from(!is_short);
            }
            None => self.queue(QueuedKind::Content(stream, count, at)),
        }
    }

    /// Handles content that was lost in a gap, and the end of the stream if it was lost with it.
    pub(super) fn handle_lost_content(&mut self, stream: u32, count: Option<u64>, end: Option<Seen>, at: Timestamp) {
        self.handle_content(stream, count, None, at);
        if let Some(seen) = end {
            self.end_stream(stream, at, seen);
        }
    }

    /// Handles the end of a stream in this direction.
    pub(super) fn end_stream(&mut self, stream: u32, at: Timestamp, seen: Seen) {
        match self.role() {
            Some(Role::Requests) => self.streams.end_request(stream, self.context),
            Some(Role::Responses) => self.streams.end_response(stream, at, seen == Seen::Yes, self.context),
            None => self.queue(QueuedKind::EndStream(stream, at, seen)),
        }
    }

    pub(super) fn handle_reset(&mut self, stream: u32, at: Timestamp, seen: Seen) {
        self.streams.reset(stream, at, seen == Seen::Yes, self.context);
    }

    pub(super) fn handle_goaway(&mut self, last_stream: u32, at: Timestamp) {
        // Clients begin streams with odd identifiers, servers those with even ones (RFC 9113 section 5.1.1).
        let parity = match self.role() {
            Some(Role::Responses) => 1,
            Some(Role::Requests) => 0,
            None => return,
        };
        self.streams.end_above(last_stream, parity, at, self.context);
    }

    /// Handles a second client preface: the requests before it were not received.
    pub(super) fn restart(&mut self, position: u64, at: Timestamp) {
        self.set_role(Role::Requests);
        if self.role() == Some(Role::Requests) {
            // First, because what it emits is from before: stream identifiers start over too.
            self.streams.restart(at, self.context);
            self.context.undecoded(self.direction, position, Reason::Restarted);
        }
    }

    /// Notes that frames were lost behind those captured at `at`, the last of them by `until`.
    pub(super) fn lose(&mut self, at: Timestamp, until: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.lose_requests(until),
            Some(Role::Responses) => self.streams.lose_responses(at, until, self.context),
            None => self.queue(QueuedKind::Lost(at, until)),
        }
    }

    /// Sets what this direction carries, unless that is known, and handles the queued events.
    pub(super) fn set_role(&mut self, role: Role) {
        self.context.side.get_or_insert(role.side(self.direction));
        for QueuedEvent { direction, kind } in std::mem::take(self.queued) {
            let mut handler = EventHandler {
                direction,
                streams: self.streams,
                queued: self.queued,
                context: self.context,
            };
            match kind {
                QueuedKind::Section(origin, section) => handler.handle_section(origin, *section),
                QueuedKind::Content(stream, count, at) => handler.handle_content(stream, count, None, at),
                QueuedKind::EndStream(stream, at, seen) => handler.end_stream(stream, at, seen),
                QueuedKind::Lost(at, until) => handler.lose(at, until),
            }
        }
    }

    /// Queues an event until it is known which side is the client. Content and ends that do not follow a queued header block
    /// of their stream are dropped: they carry no information by themselves.
    fn queue(&mut self, kind: QueuedKind) {
        let direction = self.direction;
        match &kind {
            QueuedKind::Section(..) => {}
            QueuedKind::Lost(at, until) => {
                let same = self
                    .queued
                    .iter_mut()
                    .rev()
                    .find(|queued| queued.direction == direction);
                if let Some(QueuedEvent {
                    kind: QueuedKind::Lost(lost_at, lost_until),
                    ..
                }) = same
                {
                    (*lost_at, *lost_until) = (*at, *until);
                    return;
                }
            }
            QueuedKind::Content(stream, count, _) => match self.last_queued(*stream) {
                None => return,
                // Together, because the frames of a body are many.
                Some(QueuedKind::Content(_, sum, _)) => {
                    *sum = sum.zip(*count).map(|(sum, count)| sum.saturating_add(count));
                    return;
                }
                Some(_) => {}
            },
            QueuedKind::EndStream(stream, ..) => {
                if self.last_queued(*stream).is_none() {
                    return;
                }
            }
        }
        if self.queued.len() >= MAX_QUEUED_EVENTS
            && let Some((direction, position)) = self.queued.pop_front().and_then(|first| first.section_at())
        {
            self.context.undecoded(direction, position, Reason::UnknownSide);
        }
        self.queued.push_back(QueuedEvent { direction, kind });
    }

    /// Returns the last queued event of a stream in this direction.
    fn last_queued(&mut self, stream: u32) -> Option<&mut QueuedKind> {
        let direction = self.direction;
        let of_direction = self
            .queued
            .iter_mut()
            .rev()
            .filter(|queued| queued.direction == direction);
        of_direction
            .map(|queued| &mut queued.kind)
            .find(|kind| kind.stream() == Some(stream))
    }
}
