//! One direction of an HTTP/1 connection.
//!
//! In: contiguous bytes and holes. Out: [`Event`]s, one at a time. Refuses to frame a response by itself: that takes the
//! request's method, so after each head it pauses until it is told what follows.

pub(crate) mod body;
pub(crate) mod head;
mod resync;
pub(crate) mod dialogue;
mod pair;
pub(crate) mod section;
mod either;
mod method;

use std::mem;

use body::{Body, Read, Skip};
pub(crate) use either::Instead;
use either::{Again, Either};
pub(crate) use head::damaged::is_request_line;
use head::damaged::{self, Parsed};
use head::{Versioned, read_request, read_response, read_whole_request, read_whole_response};
pub(crate) use method::MAX_METHOD as LONGEST_METHOD;
use method::Place;
pub(crate) use resync::Passed;
use resync::{Found, Seek};
use section::Section;

use crate::chunk::Mark;
use crate::context::Role;
use crate::detect::{self, Likeness};
use crate::{Chunk, Fields, Limits, Malformed, Reason, RequestHead, ResponseHead, Timestamp};

/// What was read.
#[derive(Debug)]
pub(crate) enum Event {
    /// A start line where one was looked for, and whether bytes were passed over before it.
    Found(Passed),
    /// A request head; [`Decoder::begin_body`] must follow.
    Request(Versioned<RequestHead>, Mark),
    /// What is clear of a request head that is none; the step is lost.
    Refused(RequestHead, Mark),
    /// A response head; [`Decoder::begin_body`] must follow.
    Response(Versioned<ResponseHead>, Mark),
    /// So many bytes of content.
    Content(u64),
    /// So many bytes of content and the end of the message, with its trailers.
    End(u64, Fields),
    /// So many bytes in which no message is known to begin.
    Discarded(u64),
    /// A message that could not be read on, beginning here.
    Failed(Part, Reason, u64),
}

/// Where in a message something happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// In its head, or before it.
    Head,
    /// Behind its head.
    Body,
}

/// What a hole did to a direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Skipped {
    /// Heads may have been lost, and no message was in progress behind its head.
    Heads,
    /// The message in progress lost what this says.
    Body(Skip),
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Decoder {
    role: Role,
    /// Whether nothing has been read of a connection that was seen to begin.
    begins: bool,
    state: State,
    /// Whether nothing has come of the body that the state is in.
    is_fresh: bool,
    /// What is read before the next bytes.
    again: Option<Again>,
}

/// What is known of a direction's place in its messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// The connection begins with the next byte.
    Begins,
    /// A head seems to begin with the next byte.
    Found,
    /// Nothing has been seen yet.
    Unknown,
    /// Bytes were passed over.
    Out,
}

#[derive(Debug)]
enum State {
    /// Out of step: looks for a start line.
    Seek(Seek),
    /// At or in a head.
    Head(Section),
    /// Behind a head.
    Pause,
    /// Behind the head of a response to an unknown request: without a body if that was HEAD.
    Doubt(Body),
    /// In the call that begins that body, or the next head in its place.
    Either(Box<Either>),
    /// In a body.
    Body(Body),
}

impl Default for State {
    fn default() -> Self {
        Self::Seek(Seek::default())
    }
}

impl Decoder {
    /// Begins to read what carries `role`.
    pub(crate) fn new(role: Role, step: Step) -> Self {
        let state = match step {
            Step::Begins => State::Head(Section::default()),
            Step::Found => State::Head(Section::found()),
            Step::Unknown => State::Seek(Seek::default()),
            Step::Out => State::Seek(Seek::out_of_step()),
        };
        Self {
            role,
            begins: step == Step::Begins,
            state,
            is_fresh: false,
            again: None,
        }
    }

    /// Says what this direction carries.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Reads on; `None` when `chunk` is used up.
    #[inline]
    pub(crate) fn read(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        if self.again.is_some()
            && let Some(again) = self.again.take()
        {
            return self.read_again(again, chunk, limits);
        }
        match &mut self.state {
            State::Seek(seek) => match seek.read(chunk, self.role, limits)? {
                Found::Start(section, passed) => {
                    self.state = State::Head(section);
                    Some(Event::Found(passed))
                }
                Found::Nothing(bytes) => Some(Event::Discarded(bytes)),
            },
            State::Head(_) => self.read_head(chunk, limits),
            State::Pause => None,
            State::Doubt(_) => self.resolve_doubt(chunk),
            State::Either(_) => self.read_either(chunk, limits),
            State::Body(_) => self.read_body(chunk, limits),
        }
    }

