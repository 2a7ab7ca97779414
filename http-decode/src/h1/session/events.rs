//! Handling the events of the decoders: requests go to the pairing, responses to the exchange in progress.

use super::omitted_body::expects_continue;
use super::upgrade::{Offered, may_tunnel};
use super::{Session, UnpairedResponse};
use crate::chunk::Mark;
use crate::context::{Arrivals, Context, Role};
use crate::h1::body::Body;
use crate::h1::decoder::{Decoder, Event, Part};
use crate::h1::head::ParsedHead;
use crate::h1::pair::Answers;
use crate::progress::{Ending, Progress};
use crate::{Direction, Ended, Fields, Reason, Request, RequestHead, ResponseHead, Timestamp};

impl Session {
    /// Handles an event of a direction, read from bytes that were captured at `at`; `false` if there is none.
    ///
    /// The event is passed as the decoder returns it: it holds a head, which unwrapping would copy once more.
    pub(super) fn handle_event(
        &mut self,
        direction: Direction,
        event: Option<Event>,
        at: Timestamp,
        context: &mut Context,
    ) -> bool {
        let role = self.directions.of(direction).decoder.role();
        match event {
            None => return false,
            Some(Event::StartLine { after_loss }) => context.counters.resynchronised += u64::from(after_loss),
            Some(Event::Request(request, mark)) => self.begin_request(direction, request, mark, at, context),
            Some(Event::Unparsable(head, mark)) => self.add_unparsable(direction, head, mark, context),
            Some(Event::Response(response, mark)) => {
                self.end_without_body(mark.at, context);
                self.unpaired = Some(UnpairedResponse { response, mark, at });
                self.pair_response(Arrivals::Pending, context);
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

    /// Finds the request of the unpaired response, and goes on with the response; `false` if the request is undecided.
    pub(crate) fn pair_response(&mut self, arrivals: Arrivals, context: &mut Context) -> bool {
        let Some(unpaired) = self.unpaired.take() else {
            return false;
        };
        if self.progress.is_none() {
            if arrivals == Arrivals::Settled {
                self.take_unfinished(&unpaired, context);
            }
            let assignment = self.pairing.assign(unpaired.mark.at, arrivals);
            for exchange in assignment.unanswered {
                context.emit(exchange, Some(Ended::Lost));
            }
            let exchange = match assignment.answers {
                Answers::Request(exchange) if !self.may_answer(&exchange, &unpaired) => {
                    self.pairing.lose_first();
                    self.unpaired = Some(unpaired);
                    return self.pair_response(arrivals, context);
                }
                Answers::Request(exchange) => exchange,
                Answers::Unseen => context.begin_exchange(unpaired.mark, unpaired.response.protocol),
                Answers::Ambiguous => {
                    context.counters.uncertain_pairs += 1;
                    context.begin_exchange(unpaired.mark, unpaired.response.protocol)
                }
                Answers::Wait => {
                    self.unpaired = Some(unpaired);
                    return false;
                }
            };
            self.progress = Some(Progress::Pending(exchange));
        }
        self.begin_response(unpaired, context);
        true
    }

    /// Adds content to the request in progress.
    pub(super) fn add_request_content(&mut self, count: u64) {
        if let Some(request) = self.receiving() {
            request.body_bytes = request.body_bytes.map(|bytes| bytes.saturating_add(count));
        }
    }

    /// Notes that the body length of the request in progress is uncertain.
    pub(super) fn lose_request_body(&mut self) {
        if let Some(request) = self.receiving() {
            request.body_bytes = None;
        }
    }

    fn begin_request(
        &mut self,
        direction: Direction,
        request: ParsedHead<RequestHead>,
        mark: Mark,
        at: Timestamp,
        context: &mut Context,
    ) {
        let mut exchange = context.begin_exchange(mark, request.protocol);
        context.counters.heads_cut += u64::from(request.is_cut);
        context.counters.malformed_heads += u64::from(request.head.malformed.is_some());
        let body = Body::of_request(&request);
        self.receiving = Some(exchange.ordinal);
        self.expects_continue = expects_continue(&request.head.fields);
        self.tunnel = may_tunnel(&request).then_some(exchange.ordinal);
        let body_bytes = body.is_ok().then_some(0);
        exchange.request = Some(Request {
            head: request.head,
            body_bytes,
            trailers: Fields::default(),
        });
        context.note_request(&exchange, at);
        let fits = self.pairing.push(exchange, &context.settings.limits);
        match body {
            // The request ends here, without waiting for the next byte.
            Ok(Body::Length(0)) => {
                self.receiving = None;
                self.directions.of_mut(direction).decoder.expect_head();
            }
            Ok(body) => self.directions.of_mut(direction).decoder.begin_body(body),
            Err(reason) => {
                self.directions.of_mut(direction).decoder.lose_sync();
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
        self.emit_pending(Some(Ended::Lost), context);
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

    /// Frames a response (RFC 9112 section 6.3), now that its request is known, or known to be unseen.
    fn begin_response(&mut self, unpaired: UnpairedResponse, context: &mut Context) {
        let UnpairedResponse { response, mark, at } = unpaired;
        context.counters.heads_cut += u64::from(response.is_cut);
        context.counters.malformed_heads += u64::from(response.head.malformed.is_some());
        let method = match &self.progress {
            Some(Progress::Pending(exchange)) => exchange.request.as_ref().map(|request| request.head.method.clone()),
            Some(Progress::Emitted(..)) | None => None,
        };
        let body = Body::of_response(&response);
        let status = response.head.status.unwrap_or_default();
        if let Some(progress) = self.progress.as_ref().filter(|_| !matches!(status, 100 | 102..=199)) {
            context.note_response(progress.ordinal(), at, mark.origin);
        }
        match (
            status,
            method.as_ref().map(|method| method.as_deref().unwrap_or_default()),
        ) {
            (101, _) if self.offered() == Offered::Nothing => self.add_informational(response.head, context),
            (101, _) | (200..=299, Some("CONNECT")) => self.upgrade(response.head, at, context),
            (100..=199, _) => self.add_informational(response.head, context),
            // Rule 1: these have no body, whatever the head says.
            (204 | 304, _) | (_, Some("HEAD")) => {
                self.begin_final(response.head, at, Ok(Body::Length(0)), mark, context);
            }
            (_, Some(_)) => self.begin_final(response.head, at, body, mark, context),
            (_, None) => {
                let may_have_body = !matches!(body, Ok(Body::Length(0)));
                self.begin_final(response.head, at, body, mark, context);
                if may_have_body {
                    self.responses(context).note_unknown_method();
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
        self.final_head_at = Some(at);
        if let Some(progress) = &mut self.progress {
            progress.set_response(head, body.is_ok().then_some(0), at);
        }
        self.rule_out_tunnel();
        match body {
            // The response ends here, without waiting for the next byte.
            Ok(Body::Length(0)) => {
                self.responses(context).expect_head();
                self.end_response(Ending::seen(Ended::Complete, at, Fields::default()), context);
            }
            Ok(body) => self.responses(context).begin_body(body),
            Err(reason) => {
                self.responses(context).lose_sync();
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
