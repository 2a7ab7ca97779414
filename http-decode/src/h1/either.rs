//! Where a body is announced, and the next head may come instead of it.
//!
//! A client that was refused at `Expect: 100-continue` may send its next request at once (RFC 9110 section 10.1.1), and
//! the body of a response may pass beside the library. The first call behind the head decides: it holds a whole head
//! from its first byte on, or the body begins. A body that is exactly as long as that head leaves it open, and then
//! nothing is said.

use std::mem;

use super::body::Body;
use super::head::{parse_request, parse_response};
use super::method;
use super::section::Section;
use super::{Decoder, Event, Part, State};
use crate::chunk::Mark;
use crate::context::Role;
use crate::detect::{self, Likeness};
use crate::{Chunk, Limits, Reason};

/// A body of which nothing has come, and the call that may be a head.
#[derive(Debug)]
pub(super) struct Either {
    body: Body,
    head: Section,
    /// Whether the first line is a whole start line.
    begins_head: bool,
    instead: Instead,
}

/// What it means that a head is where the body should begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Instead {
    /// It comes instead of the body.
    Head,
    /// It may be the body.
    Open,
}

/// Bytes that were gathered as a head and are none: they are read once more, as content.
#[derive(Debug)]
pub(super) struct Again {
    bytes: Vec<u8>,
    mark: Mark,
    read: usize,
}

impl Either {
    pub(super) fn new(body: Body, instead: Instead) -> Self {
        Self {
            body,
            head: Section::found(),
            begins_head: false,
            instead,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.body.held_bytes() + self.head.held_bytes()
    }

    /// Reads on in the first line, and says how far it resembles a start line.
    fn read_line(&mut self, role: Role, chunk: &mut Chunk<'_>, limits: &Limits) -> Likeness {
        let Ok(ended) = self.head.read_line(chunk, limits) else {
            return Likeness::No;
        };
        match (role, self.head.bytes()) {
            // Once its beginning was found plausible, a line is not judged again until it has ended.
            (_, line) if !ended && line.len() > PREFIX => Likeness::Part,
            (Role::Requests, line) => match detect::request_line(line) {
                Likeness::Whole if !is_known_to_begin(line) => Likeness::No,
                likeness @ (Likeness::Whole | Likeness::Part | Likeness::No) => likeness,
            },
            (Role::Responses, line) => detect::status_line(line),
        }
    }
}

impl Again {
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Decoder {
    /// Reads on in what may be a head or the body, until it is known which.
    #[cold]
    pub(super) fn read_either(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Either(mut either) = mem::take(&mut self.state) else {
            return None;
        };
        if !either.begins_head && !chunk.bytes.is_empty() {
            // A start line that comes in place of a body is in one call: the next one decides that it was none.
            if chunk.call_start && either.head.mark().is_some() {
                return self.read_as_body(either, chunk, limits);
            }
            match either.read_line(self.role, chunk, limits) {
                Likeness::Whole => either.begins_head = true,
                Likeness::Part => {}
                Likeness::No => return self.read_as_body(either, chunk, limits),
            }
        }
        if either.begins_head {
            return self.read_as_head(either, chunk, limits);
        }
        self.state = State::Either(either);
        None
    }

    fn read_as_head(&mut self, mut either: Box<Either>, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let mark = either.head.mark().unwrap_or_else(|| Mark::of(chunk));
        let event = match either.head.read(chunk, limits) {
            Ok(None) => {
                self.state = State::Either(either);
                return None;
            }
            Ok(Some(whole)) if either.instead == Instead::Open || either.body.is_of_length(whole.bytes.len()) => None,
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

    fn read_as_body(&mut self, either: Box<Either>, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let Either { body, head, .. } = *either;
        let mark = head.mark().unwrap_or_else(|| Mark::of(chunk));
        self.state = State::Body(body);
        let again = Again {
            bytes: head.into_bytes(),
            mark,
            read: 0,
        };
        self.read_again(again, chunk, limits)
    }

    /// Reads on in what was gathered, and then in `chunk`.
    #[cold]
    pub(super) fn read_again(&mut self, mut again: Again, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let bytes = again.bytes.get(again.read..).unwrap_or_default();
        let mut part = Chunk {
            position: again.mark.position.saturating_add(again.read as u64),
            at: again.mark.at,
            origin: again.mark.origin,
            call_start: false,
            bytes,
        };
        let event = self.read(&mut part, limits);
        again.read = again.bytes.len() - part.bytes.len();
        if again.read < again.bytes.len() {
            self.again = Some(again);
            return event;
        }
        event.or_else(|| self.read(chunk, limits))
    }
}

/// Returns whether a line begins with a known method: content may begin with any other word.
fn is_known_to_begin(line: &[u8]) -> bool {
    let method = line.split(|byte| *byte == b' ').next();
    method.is_some_and(|method| std::str::from_utf8(method).is_ok_and(method::is_known))
}

/// Longer than the beginnings of start lines that [`detect`] judges.
const PREFIX: usize = 64;
