//! Pairing: which request a response answers.
//!
//! Responses come in the order of the requests (RFC 9112 section 9.3.2). While nothing is lost, that alone decides.
//!
//! After a loss the order is not enough, and times decide: a response cannot answer a request that came after it, and a
//! lost response cannot answer a request that came after the loss. A client that was never seen to pipeline is assumed to
//! wait for each response. If a response may answer another request all the same, even a lost one, request and response are
//! emitted as halves: a wrong exchange is worse than a missing one.

use std::collections::VecDeque;

use crate::Limits;
use crate::context::Arrivals;
use crate::queue::exchange_bytes;
use crate::{ActiveRequest, Exchange, Request, Timestamp};

/// The unanswered requests, in order.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    pending: VecDeque<Pending>,
    bytes: usize,
    /// Whether requests may have been lost behind the last one.
    requests_lost: bool,
    /// The time up to which responses may have been lost, if any were.
    responses_lost: Option<Timestamp>,
    /// When the last request began.
    last_began: Option<Timestamp>,
    /// Whether the client was seen to send a request before the previous one was answered.
    pipelined: bool,
}

#[derive(Debug)]
struct Pending {
    exchange: Box<Exchange>,
    /// Whether requests may have been lost just before it.
    after_loss: bool,
    bytes: usize,
}

/// The request that a response answers.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Answers {
    /// This request.
    Request(Box<Exchange>),
    /// A request that was not seen.
    Unseen,
    /// More than one request may be the one.
    Ambiguous,
    /// Undecided: bytes that have not arrived may decide it.
    Wait,
}

/// The request that a response answers, and the requests that stay unanswered because of that.
#[derive(Debug, Eq, PartialEq)]
#[expect(clippy::vec_box, reason = "exchanges are boxed from their beginning to their output")]
pub(crate) struct Assignment {
    /// The request it answers.
    pub(crate) answers: Answers,
    /// Requests whose responses were lost or are ambiguous.
    pub(crate) unanswered: Vec<Box<Exchange>>,
}

impl Pairing {
    /// Adds a request; `false` if that exceeds a limit.
    pub(crate) fn push(&mut self, exchange: Box<Exchange>, limits: &Limits) -> bool {
        let bytes = exchange_bytes(&exchange);
        self.bytes += bytes;
        // Both requests are in one call, so the second was sent before the first was answered.
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

    /// Puts back the first request: the response that was lost may not have been its final response.
    pub(crate) fn put_back(&mut self, exchange: Box<Exchange>) {
        let bytes = exchange_bytes(&exchange);
        self.bytes += bytes;
        self.pending.push_front(Pending {
            exchange,
            after_loss: false,
            bytes,
        });
    }

    /// Returns the requests, all of which are active.
    pub(crate) fn active_requests(&self) -> impl Iterator<Item = ActiveRequest> {
        self.pending
            .iter()
            .filter_map(|pending| ActiveRequest::of(&pending.exchange))
    }

    /// Notes that requests may have been lost behind the last one.
    pub(crate) fn lose_requests(&mut self) {
        self.requests_lost = true;
    }

    /// Notes that an unanswered request before the first one may have been lost.
    pub(crate) fn lose_first(&mut self) {
        let next = self
            .pending
            .front_mut()
            .map_or(&mut self.requests_lost, |next| &mut next.after_loss);
        *next = true;
    }

    /// Notes that responses before the next one may have been lost, up to `until` if that is known.
    pub(crate) fn lose_responses(&mut self, until: Option<Timestamp>) {
        self.responses_lost = Some(until.unwrap_or(Timestamp(u64::MAX)));
    }

    /// Returns whether no request is unanswered, and none may have been lost.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.requests_lost
    }

    /// Returns whether the first unanswered request began before `at`.
    pub(crate) fn has_before(&self, at: Timestamp) -> bool {
        self.pending.front().is_some_and(|first| first.exchange.began < at)
    }

    /// Returns the time up to which responses may have been lost, if any were.
    pub(crate) fn lost_responses_until(&self) -> Option<Timestamp> {
        self.responses_lost
    }

    /// Returns when the first request began, if the client was never seen to pipeline.
    pub(crate) fn next_in_turn(&self) -> Option<Timestamp> {
        let first = self.pending.front().filter(|_| !self.pipelined)?;
        Some(first.exchange.began)
    }

    /// Finds the request that a response answers which began at `began`.
    pub(crate) fn assign(&mut self, began: Timestamp, arrivals: Arrivals) -> Assignment {
        self.responses_lost = self.responses_lost.map(|until| until.min(began));
        let may_be_lost = self.pending.front().map_or(self.requests_lost, |first| {
            first.after_loss || self.responses_lost.is_some_and(|until| first.exchange.began <= until)
        });
        match (may_be_lost, arrivals) {
            (false, _) if !self.pending.is_empty() => self.assign_in_turn(began),
            (_, Arrivals::Pending) => Assignment {
                answers: Answers::Wait,
                unanswered: Vec::new(),
            },
            (false, Arrivals::Settled) => {
                // Other requests may have been lost with this one.
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

    /// Adds the size of trailers to the memory of the last request.
    pub(crate) fn charge_trailers(&mut self, ordinal: u64, bytes: usize) {
        if let Some(last) = self.pending.back_mut().filter(|last| last.exchange.ordinal == ordinal) {
            last.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Returns whether a request is unanswered.
    pub(crate) fn contains(&self, ordinal: u64) -> bool {
        self.pending
            .iter()
            .rev()
            .any(|pending| pending.exchange.ordinal == ordinal)
    }

    /// Removes the first request.
    pub(crate) fn pop(&mut self) -> Option<Box<Exchange>> {
        let Pending {
            exchange,
            after_loss,
            bytes,
        } = self.pending.pop_front()?;
        self.bytes -= bytes;
        if after_loss {
            // What was lost before this request was also lost before the next one.
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
        // Whether a request behind the last candidate was lost is known only once the next request has arrived.
        let lost_behind = candidate(candidates).is_none_or(|next| next.after_loss);
        let answer_lost = self
            .responses_lost
            .is_some_and(|until| candidate(candidates - 1).is_some_and(|last| last.exchange.began <= until));
        // No response was lost, so two unanswered requests mean that the client did not wait for the first response.
        self.pipelined |= candidates > 1 && self.responses_lost.is_none();
        let sure = !self.pipelined || (candidates == 1 && !lost_before);
        if sure && !(answer_lost && lost_behind) {
            self.assign_last_of(candidates)
        } else if self.pipelined {
            // This response may answer any request before it.
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
            answers: Answers::Ambiguous,
            unanswered,
        }
    }

    /// Removes the first `count` requests, and with them what was lost before them.
    #[expect(clippy::vec_box, reason = "exchanges are boxed from their beginning to their output")]
    fn take(&mut self, count: usize) -> Vec<Box<Exchange>> {
        let taken: Vec<Pending> = self.pending.drain(..count.min(self.pending.len())).collect();
        self.bytes -= taken.iter().map(|pending| pending.bytes).sum::<usize>();
        taken.into_iter().map(|pending| pending.exchange).collect()
    }
}
