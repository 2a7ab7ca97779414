//! What each event of a direction does to the streams.
//!
//! In: events of the readers, with the direction they are of. Out: requests and responses to the streams. Refuses to tell
//! one from the other before it is known which side asks: until then sections wait.

use std::collections::VecDeque;

use crate::context::{Context, Role};
use crate::h2::frame::Block;
use crate::h2::hpack;
use crate::h2::section::{Kind, Section, SectionReader};
use crate::h2::streams::{Origin, Streams};
use crate::limits::MAX_WAITING;
use crate::{Direction, Ended, GapCause, Reason, Timestamp};

/// A section that came before it was known which side asks.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) direction: Direction,
    pub(super) origin: Origin,
    pub(super) section: Section,
}

/// What is heard in one direction, and who has to know.
pub(super) struct Hearing<'a> {
    pub(super) direction: Direction,
    pub(super) streams: &'a mut Streams,
    pub(super) waiting: &'a mut VecDeque<Waiting>,
    pub(super) context: &'a mut Context,
}

impl Hearing<'_> {
    /// Says what this direction carries, if that is known.
    fn role(&self) -> Option<Role> {
        self.context.side.map(|side| Role::of(self.direction, side))
    }

    pub(super) fn decode(
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

    pub(super) fn take_block(&mut self, block: &Block<'_>, section: Option<Section>) {
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
            (None, _) => self.wait(origin, section),
            (Some(Role::Requests), Kind::Response) | (Some(Role::Responses), Kind::Request) => {
                self.context.counters.malformed_heads += 1;
                self.context
                    .undecoded(self.direction, origin.mark.position, Reason::MalformedHead);
            }
            (Some(Role::Requests), _) => self.streams.take_request(origin, section, self.context),
            (Some(Role::Responses), _) => self.streams.take_response(origin, section, self.context),
        }
    }

    pub(super) fn take_content(&mut self, stream: u32, count: Option<u64>, at: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.add_request_content(stream, count, at),
            Some(Role::Responses) => self.streams.add_content(stream, count, at),
            None => {}
        }
    }

    /// Takes content that fell into a hole, and with it the end of the stream if that hole has a cause here.
    pub(super) fn miss_content(&mut self, stream: u32, count: Option<u64>, end: Option<GapCause>, at: Timestamp) {
        self.take_content(stream, count, at);
        if let Some(cause) = end {
            // What lies over the limit of a call was moved by that call, whose first bytes were just seen.
            self.end_stream(stream, at, cause == GapCause::OverLimit);
        }
    }

    /// Takes the end of a stream in this direction; `seen` says whether it came at that time.
    pub(super) fn end_stream(&mut self, stream: u32, at: Timestamp, seen: bool) {
        match self.role() {
            Some(Role::Requests) => self.streams.end_request(stream, self.context),
            Some(Role::Responses) => {
                let ended = if seen { Ended::Complete } else { Ended::Lost };
                self.streams.end(stream, ended, at, seen, self.context);
            }
            None => {}
        }
    }

    pub(super) fn take_reset(&mut self, stream: u32, at: Timestamp, seen: bool) {
        self.streams.end(stream, Ended::Reset, at, seen, self.context);
    }

    pub(super) fn take_goaway(&mut self, last_stream: u32, at: Timestamp) {
        // Clients begin streams with odd identifiers, servers those with even ones (RFC 9113 section 5.1.1).
        let parity = match self.role() {
            Some(Role::Responses) => 1,
            Some(Role::Requests) => 0,
            None => return,
        };
        self.streams.end_above(last_stream, parity, at, self.context);
    }

    /// Notes that frames were lost here.
    pub(super) fn lose(&mut self, at: Timestamp) {
        match self.role() {
            Some(Role::Requests) => self.streams.lose_requests(),
            Some(Role::Responses) => self.streams.lose_responses(at, self.context),
            None => {}
        }
    }

    /// Takes note of what this direction carries, and goes on with what waited for that.
    pub(super) fn find_side(&mut self, role: Role) {
        if self.context.side.is_some() {
            return;
        }
        self.context.side = Some(role.side(self.direction));
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
            hearing.take_section(origin, section);
        }
    }

    fn wait(&mut self, origin: Origin, section: Section) {
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
