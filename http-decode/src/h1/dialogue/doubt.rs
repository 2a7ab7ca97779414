//! Whether an announced body comes, or the next head in its place.
//!
//! Two things make that doubtful. A request that waits for 100 Continue and had a final answer may be followed by the
//! next request at once (RFC 9110 section 10.1.1); if no answer was seen, one may have been lost. And where a client that never pipelines has sent its next request,
//! it has had the whole response to the one before: what of it was not seen passed beside the library. Content that is
//! itself HTTP messages is never doubted, since a head at its beginning proves nothing.

use super::Dialogue;
use crate::context::{Context, Role};
use crate::h1::Instead;
use crate::progress::{Ending, Progress};
use crate::{Direction, Fields, Timestamp};

impl Dialogue {
    /// Has the decoder of a direction judge whether the body that it awaits begins with a call of `at`.
    pub(super) fn doubt_body(&mut self, direction: Direction, at: Timestamp) {
        let decoder = &self.directions.of(direction).decoder;
        let doubtful = match decoder.role() {
            Role::Requests => self.expects,
            Role::Responses => self.next_was_sent(at) && !self.responds_with_http(),
        };
        if doubtful {
            let instead = match decoder.role() {
                Role::Requests if !self.was_answered() && !self.may_have_been_answered(direction) => Instead::Open,
                Role::Requests | Role::Responses => Instead::Head,
            };
            self.directions.of_mut(direction).decoder.doubt_that_body_comes(instead);
        }
    }

    /// Takes it that the body of the request whose body is awaited comes, since 100 Continue does.
    pub(super) fn expect_body(&mut self) {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        if awaited == self.receiving {
            self.expects = false;
        }
    }

    /// Ends the response whose body did not come, because the next head did.
    pub(super) fn end_overtaken(&mut self, at: Timestamp, context: &mut Context) {
        let overtaken = |progress: &mut Progress| progress.awaits_response().is_none();
        if let Some(mut progress) = self.progress.take_if(overtaken) {
            progress.lose_body();
            progress.end(Ending::unseen(at), context);
        }
    }

    /// Returns whether the content of the response in progress may be HTTP messages.
    pub(super) fn responds_with_http(&self) -> bool {
        match &self.progress {
            Some(Progress::Within(exchange)) => exchange
                .response
                .as_ref()
                .is_some_and(|response| carries_http(&response.head.fields)),
            Some(Progress::Out(_)) | None => false,
        }
    }

    /// Returns whether a client that waits for whole answers sent a request after the head of the response in progress.
    fn next_was_sent(&self, at: Timestamp) -> bool {
        self.responded
            .zip(self.pairing.next_in_turn())
            .is_some_and(|(responded, next)| responded < next && next <= at)
    }

    /// Returns whether the request whose body is coming had a final answer.
    fn was_answered(&self) -> bool {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        self.receiving
            .is_some_and(|ordinal| awaited != Some(ordinal) && !self.pairing.contains(ordinal))
    }

    /// Returns whether that answer may be lost.
    fn may_have_been_answered(&self, requests: Direction) -> bool {
        self.pairing.lost_responses_until().is_some() || self.directions.of(requests.other()).decoder.is_out_of_step()
    }
}

/// Returns whether a request waits for 100 Continue before its body, which is not itself HTTP messages.
pub(super) fn expects_continue(fields: &Fields) -> bool {
    let continues = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
    fields.values("expect").any(|value| continues(value.expose())) && !carries_http(fields)
}

/// Returns whether content may be HTTP messages by its type (RFC 9112 section 10).
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
