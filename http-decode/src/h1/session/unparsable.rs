//! Bytes where a request must be that are not a request, shown because the server answered them with an error.
//!
//! They are kept as an unparsable request until the next response. An error for bad requests answers it; so does any
//! response if the method is clear and no later request can be the one. Otherwise the bytes may have been something else,
//! and are not emitted.

use super::{Session, UnpairedResponse};
use crate::chunk::Mark;
use crate::context::Context;
use crate::{Direction, Exchange, Fields, Reason, Request, RequestHead};

impl Session {
    /// Adds an unparsable request, with those parts that are clear.
    pub(super) fn add_unparsable(
        &mut self,
        direction: Direction,
        head: RequestHead,
        mark: Mark,
        context: &mut Context,
    ) {
        context.counters.malformed_heads += 1;
        context.undecoded(direction, mark.position, Reason::MalformedHead);
        self.push_unparsable(head, mark, context);
    }

    /// Adds the request head in progress as unparsable, if an error came before its end and no other request is unanswered.
    pub(super) fn take_unfinished(&mut self, unpaired: &UnpairedResponse, context: &mut Context) {
        let [requests, _] = context.request_direction();
        let decoder = &mut self.directions.of_mut(requests).decoder;
        let began_before = decoder.head_began().is_some_and(|began| began <= unpaired.mark.at);
        if began_before
            && self.pairing.is_idle()
            && answers_bad_request(unpaired)
            && let Some((head, mark)) = decoder.take_unfinished()
        {
            context.counters.malformed_heads += 1;
            self.push_unparsable(head, mark, context);
        }
    }

    /// Returns whether a response may answer the request found for it, which may be unparsable.
    pub(super) fn may_answer(&self, exchange: &Exchange, unpaired: &UnpairedResponse) -> bool {
        let head = exchange.request.as_ref().map(|request| &request.head);
        match head.filter(|head| head.is_unparsable()) {
            None => true,
            Some(_) if answers_bad_request(unpaired) => true,
            Some(head) => head.method.is_some() && !self.pairing.has_before(unpaired.mark.at),
        }
    }

    fn push_unparsable(&mut self, head: RequestHead, mark: Mark, context: &mut Context) {
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

/// Returns whether servers send this status for requests that they cannot parse.
fn answers_bad_request(unpaired: &UnpairedResponse) -> bool {
    let status = unpaired.response.head.status;
    status.is_some_and(|status| matches!(status, 400 | 405 | 408 | 411 | 413 | 414 | 431 | 494 | 501 | 505))
}
