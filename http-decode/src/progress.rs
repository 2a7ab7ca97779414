//! The exchange whose response is coming.
//!
//! In: the request, response heads, body counts, ends. Out: the exchange when its response has ended or was held long
//! enough, and after that its [`End`]. Refuses to put an exchange out twice.

use std::mem;

use crate::context::Context;
use crate::outbox::exchange_bytes;
use crate::{End, Ended, Exchange, Fields, Output, Request, Response, ResponseHead, Timestamp};

/// An exchange whose response is coming.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It has not been put out.
    Within(Box<Exchange>),
    /// It has been put out, and this is what is known about its end.
    Out(Box<End>),
}

impl Progress {
    /// Adds a 1xx response; one too many is counted and not kept.
    pub(crate) fn add_informational(&mut self, head: ResponseHead, context: &mut Context) {
        match self {
            Self::Within(exchange) if exchange.informational.len() < context.settings.limits.max_informational => {
                exchange.informational.push(head);
            }
            Self::Within(_) | Self::Out(_) => context.counters.informational_dropped += 1,
        }
    }

    /// Adds the final response's head.
    pub(crate) fn set_response(&mut self, head: ResponseHead, body_bytes: Option<u64>, at: Timestamp) {
        if let Self::Within(exchange) = self {
            exchange.head_at = Some(at);
            exchange.response = Some(Response {
                head,
                body_bytes,
                trailers: Fields::default(),
            });
        }
    }

    /// Notes that there is a final response whose head was not seen; when it came is not known either.
    pub(crate) fn set_unseen_response(&mut self) {
        if let Self::Within(exchange) = self {
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

    /// Counts bytes of the response body.
    pub(crate) fn add_content(&mut self, count: u64) {
        if let Some(bytes) = self.body_bytes_mut() {
            *bytes = bytes.map(|bytes| bytes.saturating_add(count));
        }
    }

    /// Notes that the length of the response body is uncertain.
    pub(crate) fn lose_body(&mut self) {
        if let Some(bytes) = self.body_bytes_mut() {
            *bytes = None;
        }
    }

    /// Returns the request, if this is the exchange with that ordinal and it is still here.
    pub(crate) fn request_mut(&mut self, ordinal: u64) -> Option<&mut Request> {
        match self {
            Self::Within(exchange) if exchange.ordinal == ordinal => exchange.request.as_mut(),
            Self::Within(_) | Self::Out(_) => None,
        }
    }

    /// Returns the exchange, unless it is out.
    pub(crate) fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match self {
            Self::Within(exchange) => Some(exchange),
            Self::Out(_) => None,
        }
    }

    /// Makes an informational response of what seemed to be the final one.
    pub(crate) fn demote_response(&mut self, context: &mut Context) {
        if let Some(response) = self.exchange_mut().and_then(|exchange| exchange.response.take()) {
            self.add_informational(response.head, context);
        }
    }

    /// Returns the ordinal of an exchange that has no final response yet.
    pub(crate) fn awaits_response(&self) -> Option<u64> {
        match self {
            Self::Within(exchange) if exchange.response.is_none() => Some(exchange.ordinal),
            Self::Within(_) | Self::Out(_) => None,
        }
    }

    /// Returns when the exchange is to be put out although it goes on.
    pub(crate) fn release_at(&self, hold_ns: u64) -> Option<Timestamp> {
        match self {
            Self::Within(exchange) => exchange.head_at.map(|at| Timestamp(at.0.saturating_add(hold_ns))),
            Self::Out(_) => None,
        }
    }

    /// Puts the exchange out although it goes on.
    pub(crate) fn release(&mut self, context: &mut Context) {
        let Self::Within(exchange) = self else { return };
        let end = End {
            ordinal: exchange.ordinal,
            began: exchange.began,
            ended_at: exchange.began,
            ended: Ended::Lost,
            body_bytes: exchange.response.as_ref().and_then(|response| response.body_bytes),
            trailers: Fields::default(),
        };
        if let Self::Within(exchange) = mem::replace(self, Self::Out(Box::new(end))) {
            context.put_out(exchange, None);
        }
    }

    /// Puts out how it ended: the exchange, or only its end when the exchange is out.
    pub(crate) fn end(self, ending: Ending, context: &mut Context) {
        let Ending {
            ended,
            at,
            seen,
            trailers,
        } = ending;
        match self {
            Self::Within(mut exchange) => {
                if let Some(response) = &mut exchange.response {
                    response.trailers = trailers;
                    exchange.ended_at = seen.then_some(at);
                }
                context.put_out(exchange, Some(ended));
            }
            Self::Out(mut end) => {
                end.ended = ended;
                end.ended_at = at;
                end.trailers = trailers;
                context.outbox.push(Output::End(end));
            }
        }
    }

    /// Puts out an exchange that goes on when observation ends; one that is out already has no end.
    pub(crate) fn abandon(self, context: &mut Context) {
        if let Self::Within(exchange) = self {
            context.put_out(exchange, None);
        }
    }

    /// Returns the exchange, unless it is out.
    pub(crate) fn into_exchange(self) -> Option<Box<Exchange>> {
        match self {
            Self::Within(exchange) => Some(exchange),
            Self::Out(_) => None,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Within(exchange) => exchange_bytes(exchange),
            Self::Out(end) => size_of_val(end.as_ref()),
        }
    }

    fn body_bytes_mut(&mut self) -> Option<&mut Option<u64>> {
        match self {
            Self::Within(exchange) => exchange.response.as_mut().map(|response| &mut response.body_bytes),
            Self::Out(end) => Some(&mut end.body_bytes),
        }
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) struct Ending {
    ended: Ended,
    at: Timestamp,
    /// Whether `at` is when it ended, and not merely the last that was seen of it.
    seen: bool,
    trailers: Fields,
}

impl Ending {
    /// An end that was seen at `at`.
    pub(crate) fn seen(ended: Ended, at: Timestamp, trailers: Fields) -> Self {
        Self {
            ended,
            at,
            seen: true,
            trailers,
        }
    }

    /// An end that was not seen; the last that was seen is of `at`.
    pub(crate) fn unseen(at: Timestamp) -> Self {
        Self {
            ended: Ended::Lost,
            at,
            seen: false,
            trailers: Fields::default(),
        }
    }
}
