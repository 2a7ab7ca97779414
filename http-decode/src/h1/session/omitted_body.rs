//! Bodies that were announced and may be omitted: the next head may come in their place.
//!
//! Two cases. A client that expects 100 Continue and gets a final response may omit the body (RFC 9110 section 10.1.1); if
//! no response was seen, it may have been lost. And when a client that never pipelines sends its next request, it has the
//! whole previous response: bytes of it that were not seen bypassed the traced library. Content whose type is HTTP messages
//! is excluded, since there a head at its beginning proves nothing.

use super::Session;
use crate::context::{Context, Role};
use crate::h1::body_or_head::IfHead;
use crate::progress::{Ending, Progress};
use crate::{Direction, Fields, Timestamp};

impl Session {
    /// If the body that a direction awaits may be omitted, lets the decoder check whether a head begins in its place with
    /// the call that was captured at `at`.
    pub(super) fn check_for_omitted_body(&mut self, direction: Direction, at: Timestamp) {
        let decoder = &self.directions.of(direction).decoder;
        let may_be_omitted = match decoder.role() {
            Role::Requests => self.expects_continue,
            Role::Responses => self.next_request_was_sent(at) && !self.responds_with_http(),
        };
        if may_be_omitted {
            let if_head = match decoder.role() {
                Role::Requests if !self.was_answered() && !self.may_have_been_answered(direction) => IfHead::Ambiguous,
                Role::Requests | Role::Responses => IfHead::ReplacesBody,
            };
            self.directions
                .of_mut(direction)
                .decoder
                .allow_head_instead_of_body(if_head);
        }
    }

    /// Notes a 100 Continue response: the body of the request that waits for it is not omitted.
    pub(super) fn expect_body(&mut self) {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        if awaited == self.receiving {
            self.expects_continue = false;
        }
    }

    /// Ends the response in progress, whose body was not seen, because the next head came in its place.
    pub(super) fn end_without_body(&mut self, at: Timestamp, context: &mut Context) {
        let has_head = |progress: &mut Progress| progress.awaits_response().is_none();
        if let Some(mut progress) = self.progress.take_if(has_head) {
            progress.lose_body();
            progress.end(Ending::unseen(at), context);
        }
    }

    /// Returns whether the content of the response in progress may be HTTP messages.
    pub(super) fn responds_with_http(&self) -> bool {
        match &self.progress {
            Some(Progress::Pending(exchange)) => exchange
                .response
                .as_ref()
                .is_some_and(|response| carries_http(&response.head.fields)),
            Some(Progress::Emitted(..)) | None => false,
        }
    }

    /// Returns whether a client that does not pipeline sent a request after the head of the response in progress.
    fn next_request_was_sent(&self, at: Timestamp) -> bool {
        self.final_head_at
            .zip(self.pairing.next_in_turn())
            .is_some_and(|(head_at, next)| head_at < next && next <= at)
    }

    /// Returns whether the request in progress had a final response.
    fn was_answered(&self) -> bool {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        self.receiving
            .is_some_and(|ordinal| awaited != Some(ordinal) && !self.pairing.contains(ordinal))
    }

    /// Returns whether that response may have been lost.
    fn may_have_been_answered(&self, requests: Direction) -> bool {
        self.pairing.lost_responses_until().is_some() || self.directions.of(requests.other()).decoder.is_out_of_sync()
    }
}

/// Returns whether a client may wait for 100 Continue before it sends the body, and the body is not HTTP messages.
pub(super) fn expects_continue(fields: &Fields) -> bool {
    let continues = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
    fields.values("expect").any(|value| continues(value.expose())) && !carries_http(fields)
}

/// Returns whether content is HTTP messages by its type (RFC 9112 section 10).
fn carries_http(fields: &Fields) -> bool {
    fields.values("content-type").any(|value| {
        let value = value.expose().trim_ascii_start();
        let begins = |kind: &[u8]| {
            value
                .get(..kind.len())
                .is_some_and(|part| part.eq_ignore_ascii_case(kind))
        };
        begins(b"message/http") || begins(b"application/http")
    })
}
