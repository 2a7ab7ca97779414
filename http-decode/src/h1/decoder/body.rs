//! Reading a body, and deciding whether there is one where the method of the request is unknown.

use std::mem;

use super::Decoder;
use super::event::{Event, Part};
use super::state::State;
use crate::detect::{self, Match};
use crate::h1::body::Read;
use crate::{Chunk, Fields, Limits, Reason};

impl Decoder {
    pub(super) fn read_body(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Body(body) = &mut self.state else {
            return None;
        };
        self.body_is_untouched &= chunk.bytes.is_empty();
        match body.read(chunk, limits) {
            Ok(Read::Content(count)) => Some(Event::Content(count)),
            Ok(Read::NeedMore) => None,
            Ok(Read::End(count, trailers)) => {
                self.expect_head();
                Some(Event::End(count, trailers))
            }
            Err(reason) => Some(self.fail(Part::Body, reason, chunk.position, chunk)),
        }
    }

    /// Decides by the next bytes: a response to HEAD is followed by a status line, and a body hardly ever begins like one.
    ///
    /// If the bytes are too few to decide, it stays open where the next head is, and the decoder loses sync.
    pub(super) fn resolve_unknown_method(&mut self, chunk: &mut Chunk<'_>) -> Option<Event> {
        if chunk.bytes.is_empty() {
            return None;
        }
        let State::UnknownMethod(body) = mem::take(&mut self.state) else {
            return None;
        };
        match detect::match_status_line(chunk.bytes) {
            Match::No => {
                self.state = State::Body(body);
                Some(Event::Content(0))
            }
            Match::Complete => {
                self.expect_head();
                Some(Event::End(0, Fields::default()))
            }
            Match::Partial => Some(self.fail(Part::Body, Reason::MalformedBody, chunk.position, chunk)),
        }
    }
}
