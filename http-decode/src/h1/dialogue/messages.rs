//! What each event of a direction does to the exchanges.
//!
//! In: events of the decoders. Out: requests to the pairing, responses to the exchange in progress, word to the outbox.
//! Refuses to frame a response before it is known what it answers.

use super::doubt::expects_continue;
use super::upgrade::{Offered, may_tunnel};
use super::{Dialogue, Waiting};
use crate::chunk::Mark;
use crate::context::{Arrivals, Context, Role};
use crate::h1::body::Body;
use crate::h1::head::{Known, Versioned};
use crate::h1::pair::Answers;
use crate::h1::{Decoder, Event, Part, Passed};
use crate::progress::{Ending, Progress};
use crate::{Direction, Ended, Fields, Reason, Request, RequestHead, ResponseHead, Timestamp};

impl Dialogue {
    /// Takes one event of a direction, which came with bytes captured at `at`; false if there is none.
    ///
    /// Takes it as the decoder returns it: an event holds a head, and unwrapping it first would copy that once more.
    pub(super) fn take_event(
        &mut self,
        direction: Direction,
        event: Option<Event>,
        at: Timestamp,
        context: &mut Context,
    ) -> bool {
        let role = self.directions.of(direction).decoder.role();
        match event {
            None => return false,
            Some(Event::Found(passed)) => context.counters.resynchronised += u64::from(passed == Passed::Some),
            Some(Event::Request(request, mark)) => self.begin_request(direction, request, mark, context),
            Some(Event::Refused(head, mark)) => self.begin_refused(direction, head, mark, context),
            Some(Event::Response(response, mark)) => {
                self.end_overtaken(mark.at, context);
                self.waiting = Some(Waiting { response, mark, at });
                self.assign_waiting(Arrivals::Open, context);
            }
            Some(Event::Content(count)) => self.add_content(role, count),
            Some(Event::End(count, trailers)) => {
                self.add_content(role, count);
                match role {
                    Role::Responses => self.end_response(Ending::seen(Ended::Complete, at, trailers), context),
                    Role::Requests => self.end_request(trailers),
                }
            }
            Some(Event::Discarded(bytes)) => self.discard(role, bytes, at, context),
            Some(Event::Failed(part, reason, position)) => {
                context.undecoded(direction, position, reason);
                self.fail(role, part, reason, at, context);
            }
        }
        true
    }

    /// Finds what the waiting response answers, and goes on with it; false when that cannot be told yet.
    pub(super) fn assign_waiting(&mut self, arrivals: Arrivals, context: &mut Context) -> bool {
        let Some(waiting) = self.waiting.take() else {
            return false;
        };
        if self.progress.is_none() {
            if arrivals == Arrivals::Settled {
                self.take_unfinished(&waiting, context);
            }
            let assignment = self.pairing.assign(waiting.mark.at, arrivals);
            for exchange in assignment.unanswered {
                context.put_out(exchange, Some(Ended::Lost));
            }
            let exchange = match assignment.answers {
                Answers::Request(exchange) if !self.may_answer(&exchange, &waiting) => {
                    self.pairing.lose_first();
                    self.waiting = Some(waiting);
                    return self.assign_waiting(arrivals, context);
                }
                Answers::Request(exchange) => exchange,
                Answers::Unseen => context.begin_exchange(waiting.mark, waiting.response.protocol),
                Answers::Unsure => {
                    context.counters.uncertain_pairs += 1;
                    context.begin_exchange(waiting.mark, waiting.response.protocol)
                }
                Answers::Wait => {
                    self.waiting = Some(waiting);
                    return false;
                }
            };
            self.progress = Some(Progress::Within(exchange));
        }
        self.begin_response(waiting, context);
        true
    }

    /// Counts content of the request whose body is coming.
    pub(super) fn add_request_content(&mut self, count: u64) {
        if let Some(request) = self.receiving() {
            request.body_bytes = request.body_bytes.map(|bytes| bytes.saturating_add(count));
        }
    }

    /// Notes that the length of that body is uncertain.
    pub(super) fn lose_request_body(&mut self) {
        if let Some(request) = self.receiving() {
            request.body_bytes = None;
        }
    }

    fn begin_request(
        &mut self,
        direction: Direction,
        request: Versioned<RequestHead>,
        mark: Mark,
        context: &mut Context,
    ) {
        let mut exchange = context.begin_exchange(mark, request.protocol);
        context.counters.heads_cut += u64::from(request.is_cut);
        context.counters.malformed_heads += u64::from(request.head.malformed.is_some());
        let body = Body::of_request(&request);
        self.receiving = Some(exchange.ordinal);
        self.expects = request.has.any(Known::Expect) && expects_continue(&request.head.fields);
        self.tunnel = may_tunnel(&request).then_some(exchange.ordinal);
        let body_bytes = body.is_ok().then_some(0);
        exchange.request = Some(Request {
            head: request.head,
            body_bytes,
            trailers: Fields::default(),
        });
        let fits = self.pairing.push(exchange, &context.settings.limits);
        match body {
            // There is nothing to wait for, not even the next byte.
            Ok(Body::Length(0)) => {
                self.receiving = None;
                self.directions.of_mut(direction).decoder.expect_head();
            }
            Ok(body) => self.directions.of_mut(direction).decoder.begin_body(body),
            Err(reason) => {
                self.directions.of_mut(direction).decoder.lose_step();
                context.undecoded(direction, mark.position, reason);
                self.fail(Role::Requests, Part::Body, reason, mark.at, context);
            }
        }
        if !fits {
            context.undecoded(direction, mark.position, Reason::TooManyPending);
            self.give_up_pending(context);
        }
    }