    /// Says what follows the head.
    pub(crate) fn begin_body(&mut self, body: Body) {
        self.state = State::Body(body);
        self.is_fresh = true;
    }

    /// Says that the body just begun is not there if the request, which was not seen, was HEAD.
    pub(crate) fn doubt_body(&mut self) {
        if let State::Body(body) = &mut self.state {
            self.state = State::Doubt(mem::replace(body, Body::UntilClose));
        }
    }

    /// Returns whether a body of known framing is announced, and nothing of it has come.
    pub(crate) fn awaits_body(&self) -> bool {
        self.is_fresh && matches!(self.state, State::Body(Body::Length(_) | Body::Chunked(_)))
    }

    /// Says that the next head may come in place of the body just begun.
    pub(crate) fn doubt_that_body_comes(&mut self, instead: Instead) {
        if let State::Body(body) = &mut self.state
            && self.is_fresh
        {
            let either = Either::new(mem::replace(body, Body::UntilClose), instead);
            self.state = State::Either(Box::new(either));
        }
    }

    /// Returns whether what came behind a head may be of its body or not.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.state, State::Either(_))
    }

    /// Says that the next head follows at once.
    pub(crate) fn expect_head(&mut self) {
        self.state = State::Head(Section::default());
    }

    /// Gives up on what is in progress: no start line is trusted but at the first byte of a call.
    pub(crate) fn lose_step(&mut self) {
        self.begins = false;
        self.state = State::Seek(Seek::out_of_step());
    }

    /// Steps over a hole of `bytes`, or of an unknown number of them.
    pub(crate) fn skip_gap(&mut self, bytes: Option<u64>) -> Skipped {
        let skip = match &mut self.state {
            State::Seek(_) | State::Head(_) | State::Pause => {
                self.lose_step();
                return Skipped::Heads;
            }
            State::Doubt(_) | State::Either(_) => Skip::Unknown,
            State::Body(body) => {
                self.is_fresh = false;
                body.skip_gap(bytes)
            }
        };
        match skip {
            Skip::Content(_) | Skip::Uncounted => {}
            Skip::Rest(_) => self.expect_head(),
            Skip::Beyond(_) | Skip::Unknown => self.lose_step(),
        }
        Skipped::Body(skip)
    }

    /// Takes what has come of a request head that will not be whole, and where it began.
    pub(crate) fn take_unfinished(&mut self) -> Option<(RequestHead, Mark)> {
        let State::Head(section) = &self.state else { return None };
        let mark = section.mark().filter(|_| !section.is_found())?;
        let place = if self.begins {
            Place::First
        } else {
            section.place_of_all()
        };
        let head = damaged::unfinished(section.bytes(), place);
        self.lose_step();
        Some((head, mark))
    }

    /// Returns when the head in progress began, if one is.
    pub(crate) fn head_begun(&self) -> Option<Timestamp> {
        match &self.state {
            State::Head(section) => section.mark().map(|mark| mark.at),
            State::Seek(_) | State::Pause | State::Doubt(_) | State::Either(_) | State::Body(_) => None,
        }
    }

    /// Returns whether a message has ended and nothing of the next one has come.
    pub(crate) fn is_between_messages(&self) -> bool {
        matches!(&self.state, State::Head(section) if section.mark().is_none())
    }

    /// Returns whether it searches for the next head, because its place in the messages was lost.
    pub(crate) fn is_out_of_step(&self) -> bool {
        matches!(&self.state, State::Seek(seek) if seek.has_passed())
    }

    /// Returns whether the end of the connection is the end of the message.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(
            self.state,
            State::Body(Body::UntilClose) | State::Doubt(Body::UntilClose)
        )
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let state = match &self.state {
            State::Seek(seek) => seek.held_bytes(),
            State::Head(section) => section.held_bytes(),
            State::Doubt(body) | State::Body(body) => body.held_bytes(),
            State::Either(either) => either.held_bytes(),
            State::Pause => 0,
        };
        state + self.again.as_ref().map_or(0, Again::held_bytes)
    }

    fn read_head(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Head(section) = &mut self.state else {
            return None;
        };
        if chunk.bytes.is_empty() {
            return None;
        }
        if section.mark().is_none() {
            let start = chunk.position;
            if let Err(reason) = section.skip_blank(chunk, limits) {
                self.begins = false;
                return Some(self.fail(Part::Head, reason, start, chunk));
            }
            let place = section.place_of(chunk, self.begins);
            if let Some(event) = read_in_place(self.role, place, chunk, limits) {
                self.begins = false;
                self.state = State::Pause;
                return Some(event);
            }
        }
        self.gather_head(chunk, limits)
    }

    /// Reads a head that does not lie whole in one chunk, or needs a closer look.
    #[inline(never)]
    fn gather_head(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Head(section) = &mut self.state else {
            return None;
        };
        let start = chunk.position;
        let read = read_event(section, self.role, self.begins, chunk, limits);
        let start = section.mark().map_or(start, |mark| mark.position);
        self.begins &= matches!(read, Ok(None));
        match &read {
            Ok(Some(Event::Refused(..))) => {
                self.lose_step();
                chunk.call_start = false;
            }
            Ok(Some(_)) => self.state = State::Pause,
            Ok(None) | Err(_) => {}
        }
        read.unwrap_or_else(|reason| Some(self.fail(Part::Head, reason, start, chunk)))
    }

    fn read_body(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
        let State::Body(body) = &mut self.state else {
            return None;
        };
        self.is_fresh &= chunk.bytes.is_empty();
        match body.read(chunk, limits) {
            Ok(Read::Content(count)) => Some(Event::Content(count)),
            Ok(Read::More) => None,
            Ok(Read::End(count, trailers)) => {
                self.expect_head();
                Some(Event::End(count, trailers))
            }
            Err(reason) => Some(self.fail(Part::Body, reason, chunk.position, chunk)),
        }
    }

    /// A response to HEAD is followed by the next status line, a body hardly ever begins like one.
    ///
    /// Too few bytes to tell leave it open where the next head is: then the step is lost, and nothing is guessed.
    fn resolve_doubt(&mut self, chunk: &mut Chunk<'_>) -> Option<Event> {
        if chunk.bytes.is_empty() {
            return None;
        }
        let State::Doubt(body) = mem::take(&mut self.state) else {
            return None;
        };
        match detect::status_line(chunk.bytes) {
            Likeness::No => {
                self.state = State::Body(body);
                Some(Event::Content(0))
            }
            Likeness::Whole => {
                self.expect_head();
                Some(Event::End(0, Fields::default()))
            }
            Likeness::Part => Some(self.fail(Part::Body, Reason::MalformedBody, chunk.position, chunk)),
        }
    }

    fn fail(&mut self, part: Part, reason: Reason, position: u64, chunk: &mut Chunk<'_>) -> Event {
        self.lose_step();
        chunk.call_start = false;
        Event::Failed(part, reason, position)
    }
}

