//! One direction of an HTTP/1 connection, decoded into events.
//!
//! The decoder cannot frame a response by itself: that takes the method of the request, which came in the other direction.
//! So it pauses behind each head until [`begin_body`](Decoder::begin_body) says what follows. When it cannot tell where the
//! next message begins, it is out of sync, and goes on at the next call that begins with a start line.

mod body;
mod body_or_head;
mod event;
mod head;
mod state;

use std::mem;

pub(crate) use self::event::{Event, GapEffect, Part};
use self::state::State;
pub(crate) use self::state::Sync;
use super::body::{Body, BodyGap};
use super::body_or_head::{BodyOrHead, IfHead, Reread};
use super::head::lenient;
use super::method::HeadStart;
use super::resync::{Found, StartLineSearch};
use super::section::Section;
use crate::chunk::Mark;
use crate::context::Role;
use crate::{Chunk, Limits, Reason, RequestHead, Timestamp};

/// The decoder of one direction.
#[derive(Debug)]
pub(crate) struct Decoder {
    role: Role,
    /// Whether nothing has been read of a connection that was seen from its start.
    at_start: bool,
    state: State,
    /// Whether no byte of the body in `state` has arrived.
    body_is_untouched: bool,
    /// Bytes that are read before the next chunk.
    reread: Option<Reread>,
}

impl Decoder {
    /// Decodes a direction that carries `role`.
    pub(crate) fn new(role: Role, sync: Sync) -> Self {
        let state = match sync {
            Sync::ConnectionStart => State::Head(Section::default()),
            Sync::Head => State::Head(Section::found()),
            Sync::Unknown => State::Resync(StartLineSearch::default()),
            Sync::Lost => State::Resync(StartLineSearch::after_loss()),
        };
        Self {
            role,
            at_start: sync == Sync::ConnectionStart,
            state,
            body_is_untouched: false,
            reread: None,
        }
    }

    /// Returns what the direction carries.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Reads up to the next event; `None` when `chunk` is used up or the decoder pauses.
    #[inline]
    pub(crate) fn read(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        if self.reread.is_some()
            && let Some(reread) = self.reread.take()
        {
            return self.read_again(reread, chunk, limits);
        }
        match &mut self.state {
            State::Resync(search) => match search.read(chunk, self.role, limits)? {
                Found::StartLine(section, after_loss) => {
                    self.state = State::Head(section);
                    Some(Event::StartLine { after_loss })
                }
                Found::Nothing(bytes) => Some(Event::Discarded(bytes)),
            },
            State::Head(_) => self.read_head(chunk, limits),
            State::Pause => None,
            State::UnknownMethod(_) => self.resolve_unknown_method(chunk),
            State::BodyOrHead(_) => self.read_body_or_head(chunk, limits),
            State::Body(_) => self.read_body(chunk, limits),
        }
    }

    /// Goes on with the body of the message whose head was read last.
    pub(crate) fn begin_body(&mut self, body: Body) {
        self.state = State::Body(body);
        self.body_is_untouched = true;
    }

    /// Notes that the method of the request is unknown: if it was HEAD, the response just begun has no body.
    pub(crate) fn note_unknown_method(&mut self) {
        if let State::Body(body) = &mut self.state {
            self.state = State::UnknownMethod(mem::replace(body, Body::UntilClose));
        }
    }

    /// Returns whether a body of known framing is announced, and no byte of it has arrived.
    pub(crate) fn awaits_body(&self) -> bool {
        self.body_is_untouched && matches!(self.state, State::Body(Body::Length(_) | Body::Chunked(_)))
    }

    /// Returns how many bytes of content follow; `None` if the next byte is not content for certain.
    ///
    /// The first byte of a body is awaited: until it has come, the next head may come in place of the body.
    pub(crate) fn content_left(&self) -> Option<u64> {
        match &self.state {
            State::Body(body) if !self.body_is_untouched && self.reread.is_none() => body.content_left(),
            State::Body(_)
            | State::Resync(_)
            | State::Head(_)
            | State::Pause
            | State::UnknownMethod(_)
            | State::BodyOrHead(_) => None,
        }
    }

