//! Both directions of an HTTP/1 connection, paired into exchanges.
//!
//! A response is framed by the method of its request, so its direction is blocked until that request is found. A connection
//! may turn into a tunnel or into HTTP/2; the [`Outcome`] says so.

mod events;
mod upgrade;
mod omitted_body;
mod unparsable;

use super::body::BodyGap;
use super::body_or_head::IfHead;
use super::decoder::{Decoder, Event, GapEffect, Sync};
use super::head::ParsedHead;
use super::pair::Pairing;
use crate::chunk::Mark;
use crate::context::{Context, Role};
use crate::direction::PerDirection;
use crate::progress::{Ending, Progress};
use crate::queue::response_head_bytes;
use crate::server_events::last_taken;
use crate::{ActiveRequest, Chunk, Direction, Ended, Exchange, Fields, Gap, ResponseHead, Side, Timestamp};

/// An HTTP/1 connection.
#[derive(Debug)]
pub(crate) struct Session {
    directions: PerDirection<DirectionState>,
    pairing: Pairing,
    /// The exchange whose response is in progress.
    progress: Option<Progress>,
    /// A response head whose request is not found yet.
    unpaired: Option<UnpairedResponse>,
    /// The ordinal of the request in progress.
    receiving: Option<u64>,
    /// Whether the client may wait for 100 Continue before it sends the body of that request.
    expects_continue: bool,
    /// When the last final response head arrived. A later request means that the client has the whole response.
    final_head_at: Option<Timestamp>,
    /// The ordinal of a request that may turn the connection into a tunnel: nothing behind it is decoded until it is
    /// answered.
    tunnel: Option<u64>,
    outcome: Option<Outcome>,
}

/// What the connection turned into.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A tunnel, of which nothing is decoded.
    Opaque,
    /// HTTP/2, where this exchange continues on stream 1 (RFC 7540 section 3.2).
    Http2(Box<Exchange>),
}

/// One direction.
#[derive(Debug)]
struct DirectionState {
    decoder: Decoder,
    last_at: Timestamp,
}

/// A response head whose request is not found yet.
#[derive(Debug)]
struct UnpairedResponse {
    response: ParsedHead<ResponseHead>,
    mark: Mark,
    at: Timestamp,
}

impl Session {
    /// Begins at a start line in direction `found`, which showed that the traced process is on `side`.
    ///
    /// `lost` is the time up to which bytes of each direction were lost, if any were; `begins` tells whether the next byte
    /// of a direction is the first of the connection.
    pub(crate) fn new(
        side: Side,
        found: Direction,
        lost: &PerDirection<Option<Timestamp>>,
        begins: &PerDirection<bool>,
    ) -> Self {
        let mut pairing = Pairing::default();
        let directions = PerDirection::new(|direction| {
            let (role, lost) = (Role::of(direction, side), *lost.of(direction));
            match (role, lost) {
                (Role::Requests, Some(_)) => pairing.lose_requests(),
                (Role::Responses, Some(until)) => pairing.lose_responses(Some(until)),
                (_, None) => {}
            }
            let step = match lost {
                None if *begins.of(direction) => Sync::ConnectionStart,
                _ if direction == found => Sync::Head,
                None => Sync::Unknown,
                Some(_) => Sync::Lost,
            };
            DirectionState {
                decoder: Decoder::new(role, step),
                last_at: Timestamp::default(),
            }
        });
        Self {
            directions,
            pairing,
            progress: None,
            unpaired: None,
            receiving: None,
            expects_continue: false,
            final_head_at: None,
            tunnel: None,
            outcome: None,
        }
    }

    /// Reads one event of a direction; `false` when `chunk` is used up or must wait.
    pub(crate) fn read(&mut self, direction: Direction, chunk: &mut Chunk<'_>, context: &mut Context) -> bool {
        let at = chunk.at;
        if chunk.call_start && self.directions.of(direction).decoder.awaits_body() {
            self.check_for_omitted_body(direction, at);
        }
        let state = self.directions.of_mut(direction);
        state.last_at = at;
        let before = chunk.bytes;
        let event = state.decoder.read(chunk, &context.settings.limits);
        if let Some(Event::Content(count @ 1..) | Event::End(count @ 1.., _)) = &event
            && state.decoder.role() == Role::Responses
            && let Some(progress) = &mut self.progress
            && !progress.read_events(last_taken(before, chunk.bytes, *count), at)
        {
            context.counters.events_given_up += 1;
        }
        self.handle_event(direction, event, at, context)
    }

    /// Returns whether a direction must wait for the other one.
    pub(crate) fn is_blocked(&self, direction: Direction) -> bool {
        let decoder = &self.directions.of(direction).decoder;
        match decoder.role() {
            Role::Responses => self.unpaired.is_some(),
            Role::Requests => self.tunnel.is_some() && decoder.is_between_messages(),
        }
    }

    /// Returns how many bytes of content of no interest follow in a direction; `None` if it is not within a body, or if its
    /// first server-sent event is awaited.
    pub(crate) fn content_left(&self, direction: Direction) -> Option<u64> {
        let decoder = &self.directions.of(direction).decoder;
        let awaits_event = self.progress.as_ref().is_some_and(Progress::awaits_event);
        match decoder.role() {
            Role::Responses if awaits_event => None,
            Role::Responses | Role::Requests => decoder.content_left(),
        }
    }

