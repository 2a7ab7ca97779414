//! The streams of a connection, and the exchange on each.
//!
//! A late frame of a finished stream does not begin another exchange. The number of open streams and their memory are
//! bounded: at a limit, the oldest stream is given up.

mod finished;
mod lost;
mod open;
mod requests;
mod responses;
mod stream;

use std::collections::VecDeque;

use self::finished::{FinishedStreams, remember};
use self::lost::{LostResponses, give_up_at};
use self::open::OpenStreams;
use self::stream::{State, Stream};
use crate::chunk::Mark;
use crate::context::Context;
use crate::{ActiveRequest, Ended, Exchange, Protocol, Timestamp};

/// The streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: OpenStreams,
    /// The memory of the open streams, in bytes.
    bytes: usize,
    /// The highest stream on which the client sent a header block: a lower one cannot begin any more.
    highest: u32,
    /// Whether every request since the connection began was seen.
    requests_seen: bool,
    /// The latest streams whose exchange was emitted.
    finished: FinishedStreams,
    /// The latest resets of streams of which nothing else has been decoded.
    early_resets: VecDeque<(u32, Timestamp)>,
    /// The latest loss of frames of responses, for streams whose requests are decoded after it.
    lost: Option<LostResponses>,
    /// The time by which frames of requests were last lost, which may include a reset.
    lost_requests_until: Option<Timestamp>,
    /// Streams that have ended, unless frames captured earlier are still to arrive.
    ending: Vec<u32>,
    /// When [`release`](Self::release) is to be called next; it may be earlier than necessary.
    due: Option<Timestamp>,
}

/// The origin of a header block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The stream.
    pub(super) stream: u32,
    /// The first byte of its first frame.
    pub(super) mark: Mark,
    /// When its last byte came.
    pub(super) at: Timestamp,
    /// Whether it ends the stream in its direction.
    pub(super) ends_stream: bool,
}

impl Streams {
    /// Adopts an exchange that began in HTTP/1.1 and whose request has ended.
    pub(super) fn adopt(&mut self, mut exchange: Box<Exchange>) {
        exchange.protocol = Protocol::Http2;
        exchange.stream = u64::from(UPGRADED);
        let mut stream = Stream::new(exchange);
        stream.end_request();
        self.highest = UPGRADED;
        self.open.insert(UPGRADED, stream);
        self.count_memory(UPGRADED);
    }

    /// Notes that the connection begins.
    pub(super) fn begin_connection(&mut self) {
        self.requests_seen = true;
    }