    /// Notes that the next head may come in place of the body just begun.
    pub(crate) fn allow_head_instead_of_body(&mut self, if_head: IfHead) {
        if let State::Body(body) = &mut self.state
            && self.body_is_untouched
        {
            let body_or_head = BodyOrHead::new(mem::replace(body, Body::UntilClose), if_head);
            self.state = State::BodyOrHead(Box::new(body_or_head));
        }
    }

    /// Returns whether bytes arrived that may be a body or the next head.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.state, State::BodyOrHead(_))
    }

    /// Goes on with the next head: no body follows.
    pub(crate) fn expect_head(&mut self) {
        self.state = State::Head(Section::default());
    }

    /// Gives up the message in progress and searches for the next start line at the first byte of a call.
    pub(crate) fn lose_sync(&mut self) {
        self.at_start = false;
        self.state = State::Resync(StartLineSearch::after_loss());
    }

    /// Steps over a gap of `bytes` bytes, or of an unknown number of them.
    pub(crate) fn skip_gap(&mut self, bytes: Option<u64>) -> GapEffect {
        let lost = match &mut self.state {
            State::Resync(_) | State::Head(_) | State::Pause => {
                self.lose_sync();
                return GapEffect::Heads;
            }
            State::UnknownMethod(_) | State::BodyOrHead(_) => BodyGap::MaybeFraming,
            State::Body(body) => {
                self.body_is_untouched = false;
                body.skip_gap(bytes)
            }
        };
        match lost {
            BodyGap::Content(_) | BodyGap::UnknownContent => {}
            BodyGap::RestOfContent(_) => self.expect_head(),
            BodyGap::PastEnd(_) | BodyGap::MaybeFraming => self.lose_sync(),
        }
        GapEffect::Body(lost)
    }

    /// Takes what arrived of a request head that will not be completed, and where it began.
    pub(crate) fn take_unfinished(&mut self) -> Option<(RequestHead, Mark)> {
        let State::Head(section) = &self.state else { return None };
        let mark = section.mark().filter(|_| !section.is_found())?;
        let start = if self.at_start {
            HeadStart::Connection
        } else {
            section.head_start_of_all()
        };
        let head = lenient::unfinished(section.bytes(), start);
        self.lose_sync();
        Some((head, mark))
    }

    /// Returns when the head in progress began, if there is one.
    pub(crate) fn head_began(&self) -> Option<Timestamp> {
        match &self.state {
            State::Head(section) => section.mark().map(|mark| mark.at),
            State::Resync(_) | State::Pause | State::UnknownMethod(_) | State::BodyOrHead(_) | State::Body(_) => None,
        }
    }

    /// Returns whether a message has ended and no byte of the next one has arrived.
    pub(crate) fn is_between_messages(&self) -> bool {
        matches!(&self.state, State::Head(section) if section.mark().is_none())
    }

    /// Returns whether the decoder searches for the next head because it lost sync.
    pub(crate) fn is_out_of_sync(&self) -> bool {
        matches!(&self.state, State::Resync(search) if search.is_after_loss())
    }

    /// Returns whether the end of the connection is the end of the message.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(
            self.state,
            State::Body(Body::UntilClose) | State::UnknownMethod(Body::UntilClose)
        )
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let state = match &self.state {
            State::Resync(search) => search.held_bytes(),
            State::Head(section) => section.held_bytes(),
            State::UnknownMethod(body) | State::Body(body) => body.held_bytes(),
            State::BodyOrHead(body_or_head) => body_or_head.held_bytes(),
            State::Pause => 0,
        };
        state + self.reread.as_ref().map_or(0, Reread::held_bytes)
    }

    fn fail(&mut self, part: Part, reason: Reason, position: u64, chunk: &mut Chunk<'_>) -> Event {
        self.lose_sync();
        // What follows in this call is not known to begin a message.
        chunk.call_start = false;
        Event::Failed(part, reason, position)
    }
}
