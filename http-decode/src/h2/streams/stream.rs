//! One stream: its exchange, and how far each side of it has come.
//!
//! The two directions may be decoded in any order. So an end in one direction is pending while frames of the other
//! direction that were sent before it may still arrive.

use crate::context::Context;
use crate::progress::{Ending, Progress};
use crate::{ActiveRequest, Ended, Exchange, Fields, Request, RequestHead, ResponseHead, Timestamp};

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) progress: Progress,
    /// Whether the head of the request was seen.
    requested: bool,
    request_ended: bool,
    response: Response,
    trailers: Fields,
    /// How and when it ended, once one direction showed it.
    end: Option<End>,
    /// The time since which frames of the response may have been lost, including the last one.
    pub(super) end_lost_since: Option<Timestamp>,
    /// Whether a reset by the client may have been lost.
    reset_may_be_lost: bool,
    /// The memory that was last counted for it, in bytes.
    pub(super) counted_bytes: usize,
}

/// How far the response has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Response {
    /// No head was seen.
    Awaited,
    /// A head was seen whose status is unknown, so that the response may be informational.
    Begun,
    /// The head of the final response was seen.
    Final,
}

/// An end that one direction showed.
#[derive(Clone, Copy, Debug)]
struct End {
    ended: Ended,
    at: Timestamp,
    seen: bool,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It does.
    Open,
    /// It ended, unless frames captured earlier are still to arrive.
    Ending,
    /// It ended.
    Ended,
}

impl Stream {
    pub(super) fn new(exchange: Box<Exchange>) -> Self {
        let requested = exchange.request.is_some();
        Self {
            progress: Progress::Pending(exchange),
            requested,
            request_ended: false,
            response: Response::Awaited,
            trailers: Fields::default(),
            end: None,
            end_lost_since: None,
            reset_may_be_lost: false,
            counted_bytes: 0,
        }
    }

    /// Returns whether it goes on.
    pub(super) fn state(&self) -> State {
        match self.end {
            None => State::Open,
            // No later frame of the request can change a response that ended, or a tunnel.
            Some(End { ended, .. }) => match ended {
                Ended::Complete if self.requested && self.request_ended => State::Ended,
                Ended::Upgraded => State::Ended,
                Ended::Complete | Ended::Reset | Ended::Closed | Ended::Lost => State::Ending,
            },
        }
    }

    /// Returns whether a frame of the server at `at` came too late to belong to this exchange.
    pub(super) fn is_over(&self, at: Timestamp) -> bool {
        self.end.is_some_and(|end| end.at < at)
    }

    /// Returns whether a frame of the client at `at` came too late. A request may go on behind a complete response.
    pub(super) fn is_given_up(&self, at: Timestamp) -> bool {
        self.end.is_some_and(|end| end.at < at && end.ended != Ended::Complete)
    }

    /// Returns when its first byte came; `None` once its exchange was emitted.
    pub(super) fn began(&self) -> Option<Timestamp> {
        match &self.progress {
            Progress::Pending(exchange) => Some(exchange.began),
            Progress::Emitted(..) => None,
        }
    }

    /// Returns its request, if that was seen and goes on.
    pub(super) fn active_request(&self) -> Option<ActiveRequest> {
        self.progress.request().filter(|_| self.end.is_none())
    }

    /// Returns whether its exchange was emitted.
    pub(super) fn is_emitted(&self) -> bool {
        matches!(self.progress, Progress::Emitted(..))
    }

    /// Returns whether the head of the request was seen.
    pub(super) fn is_requested(&self) -> bool {
        self.requested
    }

    /// Sets the head of the request, which began at `began`.
    pub(super) fn set_request(&mut self, head: RequestHead, began: Timestamp, origin: u32) {
        self.requested = true;
        if let Some(exchange) = self.progress.exchange_mut() {
            exchange.began = began;
            exchange.origin = origin;
            exchange.request = Some(Request {
                head,
                body_bytes: Some(0),
                trailers: Fields::default(),
            });
        }
    }

    /// Sets the trailers of the request.
    pub(super) fn set_request_trailers(&mut self, trailers: Fields) {
        if let Some(request) = self.request_mut() {
            request.trailers = trailers;
        }
    }

    /// Adds content to the request; `None` if its length is unknown.
    pub(super) fn add_request_content(&mut self, count: Option<u64>) {
        if let Some(request) = self.request_mut() {
            request.body_bytes = request
                .body_bytes
                .zip(count)
                .map(|(bytes, count)| bytes.saturating_add(count));
        }
    }

