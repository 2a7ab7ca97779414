//! The exchange whose response is in progress.
//!
//! It is emitted once: when its response has ended, or earlier when it was held for long enough. In the latter case its
//! [`End`] follows.

use std::mem;

use crate::context::Context;
use crate::queue::exchange_bytes;
use crate::server_events::ServerEvents;
use crate::{ActiveRequest, End, Ended, Exchange, Fields, Output, Request, Response, ResponseHead, Timestamp};

/// An exchange whose response is in progress.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It has not been emitted.
    Pending(Box<Exchange>),
    /// It has been emitted; this is what is known of its end, and its request, if that was seen.
    Emitted(Box<End>, Option<ActiveRequest>),
}

impl Progress {
    /// Adds a 1xx response. One over the limit is counted and not kept.
    pub(crate) fn add_informational(&mut self, head: ResponseHead, context: &mut Context) {
        match self {
            Self::Pending(exchange) if exchange.informational.len() < context.settings.limits.max_informational => {
                exchange.informational.push(head);
            }
            Self::Pending(_) | Self::Emitted(..) => context.counters.informational_dropped += 1,
        }
    }

    /// Adds the final response's head.
    pub(crate) fn set_response(&mut self, head: ResponseHead, body_bytes: Option<u64>, at: Timestamp) {
        if let Self::Pending(exchange) = self {
            exchange.head_at = Some(at);
            exchange.events = ServerEvents::behind(&head);
            exchange.response = Some(Response {
                head,
                body_bytes,
                trailers: Fields::default(),
            });
        }
    }

    /// Adds a final response whose head was not seen, nor when it came.
    pub(crate) fn set_unseen_response(&mut self) {
        if let Self::Pending(exchange) = self {
            exchange.response = Some(Response {
                head: ResponseHead {
                    unknown: 1,
                    ..ResponseHead::default()
                },
                body_bytes: None,
                trailers: Fields::default(),
            });
        }
    }

    /// Adds content to the response.
    pub(crate) fn add_content(&mut self, count: u64) {
        if let Some(bytes) = self.body_bytes_mut() {
            *bytes = bytes.map(|bytes| bytes.saturating_add(count));
        }
    }

    /// Reads content of the response for server-sent events; `None` if it was not seen. Returns `false` if the first event is
    /// given up because it is too long.
    pub(crate) fn read_events(&mut self, content: Option<&[u8]>, at: Timestamp) -> bool {
        match (self.events_mut(), content) {
            (Some(events), Some(content)) => events.read(content, at),
            (Some(events), None) => {
                events.lose();
                true
            }
            (None, _) => true,
        }
    }

    /// Returns whether the content that follows may show the first server-sent event.
    pub(crate) fn awaits_event(&self) -> bool {
        let events = match self {
            Self::Pending(exchange) => &exchange.events,
            Self::Emitted(end, _) => &end.events,
        };
        events.as_ref().is_some_and(ServerEvents::awaits_event)
    }

    /// Notes that the length of the response body is uncertain.
    pub(crate) fn lose_body(&mut self) {
        if let Some(events) = self.events_mut() {
            events.lose();
        }
        if let Some(bytes) = self.body_bytes_mut() {
            *bytes = None;
        }
    }

    /// Returns the request, if the exchange has that ordinal and was not emitted.
    pub(crate) fn request_mut(&mut self, ordinal: u64) -> Option<&mut Request> {
        match self {
            Self::Pending(exchange) if exchange.ordinal == ordinal => exchange.request.as_mut(),
            Self::Pending(_) | Self::Emitted(..) => None,
        }
    }

    /// Returns the ordinal of the exchange.
    pub(crate) const fn ordinal(&self) -> u64 {
        match self {
            Self::Pending(exchange) => exchange.ordinal,
            Self::Emitted(end, _) => end.ordinal,
        }
    }

    /// Returns the request, which is active, if it was seen.
    pub(crate) fn request(&self) -> Option<ActiveRequest> {
        match self {
            Self::Pending(exchange) => ActiveRequest::of(exchange),
            Self::Emitted(_, request) => *request,
        }
    }

