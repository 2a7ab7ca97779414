//! Both directions of an HTTP/1 connection, paired.
//!
//! In: contiguous bytes of either direction, holes, and the caller's word on time and ends. Out: exchanges, into the
//! [`Context`], and an [`Outcome`] when HTTP/1 is over. Refuses to frame a response before it is known what it answers:
//! until then its direction is blocked.

mod messages;
mod upgrade;
mod doubt;
mod refused;

use super::body::Skip;
use super::head::Versioned;
use super::pair::Pairing;
use super::{Decoder, Instead, Skipped, Step};
use crate::chunk::Mark;
use crate::context::{Arrivals, Context, Role};
use crate::direction::PerDirection;
use crate::outbox::response_head_bytes;
use crate::progress::{Ending, Progress};
use crate::{Chunk, Direction, Ended, Exchange, Fields, Gap, ResponseHead, Side, Timestamp};

/// An HTTP/1 connection.
#[derive(Debug)]
pub(crate) struct Dialogue {
    directions: PerDirection<DirectionState>,
    pairing: Pairing,
    /// The exchange whose response is coming.
    progress: Option<Progress>,
    /// A response head for which no request has been found yet.
    waiting: Option<Waiting>,
    /// The request whose body is coming, by its ordinal.
    receiving: Option<u64>,
    /// Whether that request asked for an interim response before its body.
    expects: bool,
    /// When the head of the response whose body is coming had come, where the next head may come in place of that body.
    responded: Option<Timestamp>,
    /// A request that may turn the connection into a tunnel, by its ordinal: behind it nothing is decoded until it
    /// is answered.
    tunnel: Option<u64>,
    outcome: Option<Outcome>,
}

/// What an HTTP/1 connection turned into.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A tunnel: nothing behind it is decoded.
    Opaque,
    /// HTTP/2, in which this exchange goes on as stream 1 (RFC 7540 section 3.2).
    Http2(Box<Exchange>),
}

#[derive(Debug)]
struct DirectionState {
    decoder: Decoder,
    last_at: Timestamp,
}

#[derive(Debug)]
struct Waiting {
    response: Versioned<ResponseHead>,
    mark: Mark,
    at: Timestamp,
}