    /// Notes that frames of the request may have been lost, including a reset.
    pub(super) fn lose_request(&mut self) {
        self.reset_may_be_lost = true;
        if !self.request_ended {
            self.add_request_content(None);
        }
    }

    /// Notes the end of the request.
    pub(super) fn end_request(&mut self) {
        self.request_ended = true;
    }

    /// Adds the head of a response; if its status is `None`, it may be an informational one.
    pub(super) fn add_response(&mut self, head: ResponseHead, at: Timestamp, last: bool, context: &mut Context) {
        match (self.response, head.status) {
            (_, Some(100..=199)) if !last => self.progress.add_informational(head, context),
            (Response::Awaited, status) => {
                self.progress.set_response(head, Some(0), at);
                self.response = status.map_or(Response::Begun, |_| Response::Final);
                if self.is_connect() && matches!(status, Some(200..=299)) {
                    self.end(Ended::Upgraded, at, true);
                }
            }
            // Only trailers follow the head of a final response, and they end the stream. So the earlier head was that of an
            // informational response whose status is unknown.
            (Response::Begun | Response::Final, status) => {
                self.progress.demote_response(context);
                self.progress.set_response(head, Some(0), at);
                self.response = status.map_or(Response::Begun, |_| Response::Final);
            }
        }
    }

    /// Returns whether the head that was seen may be that of an informational response: nothing shows that it is the final one.
    pub(super) fn may_await_final_head(&self) -> bool {
        self.response == Response::Begun && self.progress.has_no_content()
    }

    /// Leaves out the fields of the response, and those of its last block, which has `others` of them: the two are either a head
    /// and trailers, or the head of an informational response and that of the final one.
    pub(super) fn obscure_response(&mut self, others: u32) {
        self.progress.obscure_response(others);
    }

    /// Sets the trailers of the response, whose head may not have been seen.
    pub(super) fn set_trailers(&mut self, trailers: Fields) {
        self.note_unseen_head();
        self.trailers = trailers;
    }

    /// Notes that the response has a head, even if it was not seen.
    pub(super) fn note_unseen_head(&mut self) {
        if self.response == Response::Awaited {
            self.progress.set_unseen_response();
            self.response = Response::Begun;
        }
    }

    /// Returns whether a head of the response was seen, or is known to exist.
    pub(super) fn is_answered(&self) -> bool {
        self.response != Response::Awaited
    }

    /// Returns whether a head was seen that is known to be that of the final response.
    pub(super) fn has_final_head(&self) -> bool {
        self.response == Response::Final
    }

    /// Adds content to the response; `None` if its length is unknown.
    pub(super) fn add_content(&mut self, count: Option<u64>) {
        self.end_lost_since = None;
        match count {
            Some(count) => self.progress.add_content(count),
            None => self.progress.lose_body(),
        }
    }

    /// Notes an end that one direction showed; `seen` tells whether `at` is its time. The earlier end counts.
    pub(super) fn end(&mut self, ended: Ended, at: Timestamp, seen: bool) {
        if self
            .end
            .is_none_or(|end| at < end.at || (at == end.at && ended == Ended::Complete))
        {
            self.end = Some(End { ended, at, seen });
        }
    }

    /// Ends the stream with the connection, unless it ended before, or its end may have been lost.
    pub(super) fn close(&mut self, ended: Ended, at: Timestamp) {
        match self.end_lost_since {
            Some(since) => self.give_up(since),
            None if self.reset_may_be_lost => self.give_up(at),
            None => {
                self.end.get_or_insert(End { ended, at, seen: true });
            }
        }
    }

    /// Notes that the end was lost, unless one was seen; the last frame before it came at `at`.
    pub(super) fn give_up(&mut self, at: Timestamp) {
        let ended = Ended::Lost;
        self.end.get_or_insert(End { ended, at, seen: false });
    }

    /// Returns whether an end was seen, or is known to have been lost.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Emits the exchange, or its end.
    pub(super) fn finish(self, context: &mut Context) {
        let Some(End { ended, at, seen }) = self.end else {
            return self.progress.abandon(context);
        };
        let ending = if seen {
            Ending::seen(ended, at, self.trailers)
        } else {
            Ending::unseen(at)
        };
        self.progress.end(ending, context);
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.progress.held_bytes() + self.trailers.held_bytes()
    }

    fn request_mut(&mut self) -> Option<&mut Request> {
        self.progress.exchange_mut()?.request.as_mut()
    }

    fn is_connect(&mut self) -> bool {
        let method = self.request_mut().and_then(|request| request.head.method.as_deref());
        method == Some("CONNECT")
    }
}