    /// Steps over a gap.
    pub(crate) fn skip_gap(&mut self, gap: &Gap, context: &mut Context) {
        let state = self.directions.of_mut(gap.direction);
        if state.decoder.role() == Role::Requests && self.expects_continue {
            // The body may be omitted, and the gap be in the next head.
            state.decoder.allow_head_instead_of_body(IfHead::Ambiguous);
        }
        let skipped = state.decoder.skip_gap(gap.bytes());
        match (state.decoder.role(), skipped) {
            (Role::Requests, GapEffect::Heads) => self.pairing.lose_requests(),
            (Role::Requests, GapEffect::Body(skip)) => self.skip_request_body(skip),
            (Role::Responses, GapEffect::Heads) => self.lose_response_head(gap.at, context),
            (Role::Responses, GapEffect::Body(skip)) => self.skip_response_body(skip, gap, context),
        }
    }

    /// Returns the requests that are active.
    pub(crate) fn active_requests(&self) -> impl Iterator<Item = ActiveRequest> {
        let answered = self.progress.as_ref().and_then(Progress::request);
        answered.into_iter().chain(self.pairing.active_requests())
    }

    /// Returns whether a response waits that only settling lets through.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unpaired.is_some()
    }

    /// Emits the exchange in progress, which goes on.
    pub(crate) fn release(&mut self, context: &mut Context) {
        if self.responds_with_http() {
            self.final_head_at = None;
        }
        if let Some(progress) = &mut self.progress {
            progress.release(context);
        }
    }

    /// Returns when [`release`](Self::release) is due.
    pub(crate) fn release_at(&self, hold_ns: u64) -> Option<Timestamp> {
        self.progress.as_ref()?.release_at(hold_ns)
    }

    /// Takes what the connection turned into, once it did.
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// Emits what is in progress, at the end of the connection, or of its observation if `ended` is `None`.
    pub(crate) fn end(&mut self, now: Timestamp, ended: Option<Ended>, context: &mut Context) {
        let [requests, responses] = context.request_direction();
        if self.directions.of(requests).decoder.is_undecided() {
            self.lose_request_body();
        }
        let decoder = &self.directions.of(responses).decoder;
        let (to_the_end, is_undecided) = (decoder.ends_with_connection(), decoder.is_undecided());
        if let Some(mut progress) = self.progress.take() {
            if is_undecided {
                progress.lose_body();
            }
            match ended {
                None => progress.abandon(context),
                Some(ended) => {
                    // RFC 9112 section 6.3, rule 8: such a body ends where the connection does.
                    let complete = to_the_end && ended == Ended::Closed;
                    let ended = if complete { Ended::Complete } else { ended };
                    progress.end(Ending::seen(ended, now, Fields::default()), context);
                }
            }
        }
        // Their responses may be among the lost bytes, in which case it was not the end of the connection that left them unanswered.
        let lost = self.directions.of(responses).decoder.is_out_of_sync();
        let until = self.pairing.lost_responses_until();
        while let Some(exchange) = self.pairing.pop() {
            let lost = lost || until.is_some_and(|until| exchange.began <= until);
            let ended = ended.map(|ended| if lost { Ended::Lost } else { ended });
            context.emit(exchange, ended);
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let unpaired = self
            .unpaired
            .as_ref()
            .map_or(0, |unpaired| response_head_bytes(&unpaired.response.head));
        self.directions
            .all()
            .map(|state| state.decoder.held_bytes())
            .iter()
            .sum::<usize>()
            + self.pairing.held_bytes()
            + self.progress.as_ref().map_or(0, Progress::held_bytes)
            + unpaired
    }

    fn emit_pending(&mut self, ended: Option<Ended>, context: &mut Context) {
        while let Some(exchange) = self.pairing.pop() {
            context.emit(exchange, ended);
        }
    }

    fn skip_request_body(&mut self, skip: BodyGap) {
        match skip {
            BodyGap::Content(count) | BodyGap::RestOfContent(count) => self.add_request_content(count),
            BodyGap::UnknownContent => self.lose_request_body(),
            BodyGap::PastEnd(count) => {
                self.add_request_content(count);
                self.pairing.lose_requests();
            }
            BodyGap::MaybeFraming => {
                self.lose_request_body();
                self.pairing.lose_requests();
            }
        }
    }

    fn skip_response_body(&mut self, skip: BodyGap, gap: &Gap, context: &mut Context) {
        let Some(mut progress) = self.progress.take() else {
            return;
        };
        match skip {
            BodyGap::Content(count) | BodyGap::RestOfContent(count) | BodyGap::PastEnd(count) => {
                progress.add_content(count);
                progress.read_events(None, gap.at.unwrap_or_default());
            }
            BodyGap::UnknownContent | BodyGap::MaybeFraming => progress.lose_body(),
        }
        if matches!(skip, BodyGap::Content(_) | BodyGap::UnknownContent) {
            self.progress = Some(progress);
            return;
        }
        let last_at = self.directions.of(gap.direction).last_at;
        let gap_ended_at = gap.ended_at(last_at);
        let ending = match (skip, gap_ended_at) {
            (BodyGap::RestOfContent(_) | BodyGap::PastEnd(_), Some(at)) => {
                Ending::seen(Ended::Complete, at, Fields::default())
            }
            (_, _) => Ending::unseen(last_at),
        };
        progress.end(ending, context);
        if !matches!(skip, BodyGap::RestOfContent(_)) {
            // Responses in the bytes of that gap are lost, and none behind it.
            self.pairing.lose_responses(gap_ended_at);
        }
    }

    /// Notes that a response head was lost. It may have been a 1xx one, so its request stays unanswered.
    fn lose_response_head(&mut self, until: Option<Timestamp>, context: &mut Context) {
        self.pairing.lose_responses(until);
        match self.progress.take() {
            Some(Progress::Pending(exchange)) if exchange.request.is_some() => self.pairing.put_back(exchange),
            Some(progress) => {
                self.pairing.lose_first();
                let at = progress.release_at(0).unwrap_or_default();
                progress.end(Ending::unseen(at), context);
            }
            None => {}
        }
    }
}
