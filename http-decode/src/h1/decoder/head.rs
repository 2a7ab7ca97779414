//! Reading a head: in place where one chunk holds all of it, else gathered.

use super::Decoder;
use super::event::{Event, Part};
use super::state::State;
use crate::chunk::Mark;
use crate::context::Role;
use crate::h1::head::{self, Parsed};
use crate::h1::method::{self, HeadStart};
use crate::h1::section::Section;
use crate::{Chunk, Limits, Malformed, Reason, RequestHead, detect};

impl Decoder {
    pub(super) fn read_head(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Head(section) = &mut self.state else {
            return None;
        };
        if chunk.bytes.is_empty() {
            return None;
        }
        if section.mark().is_none() {
            let position = chunk.position;
            if let Err(reason) = section.skip_blank(chunk, limits) {
                self.at_start = false;
                return Some(self.fail(Part::Head, reason, position, chunk));
            }
            let start = section.head_start(chunk, self.at_start);
            if let Some(event) = read_in_place(self.role, start, chunk, limits) {
                self.at_start = false;
                self.state = State::Pause;
                return Some(event);
            }
        }
        self.gather_head(chunk, limits)
    }

    /// Reads a head that is in more than one chunk, or that the fast parser did not take.
    #[inline(never)]
    fn gather_head(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Head(section) = &mut self.state else {
            return None;
        };
        let position = chunk.position;
        let read = read_gathered(section, self.role, self.at_start, chunk, limits);
        let position = section.mark().map_or(position, |mark| mark.position);
        self.at_start &= matches!(read, Ok(None));
        match &read {
            Ok(Some(Event::Unparsable(..))) => {
                self.lose_sync();
                chunk.call_start = false;
            }
            Ok(Some(_)) => self.state = State::Pause,
            Ok(None) | Err(_) => {}
        }
        read.unwrap_or_else(|reason| Some(self.fail(Part::Head, reason, position, chunk)))
    }
}

/// Parses a head that begins with `chunk` and is whole in it, as most are: its end need not be searched for first.
fn read_in_place(role: Role, start: HeadStart, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
    let mark = Mark::of(chunk);
    match role {
        Role::Requests => {
            let mut request = head::read_request(chunk, limits)?;
            method::hide_unclear(&mut request.head, start);
            Some(Event::Request(request, mark))
        }
        Role::Responses => Some(Event::Response(head::read_response(chunk, limits)?, mark)),
    }
}

/// Gathers a head, and parses it once it is whole.
fn read_gathered(
    section: &mut Section,
    role: Role,
    is_first: bool,
    chunk: &mut Chunk<'_>,
    limits: &Limits,
) -> Result<Option<Event>, Reason> {
    if chunk.bytes.is_empty() {
        return Ok(None);
    }
    let mark = section.mark().unwrap_or_else(|| Mark::of(chunk));
    let is_found = section.is_found();
    let Some(whole) = section.read(chunk, limits)? else {
        let beginning = section.bytes().get(..BEGINNING).unwrap_or(section.bytes());
        return match role {
            Role::Responses if detect::may_begin_response(beginning) => Ok(None),
            Role::Responses => Err(Reason::MalformedHead),
            Role::Requests if detect::may_begin_request(beginning) => Ok(None),
            Role::Requests if is_found => Err(Reason::MalformedHead),
            Role::Requests => Ok(Some(Event::Unparsable(RequestHead::unparsable(), mark))),
        };
    };
    match role {
        Role::Responses => head::read_whole_response(&whole, limits).and_then(|response| {
            reject_if_malformed(is_found, response.head.malformed).map(|()| Some(Event::Response(response, mark)))
        }),
        Role::Requests => {
            let start = if is_first { HeadStart::Connection } else { whole.start };
            Ok(Some(match head::read_whole_request(&whole, start, limits) {
                Parsed::Head(mut request) => {
                    reject_if_malformed(is_found, request.head.malformed)?;
                    method::hide_unclear(&mut request.head, start);
                    Event::Request(request, mark)
                }
                Parsed::Unparsable(_) if is_found => return Err(Reason::MalformedHead),
                Parsed::Unparsable(head) => Event::Unparsable(head, mark),
            }))
        }
    }
}

/// Rejects a malformed head that was found by its start line alone: it may be something else.
fn reject_if_malformed(is_found: bool, malformed: Option<Malformed>) -> Result<(), Reason> {
    if is_found && malformed.is_some() {
        Err(Reason::MalformedHead)
    } else {
        Ok(())
    }
}

/// Bytes of an incomplete head that are checked, so that other bytes are not gathered up to the limit.
const BEGINNING: usize = 32;
