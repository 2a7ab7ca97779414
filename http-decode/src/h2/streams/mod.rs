//! The streams of a connection, and what each event does to the exchange on one of them.
//!
//! In: sections, content and ends, each with its stream. Out: exchanges, into the [`Context`]. Refuses to take a late
//! frame of a stream that ended for the beginning of another exchange, and to keep more streams than the limits allow.

mod finished;
mod lost;
mod stream;

use std::collections::{BTreeMap, VecDeque};

use self::finished::{FinishedStreams, remember};
use self::lost::{LostResponses, gives_up_at, note_response};
use self::stream::{State, Stream};
use super::section::{Kind, Section};
use crate::chunk::Mark;
use crate::context::Context;
use crate::{Ended, Exchange, Protocol, Timestamp};

/// The streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: BTreeMap<u32, Stream>,
    /// What they are charged for together.
    bytes: usize,
    /// The highest stream that a client's HEADERS were seen on: a lower one does not begin any more.
    highest: u32,
    /// Whether every request was seen since the connection began.
    requests_seen: bool,
    /// Streams whose exchange is out: a frame of one of them begins nothing.
    finished: FinishedStreams,
    /// Resets that arrived before what they reset, the latest ones.
    early_resets: VecDeque<(u32, Timestamp)>,
    /// When frames of responses were last lost, for streams whose requests come to be known only after that.
    lost: Option<LostResponses>,
    /// By when frames of requests were last lost, a reset among them perhaps.
    lost_requests_until: Option<Timestamp>,
    /// Streams that have ended unless something is still to arrive.
    ending: Vec<u32>,
    /// When the next exchange may have to be put out although it goes on; it may be earlier than need be.
    due: Option<Timestamp>,
}

/// Where a section came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The stream.
    pub(super) stream: u32,
    /// The first byte of its first frame.
    pub(super) mark: Mark,
    /// When its last byte came.
    pub(super) at: Timestamp,
    /// Whether it ends the stream in its direction.
    pub(super) last: bool,
}

impl Streams {
    /// Takes up an exchange that began in HTTP/1.1 and whose request has ended.
    pub(super) fn adopt(&mut self, mut exchange: Box<Exchange>) {
        exchange.protocol = Protocol::Http2;
        exchange.stream = u64::from(UPGRADED);
        let mut stream = Stream::new(exchange);
        stream.end_request();
        self.highest = UPGRADED;
        self.open.insert(UPGRADED, stream);
        self.charge(UPGRADED);
    }

    /// Takes word that the connection begins.
    pub(super) fn begin_connection(&mut self) {
        self.requests_seen = true;
    }

    /// Takes it that the client began anew: it asks again for what was not received. Streams that were answered were, and
    /// how they end is not known.
    pub(super) fn restart(&mut self, at: Timestamp, context: &mut Context) {
        for mut stream in std::mem::take(&mut self.open).into_values() {
            if stream.is_answered() || stream.has_ended() {
                stream.give_up(at);
                stream.finish(context);
            } else {
                context.counters.requests_void += 1;
            }
        }
        *self = Self {
            requests_seen: true,
            lost: self.lost,
            ..Self::default()
        };
    }

    /// Takes a section that the client sent.
    pub(super) fn handle_request(&mut self, origin: Origin, section: Section, context: &mut Context) {
        let Origin { stream, mark, last, .. } = origin;
        let fresh = stream > self.highest;
        self.highest = self.highest.max(stream);
        if fresh && self.finished.contains(stream) {
            // Its response was reported alone, because nothing was held or missing that might have been this.
            context.counters.late_requests += 1;
            return;
        }
        // Of a stream that may have begun unseen, what has no pseudo-header field that is known may be trailers.
        let headless = section.kind() != Kind::Request && !self.requests_seen;
        if fresh && !headless {
            self.begin_request(origin, section, context);
        } else if let Some(open) = self.open.get_mut(&stream).filter(|open| open.is_requested())
            && !open.is_given_up(mark.at)
        {
            open.set_request_trailers(section.into_trailers());
        }
        if last {
            self.end_request(stream, context);
        }
        self.charge(stream);
        self.keep_within_limits(origin.at, context);
    }