impl Dialogue {
    /// Begins where `found` carries a start line next, which showed the traced process to be on `side`.
    ///
    /// `lost` says until when bytes of each direction were passed over before, `begins` whether the connection begins with
    /// its next byte.
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
                None if *begins.of(direction) => Step::Begins,
                _ if direction == found => Step::Found,
                None => Step::Unknown,
                Some(_) => Step::Out,
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
            waiting: None,
            receiving: None,
            expects: false,
            responded: None,
            tunnel: None,
            outcome: None,
        }
    }

    /// Reads on in a direction; false when `chunk` is used up or must wait.
    pub(crate) fn read(&mut self, direction: Direction, chunk: &mut Chunk<'_>, context: &mut Context) -> bool {
        let at = chunk.at;
        if chunk.call_start && self.directions.of(direction).decoder.awaits_body() {
            self.doubt_body(direction, at);
        }
        let state = self.directions.of_mut(direction);
        state.last_at = at;
        let event = state.decoder.read(chunk, &context.settings.limits);
        self.take_event(direction, event, at, context)
    }

    /// Returns whether a direction must wait for the other one.
    pub(crate) fn is_blocked(&self, direction: Direction) -> bool {
        let decoder = &self.directions.of(direction).decoder;
        match decoder.role() {
            Role::Responses => self.waiting.is_some(),
            Role::Requests => self.tunnel.is_some() && decoder.is_between_messages(),
        }
    }

    /// Steps over a gap.
    pub(crate) fn skip_gap(&mut self, gap: &Gap, context: &mut Context) {
        let state = self.directions.of_mut(gap.direction);
        if state.decoder.role() == Role::Requests && self.expects {
            // The body may not come, and this be a part of the next head.
            state.decoder.doubt_that_body_comes(Instead::Open);
        }
        let skipped = state.decoder.skip_gap(gap.bytes());
        match (state.decoder.role(), skipped) {
            (Role::Requests, Skipped::Heads) => self.pairing.lose_requests(),
            (Role::Requests, Skipped::Body(skip)) => self.skip_request_body(skip),
            (Role::Responses, Skipped::Heads) => self.lose_response_head(gap.at, context),
            (Role::Responses, Skipped::Body(skip)) => self.skip_response_body(skip, gap, context),
        }
    }

    /// Returns whether something waits that only settling can end.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.waiting.is_some()
    }

    /// Finds what the waiting response answers, and goes on with it; false when that cannot be told yet.
    pub(crate) fn assign(&mut self, arrivals: Arrivals, context: &mut Context) -> bool {
        self.assign_waiting(arrivals, context)
    }

    /// Puts out the exchange in progress although it goes on.
    pub(crate) fn release(&mut self, context: &mut Context) {
        if self.responds_with_http() {
            self.responded = None;
        }
        if let Some(progress) = &mut self.progress {
            progress.release(context);
        }
    }

    /// Returns when that is due.
    pub(crate) fn release_at(&self, hold_ns: u64) -> Option<Timestamp> {
        self.progress.as_ref()?.release_at(hold_ns)
    }

    /// Takes what the connection turned into, once it is no longer HTTP/1.
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// Puts out what is in progress when the connection, or its observation, has ended.
    pub(crate) fn end(&mut self, now: Timestamp, ended: Option<Ended>, context: &mut Context) {
        let [requests, responses] = context.request_direction();
        if self.directions.of(requests).decoder.is_undecided() {
            self.lose_request_body();
        }
        let decoder = &self.directions.of(responses).decoder;
        let (to_the_end, undecided) = (decoder.ends_with_connection(), decoder.is_undecided());
        if let Some(mut progress) = self.progress.take() {
            if undecided {
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
        // What was passed over may have been the answers, and not the connection's end what they lack.
        let lost = self.directions.of(responses).decoder.is_out_of_step();
        let until = self.pairing.lost_responses_until();
        while let Some(exchange) = self.pairing.pop() {
            let lost = lost || until.is_some_and(|until| exchange.began <= until);
            let ended = ended.map(|ended| if lost { Ended::Lost } else { ended });
            context.put_out(exchange, ended);
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let waiting = self
            .waiting
            .as_ref()
            .map_or(0, |waiting| response_head_bytes(&waiting.response.head));
        self.directions
            .all()
            .map(|state| state.decoder.held_bytes())
            .iter()
            .sum::<usize>()
            + self.pairing.held_bytes()
            + self.progress.as_ref().map_or(0, Progress::held_bytes)
            + waiting
    }

    fn put_out_pending(&mut self, ended: Option<Ended>, context: &mut Context) {
        while let Some(exchange) = self.pairing.pop() {
            context.put_out(exchange, ended);
        }
    }

    fn skip_request_body(&mut self, skip: Skip) {
        match skip {
            Skip::Content(count) | Skip::Rest(count) => self.add_request_content(count),
            Skip::Uncounted => self.lose_request_body(),
            Skip::Beyond(count) => {
                self.add_request_content(count);
                self.pairing.lose_requests();
            }
            Skip::Unknown => {
                self.lose_request_body();
                self.pairing.lose_requests();
            }
        }
    }

    fn skip_response_body(&mut self, skip: Skip, gap: &Gap, context: &mut Context) {
        let Some(mut progress) = self.progress.take() else {
            return;
        };
        match skip {
            Skip::Content(count) | Skip::Rest(count) | Skip::Beyond(count) => progress.add_content(count),
            Skip::Uncounted | Skip::Unknown => progress.lose_body(),
        }
        if matches!(skip, Skip::Content(_) | Skip::Uncounted) {
            self.progress = Some(progress);
            return;
        }
        let last_at = self.directions.of(gap.direction).last_at;
        let gap_ended_at = gap.ended_at(last_at);
        let ending = match (skip, gap_ended_at) {
            (Skip::Rest(_) | Skip::Beyond(_), Some(at)) => Ending::seen(Ended::Complete, at, Fields::default()),
            (_, _) => Ending::unseen(last_at),
        };
        progress.end(ending, context);
        if !matches!(skip, Skip::Rest(_)) {
            // Responses in what that call moved are lost, and none behind it.
            self.pairing.lose_responses(gap_ended_at);
        }
    }

    /// A response that was lost may have been a 1xx one, so its request waits on.
    fn lose_response_head(&mut self, until: Option<Timestamp>, context: &mut Context) {
        self.pairing.lose_responses(until);
        match self.progress.take() {
            Some(Progress::Within(exchange)) if exchange.request.is_some() => self.pairing.put_back(exchange),
            Some(progress) => {
                self.pairing.lose_first();
                let at = progress.release_at(0).unwrap_or_default();
                progress.end(Ending::unseen(at), context);
            }
            None => {}
        }
    }
}
