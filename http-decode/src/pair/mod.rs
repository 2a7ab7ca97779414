//! Which request a response answers.
//!
//! In: requests in order, responses in order, and word of losses. Out: for each response its request, or none.
//! Responses answer in the order of the requests (RFC 9112 section 9.3.2); while nothing is lost that alone decides.
//!
//! After a loss the count is off, and times help: a response cannot answer a request that came after it. A client that
//! was never seen to send a request before the last one was answered is taken not to do so, hence its response answers
//! the last request before it. For a client that pipelines only what is certain is paired. Where more than one request
//! could be meant, both come out as halves: a wrong exchange is worse than a missing one.

use std::collections::VecDeque;

use crate::limits::Limits;
use crate::outbox::exchange_bytes;
use crate::{Exchange, Timestamp};

/// Requests that wait for their responses.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    pending: VecDeque<Pending>,
    bytes: usize,
    /// Whether requests may have been lost behind the last one.
    requests_lost: bool,
    /// Whether responses may have been lost that answer the first ones.
    responses_lost: bool,
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

/// Whether bytes may still arrive that were captured before now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arrivals {
    /// They may.
    Open,
    /// The caller has promised that they will not.
    Settled,
}

impl Pairing {
    /// Adds a request; false when that hits a limit.
    pub(crate) fn push(&mut self, exchange: Box<Exchange>, limits: &Limits) -> bool {
        let bytes = exchange_bytes(&exchange);
        self.bytes += bytes;
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

    /// Notes that responses may have been lost before the next one.
    pub(crate) fn lose_responses(&mut self) {
        self.responses_lost = true;
    }

    /// Finds what a response that began at `began` answers.
    pub(crate) fn assign(&mut self, began: Timestamp, arrivals: Arrivals) -> Assignment {
        let doubt = self
            .pending
            .front()
            .map_or(self.requests_lost, |first| self.responses_lost || first.after_loss);
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

    /// Finds a request by the ordinal it was given, if it is the last one.
    pub(crate) fn last_mut(&mut self, ordinal: u64) -> Option<&mut Exchange> {
        let last = self
            .pending
            .back_mut()
            .filter(|last| last.exchange.ordinal == ordinal)?;
        Some(&mut last.exchange)
    }

    /// Tells whether a request waits for its response.
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

    /// Counts the memory in use.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    fn assign_in_turn(&mut self, began: Timestamp) -> Assignment {
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
        let lost_before = self.pending.iter().take(candidates).any(|pending| pending.after_loss);
        let lost_behind = self
            .pending
            .get(candidates)
            .map_or(self.requests_lost, |next| next.after_loss);
        // Responses that are all there answer in turn: two requests before the next one were sent without waiting.
        self.pipelined |= candidates > 1 && !self.responses_lost;
        match (self.pipelined, self.responses_lost && lost_behind) {
            (false, false) => self.assign_last_of(candidates),
            (true, _) if candidates == 1 && !lost_before && !lost_behind => self.assign_last_of(candidates),
            (true, _) => self.give_up(1),
            (false, true) => {
                self.responses_lost = false;
                self.give_up(candidates)
            }
        }
    }

    fn assign_last_of(&mut self, candidates: usize) -> Assignment {
        let mut unanswered = self.take(candidates);
        let answers = unanswered.pop().map_or(Answers::Unseen, Answers::Request);
        self.responses_lost = false;
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

#[cfg(test)]
mod tests;