    /// Returns the exchange, unless it was emitted.
    pub(crate) fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match self {
            Self::Pending(exchange) => Some(exchange),
            Self::Emitted(..) => None,
        }
    }

    /// Turns the final response into an informational one: it only seemed to be final.
    pub(crate) fn demote_response(&mut self, context: &mut Context) {
        if let Some(response) = self.exchange_mut().and_then(|exchange| exchange.response.take()) {
            self.add_informational(response.head, context);
        }
    }

    /// Returns whether a response has begun, and no content of it was seen or lost.
    pub(crate) fn has_no_content(&self) -> bool {
        match self {
            Self::Pending(exchange) => exchange
                .response
                .as_ref()
                .is_some_and(|response| response.body_bytes == Some(0)),
            Self::Emitted(end, _) => end.body_bytes == Some(0),
        }
    }

    /// Leaves out the fields of the head of the response, and when it came; `others` more are left out beside it.
    pub(crate) fn obscure_response(&mut self, others: u32) {
        let Some(exchange) = self.exchange_mut() else { return };
        exchange.head_at = None;
        if let Some(Response { head, .. }) = &mut exchange.response {
            let fields = u32::try_from(head.fields.len()).unwrap_or(u32::MAX);
            *head = ResponseHead {
                unknown: fields.saturating_add(others),
                ..ResponseHead::default()
            };
        }
    }

    /// Returns the ordinal of an exchange that has no final response yet.
    pub(crate) fn awaits_response(&self) -> Option<u64> {
        match self {
            Self::Pending(exchange) if exchange.response.is_none() => Some(exchange.ordinal),
            Self::Pending(_) | Self::Emitted(..) => None,
        }
    }

    /// Returns when the exchange is to be emitted even if it goes on.
    pub(crate) fn release_at(&self, hold_ns: u64) -> Option<Timestamp> {
        match self {
            Self::Pending(exchange) => exchange.head_at.map(|at| Timestamp(at.0.saturating_add(hold_ns))),
            Self::Emitted(..) => None,
        }
    }

    /// Emits the exchange, which goes on.
    pub(crate) fn release(&mut self, context: &mut Context) {
        let Self::Pending(exchange) = self else { return };
        let end = End {
            ordinal: exchange.ordinal,
            began: exchange.began,
            ended_at: exchange.began,
            ended: Ended::Lost,
            body_bytes: exchange.response.as_ref().and_then(|response| response.body_bytes),
            trailers: Fields::default(),
            events: exchange.events.clone(),
        };
        let request = ActiveRequest::of(exchange);
        if let Self::Pending(exchange) = mem::replace(self, Self::Emitted(Box::new(end), request)) {
            context.emit(exchange, None);
        }
    }

    /// Emits the exchange, or only its end if the exchange was emitted before.
    pub(crate) fn end(self, ending: Ending, context: &mut Context) {
        let Ending {
            ended,
            at,
            seen,
            trailers,
        } = ending;
        match self {
            Self::Pending(mut exchange) => {
                if let Some(response) = &mut exchange.response {
                    response.trailers = trailers;
                    exchange.ended_at = seen.then_some(at);
                }
                context.emit(exchange, Some(ended));
            }
            Self::Emitted(mut end, _) => {
                end.ended = ended;
                end.ended_at = at;
                end.trailers = trailers;
                context.queue.push(Output::End(end));
            }
        }
    }

    /// Emits an exchange that goes on when observation ends. One that was emitted before gets no end.
    pub(crate) fn abandon(self, context: &mut Context) {
        if let Self::Pending(exchange) = self {
            context.emit(exchange, None);
        }
    }

    /// Returns the exchange, unless it was emitted.
    pub(crate) fn into_exchange(self) -> Option<Box<Exchange>> {
        match self {
            Self::Pending(exchange) => Some(exchange),
            Self::Emitted(..) => None,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Pending(exchange) => exchange_bytes(exchange),
            Self::Emitted(end, _) => size_of_val(end.as_ref()),
        }
    }

    fn events_mut(&mut self) -> Option<&mut ServerEvents> {
        match self {
            Self::Pending(exchange) => exchange.events.as_mut(),
            Self::Emitted(end, _) => end.events.as_mut(),
        }
    }

    fn body_bytes_mut(&mut self) -> Option<&mut Option<u64>> {
        match self {
            Self::Pending(exchange) => exchange.response.as_mut().map(|response| &mut response.body_bytes),
            Self::Emitted(end, _) => Some(&mut end.body_bytes),
        }
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) struct Ending {
    ended: Ended,
    at: Timestamp,
    /// Whether `at` is the time of the end, and not that of the last bytes seen before it.
    seen: bool,
    trailers: Fields,
}

impl Ending {
    /// An end at `at`.
    pub(crate) fn seen(ended: Ended, at: Timestamp, trailers: Fields) -> Self {
        Self {
            ended,
            at,
            seen: true,
            trailers,
        }
    }

    /// An end that was not seen; the last bytes before it came at `at`.
    pub(crate) fn unseen(at: Timestamp) -> Self {
        Self {
            ended: Ended::Lost,
            at,
            seen: false,
            trailers: Fields::default(),
        }
    }
}