    /// Takes the request that a server makes up in a `PUSH_PROMISE`.
    pub(super) fn handle_promise(&mut self, origin: Origin, section: Section, context: &mut Context) {
        if section.kind() == Kind::Trailers || self.open.contains_key(&origin.stream) {
            return;
        }
        self.begin_request(origin, section, context);
        self.end_request(origin.stream, context);
        self.charge(origin.stream);
        self.keep_within_limits(origin.at, context);
    }

    /// Takes a section that the server sent.
    pub(super) fn handle_response(&mut self, origin: Origin, section: Section, context: &mut Context) {
        let Origin { stream, mark, at, last } = origin;
        if !self.open.contains_key(&stream) {
            if self.finished.contains(stream) || self.early_reset(stream).is_some_and(|at| at < mark.at) {
                return;
            }
            self.begin(origin, context);
        }
        let Some(open) = self.open.get_mut(&stream).filter(|open| !open.is_over(mark.at)) else {
            return;
        };
        // The head may have come before anything was seen, or have been lost.
        note_response(&mut self.lost, at);
        let hidden = self.lost.is_some_and(|lost| lost.may_hide_head(open.began()));
        let unsure = open.end_lost_since.take().is_some() || !open.is_requested() || hidden;
        // Behind a head, a section whose fields are not known is either the head of the final response or trailers.
        let is_trailers = match section.kind() {
            Kind::Trailers => unsure || open.is_answered(),
            Kind::Unknown => open.is_answered() && last,
            // Behind the head of a final response none can be another.
            Kind::Request | Kind::Response => open.has_final_head(),
        };
        if is_trailers && (last || section.kind() == Kind::Trailers) {
            open.set_trailers(section.into_trailers());
        } else if is_trailers {
            context.counters.malformed_heads += 1;
        } else {
            let may_be_trailers = unsure && last && section.kind() == Kind::Unknown;
            open.handle_response(section.into_response(&mut context.counters), at, last, context);
            if may_be_trailers {
                open.add_content(None);
            }
        }
        if last {
            open.end(Ended::Complete, at, true);
        }
        let hold_ns = context.settings.hold_ns;
        let release_at = open.progress.release_at(hold_ns);
        self.schedule(release_at);
        self.charge(stream);
        self.finish_if_ended(stream, context);
        self.keep_within_limits(origin.at, context);
    }

    /// Counts content of a request; `None` if its length is not known.
    pub(super) fn add_request_content(&mut self, stream: u32, count: Option<u64>, at: Timestamp) {
        if let Some(open) = self.open.get_mut(&stream).filter(|open| !open.is_given_up(at)) {
            open.add_request_content(count);
        }
    }

    /// Counts content of a response; `None` if its length is not known.
    pub(super) fn add_content(&mut self, stream: u32, count: Option<u64>, at: Timestamp) {
        note_response(&mut self.lost, at);
        if let Some(open) = self.open.get_mut(&stream).filter(|open| !open.is_over(at)) {
            open.add_content(count);
        }
    }

    /// Takes the end of a request.
    pub(super) fn end_request(&mut self, stream: u32, context: &mut Context) {
        if let Some(open) = self.open.get_mut(&stream) {
            open.end_request();
            self.finish_if_ended(stream, context);
        }
    }

    /// Takes the end of a response; `seen` says whether it came at that time, or fell into a hole behind it.
    pub(super) fn end_response(&mut self, stream: u32, at: Timestamp, seen: bool, context: &mut Context) {
        if let Some(open) = self.open.get_mut(&stream) {
            open.note_unseen_head();
        }
        let ended = if seen { Ended::Complete } else { Ended::Lost };
        self.end(stream, ended, at, seen, context);
    }

    fn end(&mut self, stream: u32, ended: Ended, at: Timestamp, seen: bool, context: &mut Context) {
        if let Some(open) = self.open.get_mut(&stream) {
            open.end(ended, at, seen);
            self.finish_if_ended(stream, context);
        }
    }