    /// Notes that the client started over: it sends again the requests that the server did not receive. Those that were
    /// answered were received, and how they end is unknown.
    pub(super) fn restart(&mut self, at: Timestamp, context: &mut Context) {
        for mut stream in self.open.take_all() {
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

    fn end(&mut self, stream: u32, ended: Ended, at: Timestamp, seen: bool, context: &mut Context) {
        if let Some(open) = self.open.find(stream) {
            open.end(ended, at, seen);
            self.finish_if_ended(stream, context);
        }
    }

    /// Handles a reset; `seen` tells whether it came at `at`, or was lost in a gap behind it.
    pub(super) fn reset(&mut self, stream: u32, at: Timestamp, seen: bool, context: &mut Context) {
        if self.open.contains(stream) {
            self.end(stream, Ended::Reset, at, seen, context);
        } else if seen && !self.finished.contains(stream) {
            remember(&mut self.early_resets, (stream, at));
        }
    }

    /// Handles GOAWAY: streams above `last` that the other side began will not be answered on this connection.
    pub(super) fn end_above(&mut self, last: u32, parity: u32, at: Timestamp, context: &mut Context) {
        let rejected: Vec<u32> = self
            .open
            .iter_mut()
            .map(|(stream, _)| stream)
            .filter(|stream| *stream > last && stream % 2 == parity)
            .collect();
        for stream in rejected {
            self.end(stream, Ended::Closed, at, true, context);
        }
    }

    /// Returns the requests that are active.
    pub(super) fn active_requests(&self) -> impl Iterator<Item = ActiveRequest> {
        self.open.iter().filter_map(Stream::active_request)
    }

    /// Returns whether a stream has ended unless frames captured earlier are still to arrive.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Notes that no frames captured before now will arrive; `false` if that changed nothing.
    pub(super) fn settle(&mut self, context: &mut Context) -> bool {
        let ending = std::mem::take(&mut self.ending);
        for stream in &ending {
            if self.open.find(*stream).is_some_and(|open| open.state() != State::Open) {
                self.finish(*stream, context);
            }
        }
        !ending.is_empty()
    }

    /// Emits exchanges that were held for long enough, and gives up streams whose end was probably lost.
    pub(super) fn release(&mut self, now: Timestamp, context: &mut Context) {
        let hold_ns = context.settings.hold_ns;
        let mut lost = Vec::new();
        self.due = None;
        for (id, stream) in self.open.iter_mut() {
            if stream.progress.release_at(hold_ns).is_some_and(|at| at <= now) {
                stream.progress.release(context);
            }
            if let Some(since) = stream.end_lost_since.filter(|since| give_up_at(*since, context) <= now) {
                stream.give_up(since);
                lost.push(id);
            }
        }
        for stream in lost {
            self.finish(stream, context);
        }
        let due = self.open.iter_mut().filter_map(|(_, stream)| {
            let gives_up = stream.end_lost_since.map(|since| give_up_at(since, context));
            [stream.progress.release_at(hold_ns), gives_up]
                .into_iter()
                .flatten()
                .min()
        });
        self.due = due.min();
    }

    /// Returns when [`release`](Self::release) is to be called.
    pub(super) fn release_at(&self) -> Option<Timestamp> {
        self.due
    }

    /// Emits what is in progress, at the end of the connection, or of its observation if `ended` is `None`.
    pub(super) fn end_all(&mut self, now: Timestamp, ended: Option<Ended>, context: &mut Context) {
        for mut stream in self.open.take_all() {
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
            + self.open.held_bytes()
            + self.finished.held_bytes()
            + self.ending.capacity() * size_of::<u32>()
            + self.early_resets.capacity() * size_of::<(u32, Timestamp)>()
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
        self.count_memory(origin.stream);
        self.finish_if_ended(origin.stream, context);
    }

    /// Returns when a stream was reset of which nothing else has been decoded.
    fn early_reset(&self, stream: u32) -> Option<Timestamp> {
        let reset = self.early_resets.iter().find(|(id, _)| *id == stream);
        reset.map(|(_, at)| *at)
    }

    /// Emits the exchange of a stream that has ended, or notes that it has ended once that is settled.
    fn finish_if_ended(&mut self, stream: u32, context: &mut Context) {
        match self.open.find(stream).map(|open| open.state()) {
            None | Some(State::Open) => {}
            Some(State::Ended) => self.finish(stream, context),
            Some(State::Ending) if self.ending.contains(&stream) => {}
            Some(State::Ending) => self.ending.push(stream),
        }
    }

    fn finish(&mut self, stream: u32, context: &mut Context) {
        let Some(ended) = self.open.remove(stream) else {
            return;
        };
        self.bytes -= ended.counted_bytes;
        self.ending.retain(|ending| *ending != stream);
        self.finished.insert(stream);
        ended.finish(context);
    }

    /// Updates the memory of a stream.
    fn count_memory(&mut self, stream: u32) {
        if let Some(open) = self.open.find(stream) {
            let held = open.held_bytes();
            self.bytes = self.bytes - open.counted_bytes + held;
            open.counted_bytes = held;
        }
    }

    fn keep_within_limits(&mut self, now: Timestamp, context: &mut Context) {
        let limits = context.settings.limits;
        while self.open.len() > limits.max_streams || self.bytes > limits.max_stream_bytes {
            let Some((oldest, stream)) = self.open.iter_mut().next() else {
                return;
            };
            context.counters.streams_given_up += 1;
            stream.give_up(now);
            self.finish(oldest, context);
        }
    }

    /// Makes [`release`](Self::release) due at `at`, if not earlier.
    fn schedule(&mut self, at: Option<Timestamp>) {
        self.due = [self.due, at].into_iter().flatten().min();
    }
}

/// The stream of the request that was upgraded (RFC 7540 section 3.2).
const UPGRADED: u32 = 1;
