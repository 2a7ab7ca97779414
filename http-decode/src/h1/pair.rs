//! Which request a response answers.
//!
//! In: requests in order, responses in order, and word of losses. Out: for each response its request, or none.
//! Responses answer in the order of the requests (RFC 9112 section 9.3.2); while nothing is lost that alone decides.
//!
//! After a loss the count is off, and times help: a response cannot answer a request that came after it, nor a lost
//! one a request that came after the loss. A client that was never seen to pipeline is taken to wait for each answer.
//! Where another request could be meant all the same, even one that would be lost without a trace yet, both come out
//! as halves: a wrong exchange is worse than a missing one.

use std::collections::VecDeque;

use crate::Limits;
use crate::context::Arrivals;
use crate::outbox::exchange_bytes;
use crate::{Exchange, Request, Timestamp};

/// Requests that wait for their responses.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    pending: VecDeque<Pending>,
    bytes: usize,
    /// Whether requests may have been lost behind the last one.
    requests_lost: bool,
    /// Until when responses may have been lost, if any were.
    responses_lost: Option<Timestamp>,
    /// When the last request began.
    last_began: Option<Timestamp>,
    /// Whether a request was seen to be sent before the last one was answered.
    pipelined: bool,
}

#[derive(Debug)]
struct Pending {
    exchange: Box<Exchange>,
    /// Whether requests may have been lost just before it.
    after_loss: bool,
    bytes: usize,
}

/// What a response answers.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Answers {
    /// This request.
    Request(Box<Exchange>),
    /// A request that was not seen.
    Unseen,
    /// A request that cannot be told from others.
    Unsure,
    /// Not to be told yet: what has not arrived may decide it.
    Wait,
}

/// What a response answers, and the requests that will have no answer because of it.
#[derive(Debug, Eq, PartialEq)]
#[expect(clippy::vec_box, reason = "exchanges are boxed from their beginning to their output")]
pub(crate) struct Assignment {
    /// What it answers.
    pub(crate) answers: Answers,
    /// Requests whose responses were lost, or cannot be told from others.
    pub(crate) unanswered: Vec<Box<Exchange>>,
}

impl Pairing {
    /// Adds a request; false when that hits a limit.
    pub(crate) fn push(&mut self, exchange: Box<Exchange>, limits: &Limits) -> bool {
        let bytes = exchange_bytes(&exchange);
        self.bytes += bytes;
        // Both began in one call: the second one was not sent because the first one had been answered.
        self.pipelined |= self.last_began == Some(exchange.began);
        self.last_began = Some(exchange.began);
        let after_loss = std::mem::take(&mut self.requests_lost);
        self.pending.push_back(Pending {
            exchange,
            after_loss,
            bytes,
        });
        self.pending.len() <= limits.max_pending && self.bytes <= limits.max_pending_bytes
    }

    /// Puts back the first request: what seemed to answer it was lost before that was certain.
    pub(crate) fn put_back(&mut self, exchange: Box<Exchange>) {
        let bytes = exchange_bytes(&exchange);
        self.bytes += bytes;
        self.pending.push_front(Pending {
            exchange,
            after_loss: false,
            bytes,
        });
    }

    /// Notes that requests may have been lost behind the last one.
    pub(crate) fn lose_requests(&mut self) {
        self.requests_lost = true;
    }

    /// Notes that a request that is not here may be unanswered before the first one.
    pub(crate) fn lose_first(&mut self) {
        let next = self
            .pending
            .front_mut()
            .map_or(&mut self.requests_lost, |next| &mut next.after_loss);
        *next = true;
    }

    /// Notes that responses may have been lost before the next one, and until when if that is known.
    pub(crate) fn lose_responses(&mut self, until: Option<Timestamp>) {
        self.responses_lost = Some(until.unwrap_or(Timestamp(u64::MAX)));
    }