    /// Takes a reset; `seen` says whether it came at that time, or fell into a hole behind it.
    pub(super) fn reset(&mut self, stream: u32, at: Timestamp, seen: bool, context: &mut Context) {
        if self.open.contains_key(&stream) {
            self.end(stream, Ended::Reset, at, seen, context);
        } else if seen && !self.finished.contains(stream) {
            remember(&mut self.early_resets, (stream, at));
        }
    }

    /// Takes a GOAWAY: streams above `last` that the other side began will not be answered on this connection.
    pub(super) fn end_above(&mut self, last: u32, parity: u32, at: Timestamp, context: &mut Context) {
        let refused: Vec<u32> = self
            .open
            .range(last.saturating_add(1)..)
            .map(|(stream, _)| *stream)
            .filter(|stream| stream % 2 == parity)
            .collect();
        for stream in refused {
            self.end(stream, Ended::Closed, at, true, context);
        }
    }

    /// Takes a block of a request that is not known: a head or trailers.
    pub(super) fn lose_request_block(&mut self, stream: u32) {
        self.requests_seen = false;
        self.highest = self.highest.max(stream);
        if let Some(open) = self.open.get_mut(&stream) {
            open.lose_request();
        }
    }

    /// Takes a block of a response that is not known: a head or trailers, perhaps the last of the stream.
    pub(super) fn lose_response_block(&mut self, stream: u32, at: Timestamp, context: &Context) {
        if let Some(open) = self.open.get_mut(&stream).filter(|open| !open.has_ended()) {
            open.add_content(None);
            open.end_lost_since = Some(at);
            self.schedule(Some(gives_up_at(at, context)));
        }
    }

    /// Notes that frames of requests were lost, the last of them by `until`, whose streams are not known.
    pub(super) fn lose_requests(&mut self, until: Timestamp) {
        self.lost_requests_until = Some(until);
        self.requests_seen = false;
        for stream in self.open.values_mut() {
            stream.lose_request();
        }
    }

    /// Notes that frames of responses were lost behind `at`, the last of them by `until`, whose streams are not known.
    pub(super) fn lose_responses(&mut self, at: Timestamp, until: Timestamp, context: &Context) {
        let lost = LostResponses {
            at,
            until,
            resumed_at: None,
        };
        self.lost = Some(lost);
        let may_hide = |open: &&mut Stream| !open.has_ended() && open.began().is_none_or(|began| lost.may_hide(began));
        for stream in self.open.values_mut().filter(may_hide) {
            stream.add_content(None);
            stream.end_lost_since = Some(at);
        }
        if !self.open.is_empty() {
            self.schedule(Some(gives_up_at(at, context)));
        }
    }

    /// Returns whether a stream has ended unless something is still to arrive.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Takes the promise that nothing is; false if that changed nothing.
    pub(super) fn settle(&mut self, context: &mut Context) -> bool {
        let ending = std::mem::take(&mut self.ending);
        for stream in &ending {
            if self.open.get(stream).is_some_and(|open| open.state() != State::Open) {
                self.finish(*stream, context);
            }
        }
        !ending.is_empty()
    }

    /// Puts out what has been held long enough, and what has been in doubt for longer.
    pub(super) fn release(&mut self, now: Timestamp, context: &mut Context) {
        let hold_ns = context.settings.hold_ns;
        let mut lost = Vec::new();
        self.due = None;
        for (id, stream) in &mut self.open {
            if stream.progress.release_at(hold_ns).is_some_and(|at| at <= now) {
                stream.progress.release(context);
            }
            if let Some(since) = stream
                .end_lost_since
                .filter(|since| gives_up_at(*since, context) <= now)
            {
                stream.give_up(since);
                lost.push(*id);
            }
        }
        for stream in lost {
            self.finish(stream, context);
        }
        let due = self.open.values().filter_map(|stream| {
            let doubt = stream.end_lost_since.map(|since| gives_up_at(since, context));
            [stream.progress.release_at(hold_ns), doubt].into_iter().flatten().min()
        });
        self.due = due.min();
    }

