//! What each event of a direction does to the exchanges.
//!
//! In: events of the decoders. Out: requests to the pairing, responses to the exchange in progress, word to the outbox.
//! Refuses to frame a response before it is known what it answers.

use super::{Connection, Phase, Waiting};
use crate::h1::body::Body;
use crate::h1::head::Versioned;
use crate::h1::{Decoder, Event, Part, Passed, Role};
use crate::pair::{Answers, Arrivals};
use crate::progress::{Ending, Progress};
use crate::stream::Mark;
use crate::{
    Direction, Ended, Exchange, Fields, Output, Protocol, Reason, Request, RequestHead, ResponseHead, Side, Timestamp,
};

impl Connection {
    /// Takes one event of a direction, which came with bytes captured at `at`.
    pub(super) fn take_event(&mut self, direction: Direction, event: Event, at: Timestamp) {
        match event {
            Event::Found(role, passed) => {
                self.counters.resynchronised += u64::from(passed == Passed::Some);
                self.found(direction, role);
            }
            Event::Http2(position) => {
                self.outbox.push(Output::Undecoded(direction, position, Reason::Http2));
                self.become_opaque();
            }
            Event::Request(request, mark) => self.begin_request(direction, request, mark),
            Event::Response(response, mark) => {
                self.waiting = Some(Waiting { response, mark, at });
                self.assign(Arrivals::Open);
            }
            Event::Content(count) => match self.half(direction).decoder.role() {
                Some(Role::Responses) => self.add_response_content(count),
                Some(Role::Requests) | None => self.add_request_content(count),
            },
            Event::End(trailers) => match self.half(direction).decoder.role() {
                Some(Role::Responses) => self.end_response(Ending::seen(Ended::Complete, at, trailers)),
                Some(Role::Requests) | None => self.end_request(trailers),
            },
            Event::Discarded(position, bytes) => self.discard(direction, position, bytes, at),
            Event::Failed(part, reason, position) => self.fail(direction, part, reason, position, at),
        }
    }