    /// Returns whether no request waits, and none may have been lost.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.requests_lost
    }

    /// Returns whether the first request that waits began before `at`.
    pub(crate) fn has_before(&self, at: Timestamp) -> bool {
        self.pending.front().is_some_and(|first| first.exchange.began < at)
    }

    /// Says until when responses may have been lost, if any were.
    pub(crate) fn lost_responses_until(&self) -> Option<Timestamp> {
        self.responses_lost
    }

    /// Returns when the first request began, if the client is not known to send requests before it has its answers.
    pub(crate) fn next_in_turn(&self) -> Option<Timestamp> {
        let first = self.pending.front().filter(|_| !self.pipelined)?;
        Some(first.exchange.began)
    }

    /// Finds what a response that began at `began` answers.
    pub(crate) fn assign(&mut self, began: Timestamp, arrivals: Arrivals) -> Assignment {
        self.responses_lost = self.responses_lost.map(|until| until.min(began));
        let doubt = self.pending.front().map_or(self.requests_lost, |first| {
            first.after_loss || self.responses_lost.is_some_and(|until| first.exchange.began <= until)
        });
        match (doubt, arrivals) {
            (false, _) if !self.pending.is_empty() => self.assign_in_turn(began),
            (_, Arrivals::Open) => Assignment {
                answers: Answers::Wait,
                unanswered: Vec::new(),
            },
            (false, Arrivals::Settled) => {
                // One unseen request may not be the only one.
                self.requests_lost = true;
                Assignment {
                    answers: Answers::Unseen,
                    unanswered: Vec::new(),
                }
            }
            (true, Arrivals::Settled) => self.assign_by_time(began),
        }
    }

    /// Finds the request of an exchange by its ordinal, if it is the last one.
    pub(crate) fn last_mut(&mut self, ordinal: u64) -> Option<&mut Request> {
        let last = self
            .pending
            .back_mut()
            .filter(|last| last.exchange.ordinal == ordinal)?;
        last.exchange.request.as_mut()
    }

    /// Charges the last request for trailers it was given.
    pub(crate) fn charge_trailers(&mut self, ordinal: u64, bytes: usize) {
        if let Some(last) = self.pending.back_mut().filter(|last| last.exchange.ordinal == ordinal) {
            last.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Returns whether a request waits for its response.
    pub(crate) fn contains(&self, ordinal: u64) -> bool {
        self.pending
            .iter()
            .rev()
            .any(|pending| pending.exchange.ordinal == ordinal)
    }

    /// Takes the first request out, unanswered.
    pub(crate) fn pop(&mut self) -> Option<Box<Exchange>> {
        let Pending {
            exchange,
            after_loss,
            bytes,
        } = self.pending.pop_front()?;
        self.bytes -= bytes;
        if after_loss {
            // What was lost before this request was lost before the next one.
            let next = self
                .pending
                .front_mut()
                .map_or(&mut self.requests_lost, |next| &mut next.after_loss);
            *next = true;
        }
        Some(exchange)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    fn assign_in_turn(&mut self, began: Timestamp) -> Assignment {
        self.responses_lost = None;
        let answers = self.pop().map_or(Answers::Unseen, Answers::Request);
        self.pipelined |= self.pending.front().is_some_and(|next| next.exchange.began < began);
        Assignment {
            answers,
            unanswered: Vec::new(),
        }
    }

    fn assign_by_time(&mut self, began: Timestamp) -> Assignment {
        let candidates = self
            .pending
            .iter()
            .take_while(|pending| pending.exchange.began <= began)
            .count();
        if candidates == 0 {
            return Assignment {
                answers: Answers::Unseen,
                unanswered: Vec::new(),
            };
        }
        let candidate = |index: usize| self.pending.get(index);
        let lost_before = self.pending.iter().take(candidates).any(|pending| pending.after_loss);
        // The loss of a request shows when the next one has come.
        let lost_behind = candidate(candidates).is_none_or(|next| next.after_loss);
        let answer_lost = self
            .responses_lost
            .is_some_and(|until| candidate(candidates - 1).is_some_and(|last| last.exchange.began <= until));
        // Responses that are all there answer in turn: two requests before the next one were sent without waiting.
        self.pipelined |= candidates > 1 && self.responses_lost.is_none();
        let sure = !self.pipelined || (candidates == 1 && !lost_before);
        if sure && !(answer_lost && lost_behind) {
            self.assign_last_of(candidates)
        } else if self.pipelined {
            // This response may have answered any request before it.
            self.responses_lost = Some(began);
            self.give_up(1)
        } else {
            self.responses_lost = None;
            self.give_up(candidates)
        }
    }

    fn assign_last_of(&mut self, candidates: usize) -> Assignment {
        let mut unanswered = self.take(candidates);
        let answers = unanswered.pop().map_or(Answers::Unseen, Answers::Request);
        self.responses_lost = None;
        Assignment { answers, unanswered }
    }

    fn give_up(&mut self, count: usize) -> Assignment {
        let lost_before = self.pending.iter().take(count).any(|pending| pending.after_loss);
        let unanswered = self.take(count);
        if lost_before && self.pipelined {
            let next = self
                .pending
                .front_mut()
                .map_or(&mut self.requests_lost, |next| &mut next.after_loss);
            *next = true;
        }
        Assignment {
            answers: Answers::Unsure,
            unanswered,
        }
    }

    /// Takes the first `count` requests out, and with them what was lost before them.
    #[expect(clippy::vec_box, reason = "exchanges are boxed from their beginning to their output")]
    fn take(&mut self, count: usize) -> Vec<Box<Exchange>> {
        let taken: Vec<Pending> = self.pending.drain(..count.min(self.pending.len())).collect();
        self.bytes -= taken.iter().map(|pending| pending.bytes).sum::<usize>();
        taken.into_iter().map(|pending| pending.exchange).collect()
    }
}