    /// Returns when [`release`](Self::release) has something to do.
    pub(super) fn release_at(&self) -> Option<Timestamp> {
        self.due
    }

    /// Puts out what is in progress when the connection has ended as `ended` says, or its observation if that is `None`.
    pub(super) fn end_all(&mut self, now: Timestamp, ended: Option<Ended>, context: &mut Context) {
        for mut stream in std::mem::take(&mut self.open).into_values() {
            if let Some(ended) = ended {
                stream.close(ended, now);
            }
            stream.finish(context);
        }
        self.bytes = 0;
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
            + self.finished.held_bytes()
            + self.ending.capacity() * size_of::<u32>()
            + self.early_resets.capacity() * size_of::<(u32, Timestamp)>()
    }

    /// Begins an exchange, or gives the one whose response came first its request.
    fn begin_request(&mut self, origin: Origin, section: Section, context: &mut Context) {
        let Mark { at, origin: caller, .. } = origin.mark;
        if !self.open.contains_key(&origin.stream) {
            self.begin(origin, context);
        }
        if let Some(open) = self.open.get_mut(&origin.stream) {
            context.counters.late_requests += u64::from(open.is_reported());
            open.set_request(section.into_request(&mut context.counters), at, caller);
            if let Some(lost) = self.lost.filter(|lost| lost.may_hide(at))
                && !open.is_answered()
                && !open.has_ended()
            {
                open.end_lost_since = Some(lost.at);
                self.schedule(Some(gives_up_at(lost.at, context)));
            }
        }
    }

    fn begin(&mut self, origin: Origin, context: &mut Context) {
        let mut exchange = context.begin_exchange(origin.mark, Protocol::Http2);
        exchange.stream = u64::from(origin.stream);
        let mut stream = Stream::new(exchange);
        if let Some(at) = self.early_reset(origin.stream) {
            stream.end(Ended::Reset, at, true);
        }
        if self.lost_requests_until.is_some_and(|until| origin.mark.at <= until) {
            stream.lose_request();
        }
        self.open.insert(origin.stream, stream);
        self.charge(origin.stream);
        self.finish_if_ended(origin.stream, context);
    }

    /// Returns when a stream was reset of which nothing has been seen.
    fn early_reset(&self, stream: u32) -> Option<Timestamp> {
        let reset = self
            .early_resets
            .iter()
            .find(|(early_resets, _)| *early_resets == stream);
        reset.map(|(_, at)| *at)
    }

    /// Puts out the exchange of a stream that has ended, or remembers that it will once that is settled.
    fn finish_if_ended(&mut self, stream: u32, context: &mut Context) {
        match self.open.get(&stream).map(Stream::state) {
            None | Some(State::Open) => {}
            Some(State::Ended) => self.finish(stream, context),
            Some(State::Ending) if self.ending.contains(&stream) => {}
            Some(State::Ending) => self.ending.push(stream),
        }
    }

    fn finish(&mut self, stream: u32, context: &mut Context) {
        let Some(ended) = self.open.remove(&stream) else {
            return;
        };
        self.bytes -= ended.charge;
        self.ending.retain(|ending| *ending != stream);
        self.finished.insert(stream);
        ended.finish(context);
    }

    fn charge(&mut self, stream: u32) {
        if let Some(open) = self.open.get_mut(&stream) {
            let held = open.held_bytes();
            self.bytes = self.bytes - open.charge + held;
            open.charge = held;
        }
    }

    fn keep_within_limits(&mut self, now: Timestamp, context: &mut Context) {
        let limits = context.settings.limits;
        while self.open.len() > limits.max_streams || self.bytes > limits.max_stream_bytes {
            let Some((&oldest, stream)) = self.open.iter_mut().next() else {
                return;
            };
            context.counters.streams_given_up += 1;
            stream.give_up(now);
            self.finish(oldest, context);
        }
    }

    fn schedule(&mut self, at: Option<Timestamp>) {
        self.due = [self.due, at].into_iter().flatten().min();
    }
}

/// The stream of a request that was upgraded (RFC 7540 section 3.2).
const UPGRADED: u32 = 1;
