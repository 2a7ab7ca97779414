//! Requests that are none, and are shown because the server answered them with an error.
//!
//! What stands where a request must be and is none is kept until the next response. If that is an answer to bad requests,
//! it is the answer to this one; if the method is clear, and no later request may be meant, so is any answer. Otherwise
//! the bytes may have been something else, and nothing is said of them.

use super::{Dialogue, Waiting};
use crate::chunk::Mark;
use crate::context::Context;
use crate::{Direction, Exchange, Fields, Reason, Request, RequestHead};

impl Dialogue {
    /// Takes what is clear of a request that is none.
    pub(super) fn begin_refused(&mut self, direction: Direction, head: RequestHead, mark: Mark, context: &mut Context) {
        context.counters.malformed_heads += 1;
        context.undecoded(direction, mark.position, Reason::MalformedHead);
        self.push_refused(head, mark, context);
    }

    /// Takes up a head that had not ended when an error was answered, and nothing else waits for an answer.
    pub(super) fn take_unfinished(&mut self, waiting: &Waiting, context: &mut Context) {
        let [requests, _] = context.request_direction();
        let decoder = &mut self.directions.of_mut(requests).decoder;
        let begun_before = decoder.head_begun().is_some_and(|begun| begun <= waiting.mark.at);
        if begun_before
            && self.pairing.is_idle()
            && is_refusal(waiting)
            && let Some((head, mark)) = decoder.take_unfinished()
        {
            context.counters.malformed_heads += 1;
            self.push_refused(head, mark, context);
        }
    }

    /// Returns whether a response answers the request that seems next, if that one is none.
    pub(super) fn may_answer(&self, exchange: &Exchange, waiting: &Waiting) -> bool {
        let head = exchange.request.as_ref().map(|request| &request.head);
        match head.filter(|head| head.is_refused()) {
            None => true,
            Some(_) if is_refusal(waiting) => true,
            Some(head) => head.method.is_some() && !self.pairing.has_before(waiting.mark.at),
        }
    }

    fn push_refused(&mut self, head: RequestHead, mark: Mark, context: &mut Context) {
        let mut exchange = context.begin_exchange(mark, crate::Protocol::Http11);
        exchange.request = Some(Request {
            head,
            body_bytes: None,
            trailers: Fields::default(),
        });
        self.receiving = None;
        self.tunnel = None;
        let fits = self.pairing.push(exchange, &context.settings.limits);
        // Where the next request begins is not known.
        self.pairing.lose_requests();
        if !fits {
            self.give_up_pending(context);
        }
    }
}

/// Returns whether servers answer so when they cannot read a request.
fn is_refusal(waiting: &Waiting) -> bool {
    let status = waiting.response.head.status;
    status.is_some_and(|status| matches!(status, 400 | 405 | 408 | 411 | 413 | 414 | 431 | 494 | 501 | 505))
}