    /// Finds what the waiting response answers, and goes on with it; false when that cannot be told yet.
    pub(super) fn assign(&mut self, arrivals: Arrivals) -> bool {
        let Some(waiting) = self.waiting.take() else {
            return false;
        };
        if self.progress.is_none() {
            let assignment = self.pairing.assign(waiting.mark.at, arrivals);
            for exchange in assignment.unanswered {
                self.outbox
                    .push_exchange(exchange, Some(Ended::Lost), &mut self.counters);
            }
            let exchange = match assignment.answers {
                Answers::Request(exchange) => exchange,
                Answers::Unseen => self.begin_exchange(waiting.mark, waiting.response.protocol),
                Answers::Unsure => {
                    self.counters.uncertain_pairs += 1;
                    self.begin_exchange(waiting.mark, waiting.response.protocol)
                }
                Answers::Wait => {
                    self.waiting = Some(waiting);
                    return false;
                }
            };
            self.progress = Some(Progress::Within(exchange));
        }
        self.begin_response(waiting);
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

    fn found(&mut self, direction: Direction, role: Role) {
        let reads_requests = (direction == Direction::Read) == (role == Role::Requests);
        let (side, read, write) = if reads_requests {
            (Side::Server, Role::Requests, Role::Responses)
        } else {
            (Side::Client, Role::Responses, Role::Requests)
        };
        self.side = Some(side);
        for (half, role) in [(&mut self.read, read), (&mut self.write, write)] {
            half.decoder.set_role(role);
            match (role, half.lost_until.take()) {
                (Role::Requests, Some(_)) => self.pairing.lose_requests(),
                (Role::Responses, Some(until)) => self.pairing.lose_responses(Some(until)),
                (_, None) => {}
            }
        }
    }

    fn begin_exchange(&mut self, mark: Mark, protocol: Protocol) -> Box<Exchange> {
        self.ordinals += 1;
        Box::new(Exchange {
            ordinal: self.ordinals,
            protocol,
            stream: self.ordinals,
            side: self.side.unwrap_or(Side::Server),
            origin: mark.origin,
            request: None,
            informational: Vec::new(),
            response: None,
            began: mark.at,
            head_at: None,
            ended_at: None,
            ended: None,
        })
    }

    fn begin_request(&mut self, direction: Direction, request: Versioned<RequestHead>, mark: Mark) {
        let mut exchange = self.begin_exchange(mark, request.protocol);
        let body = Body::of_request(&request);
        self.receiving = Some(exchange.ordinal);
        self.tunnel = may_tunnel(&request.head).then_some(exchange.ordinal);
        let body_bytes = body.is_ok().then_some(0);
        exchange.request = Some(Request {
            head: request.head,
            body_bytes,
            trailers: Fields::default(),
        });
        let fits = self.pairing.push(exchange, &self.settings.limits);
        match body {
            Ok(body) => self.half_mut(direction).decoder.begin_body(body),
            Err(reason) => {
                self.half_mut(direction).decoder.lose_step();
                self.fail(direction, Part::Body, reason, mark.position, mark.at);
            }
        }
        if !fits {
            self.give_up_pending(direction, mark.position);
        }
    }

    fn give_up_pending(&mut self, direction: Direction, position: u64) {
        self.counters.pending_overflows += 1;
        self.outbox
            .push(Output::Undecoded(direction, position, Reason::TooManyPending));
        while let Some(exchange) = self.pairing.pop() {
            self.outbox
                .push_exchange(exchange, Some(Ended::Lost), &mut self.counters);
        }
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
    fn begin_response(&mut self, waiting: Waiting) {
        let Waiting { response, mark, at } = waiting;
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
            (101, _) | (200..=299, Some("CONNECT")) => self.upgrade(response.head, at),
            (100..=199, _) => self.add_informational(response.head),
            // Rule 1: these end with their head, whatever it says.
            (204 | 304, _) | (_, Some("HEAD")) => self.begin_final(response.head, at, Ok(Body::Length(0)), mark),
            (_, Some(_)) => self.begin_final(response.head, at, body, mark),
            (_, None) => {
                let doubtful = !matches!(body, Ok(Body::Length(0)));
                self.begin_final(response.head, at, body, mark);
                if doubtful {
                    self.responses().doubt_body();
                }
            }
        }
    }

    fn begin_final(&mut self, head: ResponseHead, at: Timestamp, body: Result<Body, Reason>, mark: Mark) {
        if let Some(progress) = &mut self.progress {
            progress.set_response(head, body.is_ok().then_some(0), at);
        }
        self.leave_tunnel();
        match body {
            // There is nothing to wait for, not even the next byte.
            Ok(Body::Length(0)) => {
                self.responses().expect_head();
                self.end_response(Ending::seen(Ended::Complete, at, Fields::default()));
            }
            Ok(body) => self.responses().begin_body(body),
            Err(reason) => {
                self.responses().lose_step();
                let [_, responses] = self.request_direction();
                self.fail(responses, Part::Body, reason, mark.position, at);
            }
        }
    }

    /// Decoding behind a request that might have made a tunnel goes on once it is known not to.
    fn leave_tunnel(&mut self) {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        if let Some(ordinal) = self.tunnel
            && awaited != Some(ordinal)
            && !self.pairing.contains(ordinal)
        {
            self.tunnel = None;
        }
    }

    fn add_informational(&mut self, head: ResponseHead) {
        let limits = self.settings.limits;
        let kept = self
            .progress
            .as_mut()
            .is_some_and(|progress| progress.add_informational(head, &limits));
        self.counters.informational_dropped += u64::from(!kept);
        self.responses().expect_head();
    }

    fn upgrade(&mut self, head: ResponseHead, at: Timestamp) {
        if let Some(mut progress) = self.progress.take() {
            progress.set_response(head, Some(0), at);
            progress.end(
                Ending::seen(Ended::Upgraded, at, Fields::default()),
                &mut self.outbox,
                &mut self.counters,
            );
        }
        self.become_opaque();
    }

    fn become_opaque(&mut self) {
        while let Some(exchange) = self.pairing.pop() {
            self.outbox
                .push_exchange(exchange, Some(Ended::Closed), &mut self.counters);
        }
        self.phase = match self.phase {
            Phase::Open | Phase::Opaque => Phase::Opaque,
            Phase::Ending(..) | Phase::Over => Phase::Over,
        };
        self.tunnel = None;
        self.clear();
    }

    fn add_response_content(&mut self, count: u64) {
        if let Some(progress) = &mut self.progress {
            progress.add_content(count);
        }
    }

    fn responses(&mut self) -> &mut Decoder {
        let [_, responses] = self.request_direction();
        &mut self.half_mut(responses).decoder
    }

    fn end_response(&mut self, ending: Ending) {
        if let Some(progress) = self.progress.take() {
            progress.end(ending, &mut self.outbox, &mut self.counters);
        }
    }

    fn discard(&mut self, direction: Direction, position: u64, bytes: u64, at: Timestamp) {
        self.counters.discarded_bytes += bytes;
        match self.half(direction).decoder.role() {
            Some(Role::Requests) => self.pairing.lose_requests(),
            Some(Role::Responses) => self.pairing.lose_responses(Some(at)),
            None => {
                self.half_mut(direction).lost_until = Some(at);
                self.unrecognised = self.unrecognised.saturating_add(bytes);
                if self.unrecognised == bytes {
                    self.unrecognised_from = Some((direction, position));
                }
                self.report_unrecognised(self.settings.limits.max_unrecognised_bytes);
            }
        }
    }

    fn fail(&mut self, direction: Direction, part: Part, reason: Reason, position: u64, at: Timestamp) {
        match reason {
            Reason::HeadTooLarge => self.counters.heads_too_large += 1,
            Reason::MalformedBody => self.counters.malformed_bodies += 1,
            Reason::MalformedHead | Reason::NotHttp | Reason::Http2 | Reason::TooManyPending => {
                self.counters.malformed_heads += 1;
            }
        }
        self.outbox.push(Output::Undecoded(direction, position, reason));
        match (self.half(direction).decoder.role(), part) {
            (Some(Role::Responses), Part::Head) => self.lose_response_head(Some(at)),
            (Some(Role::Responses), Part::Body) => {
                self.pairing.lose_responses(Some(at));
                if let Some(progress) = &mut self.progress {
                    progress.lose_body();
                }
                self.end_response(Ending::unseen(at));
            }
            (Some(Role::Requests) | None, Part::Head) => self.pairing.lose_requests(),
            (Some(Role::Requests) | None, Part::Body) => {
                self.lose_request_body();
                self.pairing.lose_requests();
            }
        }
    }
}

/// Tells whether what follows a request may not be HTTP: CONNECT, or an offer to upgrade (RFC 9110 section 7.8).
fn may_tunnel(head: &RequestHead) -> bool {
    head.method.as_deref() == Some("CONNECT") || head.fields.get("upgrade").is_some()
}