/// Reads on in a head that is gathered, and parses it once it is whole.
fn read_event(
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
            Role::Requests => Ok(Some(Event::Refused(RequestHead::refused(), mark))),
        };
    };
    match role {
        Role::Responses => read_whole_response(&whole, limits).and_then(|response| {
            look_well(is_found, response.head.malformed).map(|()| Some(Event::Response(response, mark)))
        }),
        Role::Requests => {
            let place = if is_first { Place::First } else { whole.place };
            Ok(Some(match read_whole_request(&whole, place, limits) {
                Parsed::Head(mut request) => {
                    look_well(is_found, request.head.malformed)?;
                    method::hide(&mut request.head, place);
                    Event::Request(request, mark)
                }
                Parsed::Refused(_) if is_found => return Err(Reason::MalformedHead),
                Parsed::Refused(head) => Event::Refused(head, mark),
            }))
        }
    }
}

/// Refuses a head that is one by its looks alone, and does not look well.
fn look_well(is_found: bool, malformed: Option<Malformed>) -> Result<(), Reason> {
    if is_found && malformed.is_some() {
        Err(Reason::MalformedHead)
    } else {
        Ok(())
    }
}

/// Reads a head that begins with `chunk` and lies in it as a whole, as most do: its end need not be looked for first.
fn read_in_place(role: Role, place: Place, chunk: &mut Chunk<'_>, limits: &Limits) -> Option<Event> {
    let mark = Mark::of(chunk);
    match role {
        Role::Requests => {
            let mut request = read_request(chunk, limits)?;
            method::hide(&mut request.head, place);
            Some(Event::Request(request, mark))
        }
        Role::Responses => Some(Event::Response(read_response(chunk, limits)?, mark)),
    }
}

/// How much of a head that is not whole is looked at, so that garbage is not gathered until it is too large.
const BEGINNING: usize = 32;
