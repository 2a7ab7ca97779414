//! Reading where an announced body or the next head may follow.

use std::mem;

use super::Decoder;
use super::event::{Event, Part};
use super::state::State;
use crate::chunk::Mark;
use crate::context::Role;
use crate::detect::Match;
use crate::h1::body_or_head::{BodyOrHead, IfHead, Reread};
use crate::h1::head::{parse_request, parse_response};
use crate::{Chunk, Limits, Reason};

impl Decoder {
    /// Reads on until it is known whether the call is the body or a head.
    #[cold]
    pub(super) fn read_body_or_head(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::BodyOrHead(mut undecided) = mem::take(&mut self.state) else {
            return None;
        };
        if !undecided.has_start_line && !chunk.bytes.is_empty() {
            // A start line in place of a body is within one call: if the next call begins first, there was none.
            if chunk.call_start && undecided.head.mark().is_some() {
                return self.read_as_body(undecided, chunk, limits);
            }
            match undecided.read_line(self.role, chunk, limits) {
                Match::Complete => undecided.has_start_line = true,
                Match::Partial => {}
                Match::No => return self.read_as_body(undecided, chunk, limits),
            }
        }
        if undecided.has_start_line {
            return self.read_as_head(undecided, chunk, limits);
        }
        self.state = State::BodyOrHead(undecided);
        None
    }

    fn read_as_head(
        &mut self,
        mut undecided: Box<BodyOrHead>,
        chunk: &mut Chunk<'_>,
        limits: &Limits,
    ) -> Option<Event> {
        let mark = undecided.head.mark().unwrap_or_else(|| Mark::of(chunk));
        let event = match undecided.head.read(chunk, limits) {
            Ok(None) => {
                self.state = State::BodyOrHead(undecided);
                return None;
            }
            Ok(Some(whole))
                if undecided.if_head == IfHead::Ambiguous || undecided.body.is_of_length(whole.bytes.len()) =>
            {
                None
            }
            Ok(Some(whole)) => match self.role {
                Role::Requests => parse_request(&whole, limits)
                    .ok()
                    .map(|head| Event::Request(head, mark)),
                Role::Responses => parse_response(&whole, limits)
                    .ok()
                    .map(|head| Event::Response(head, mark)),
            },
            Err(_) => None,
        };
        if event.is_some() {
            self.state = State::Pause;
            return event;
        }
        Some(self.fail(Part::Body, Reason::MalformedBody, mark.position, chunk))
    }

    fn read_as_body(&mut self, undecided: Box<BodyOrHead>, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let (body, reread) = undecided.into_body(chunk);
        self.state = State::Body(body);
        self.read_again(reread, chunk, limits)
    }

    /// Reads the gathered bytes as content, and then `chunk`.
    #[cold]
    pub(super) fn read_again(&mut self, mut reread: Reread, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let mut part = reread.chunk();
        let event = self.read(&mut part, limits);
        let left = part.bytes.len();
        if left > 0 {
            reread.keep_last(left);
            self.reread = Some(reread);
            return event;
        }
        event.or_else(|| self.read(chunk, limits))
    }
}