    pub(super) fn give_up_pending(&mut self, context: &mut Context) {
        context.counters.pending_overflows += 1;
        self.put_out_pending(Some(Ended::Lost), context);
        self.tunnel = None;
        self.pairing.lose_requests();
    }

    fn receiving(&mut self) -> Option<&mut Request> {
        let ordinal = self.receiving?;
        match self.pairing.last_mut(ordinal) {
            Some(request) => Some(request),
            None => self.progress.as_mut()?.request_mut(ordinal),
        }
    }

    fn end_request(&mut self, trailers: Fields) {
        if let Some(ordinal) = self.receiving {
            self.pairing.charge_trailers(ordinal, trailers.held_bytes());
        }
        if let Some(request) = self.receiving() {
            request.trailers = trailers;
        }
        self.receiving = None;
    }

    /// Frames a response by RFC 9112 section 6.3, now that its request is known or known to be unseen.
    fn begin_response(&mut self, waiting: Waiting, context: &mut Context) {
        let Waiting { response, mark, at } = waiting;
        context.counters.heads_cut += u64::from(response.is_cut);
        context.counters.malformed_heads += u64::from(response.head.malformed.is_some());
        let method = match &self.progress {
            Some(Progress::Within(exchange)) => exchange.request.as_ref().map(|request| request.head.method.clone()),
            Some(Progress::Out(_)) | None => None,
        };
        let body = Body::of_response(&response);
        let status = response.head.status.unwrap_or_default();
        match (
            status,
            method.as_ref().map(|method| method.as_deref().unwrap_or_default()),
        ) {
            (101, _) if self.offered() == Offered::Nothing => self.add_informational(response.head, context),
            (101, _) | (200..=299, Some("CONNECT")) => self.upgrade(response.head, at, context),
            (100..=199, _) => self.add_informational(response.head, context),
            // Rule 1: these end with their head, whatever it says.
            (204 | 304, _) | (_, Some("HEAD")) => {
                self.begin_final(response.head, at, Ok(Body::Length(0)), mark, context);
            }
            (_, Some(_)) => self.begin_final(response.head, at, body, mark, context),
            (_, None) => {
                let doubtful = !matches!(body, Ok(Body::Length(0)));
                self.begin_final(response.head, at, body, mark, context);
                if doubtful {
                    self.responses(context).doubt_body();
                }
            }
        }
    }

    fn begin_final(
        &mut self,
        head: ResponseHead,
        at: Timestamp,
        body: Result<Body, Reason>,
        mark: Mark,
        context: &mut Context,
    ) {
        self.responded = Some(at);
        if let Some(progress) = &mut self.progress {
            progress.set_response(head, body.is_ok().then_some(0), at);
        }
        self.leave_tunnel();
        match body {
            // There is nothing to wait for, not even the next byte.
            Ok(Body::Length(0)) => {
                self.responses(context).expect_head();
                self.end_response(Ending::seen(Ended::Complete, at, Fields::default()), context);
            }
            Ok(body) => self.responses(context).begin_body(body),
            Err(reason) => {
                self.responses(context).lose_step();
                let [_, responses] = context.request_direction();
                context.undecoded(responses, mark.position, reason);
                self.fail(Role::Responses, Part::Body, reason, at, context);
            }
        }
    }

    fn add_informational(&mut self, head: ResponseHead, context: &mut Context) {
        if head.status == Some(100) {
            self.expect_body();
        }
        if let Some(progress) = &mut self.progress {
            progress.add_informational(head, context);
        }
        self.responses(context).expect_head();
    }

    fn add_content(&mut self, role: Role, count: u64) {
        match (role, &mut self.progress) {
            (Role::Requests, _) => self.add_request_content(count),
            (Role::Responses, Some(progress)) => progress.add_content(count),
            (Role::Responses, None) => {}
        }
    }

    fn responses(&mut self, context: &Context) -> &mut Decoder {
        let [_, responses] = context.request_direction();
        &mut self.directions.of_mut(responses).decoder
    }

    fn end_response(&mut self, ending: Ending, context: &mut Context) {
        if let Some(progress) = self.progress.take() {
            progress.end(ending, context);
        }
    }

    fn discard(&mut self, role: Role, bytes: u64, at: Timestamp, context: &mut Context) {
        context.counters.discarded_bytes += bytes;
        match role {
            Role::Requests => self.pairing.lose_requests(),
            Role::Responses => self.pairing.lose_responses(Some(at)),
        }
    }

    fn fail(&mut self, role: Role, part: Part, reason: Reason, at: Timestamp, context: &mut Context) {
        match reason {
            Reason::HeadTooLarge => context.counters.heads_too_large += 1,
            Reason::MalformedBody => context.counters.malformed_bodies += 1,
            Reason::MalformedHead
            | Reason::NotHttp
            | Reason::Unrecognised
            | Reason::Restarted
            | Reason::MalformedFrame
            | Reason::TooManyPending
            | Reason::UnknownSide => context.counters.malformed_heads += 1,
        }
        match (role, part) {
            (Role::Responses, Part::Head) => self.lose_response_head(Some(at), context),
            (Role::Responses, Part::Body) => {
                self.pairing.lose_responses(Some(at));
                if let Some(progress) = &mut self.progress {
                    progress.lose_body();
                }
                self.end_response(Ending::unseen(at), context);
            }
            (Role::Requests, Part::Head) => self.pairing.lose_requests(),
            (Role::Requests, Part::Body) => {
                self.lose_request_body();
                self.pairing.lose_requests();
            }
        }
    }
}
