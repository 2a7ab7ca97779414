//! What is kept of an open exchange, from the head of its request on.

use super::{
    digest::{Digest, Digests},
    ended::One,
};
use crate::{correlate::Observed, limits::MAX_CANDIDATES};

/// An exchange that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    /// The id of the exchange in lines of output.
    pub(super) id: String,
    /// When its first byte came, and the end of the head of its request.
    pub(super) began_ns: u64,
    pub(super) head_ns: u64,
    pub(super) thread: u32,
    pub(super) digests: Digests,
    /// Its method and path, if they are known.
    pub(super) target: Option<Digest>,
    /// The exchange and when it came, until it is emitted.
    pub(super) whole: Option<(Box<Observed>, u64)>,
    /// Whether the exchange has come, emitted or not.
    pub(super) seen: bool,
    /// Whether an upstream request may belong to it whose place in the order of heads shows nothing.
    pub(super) contested: bool,
    /// When the exchange ended.
    pub(super) ended_ns: Option<u64>,
}

impl Entry {
    /// Returns whether a request that began at `at_ns` may have been made because of this one.
    pub(super) fn is_open_at(&self, at_ns: u64) -> bool {
        self.head_ns <= at_ns && self.ended_ns.is_none_or(|ended_ns| ended_ns >= at_ns)
    }

    /// Returns what is remembered of the exchange once it is over, if it has ended.
    pub(super) fn as_ended(&self, serial: u64) -> Option<One> {
        Some(One {
            serial,
            id: self.id.clone(),
            ended_ns: self.ended_ns?,
        })
    }

    /// Returns whether the exchange came this long before a time.
    pub(super) fn has_waited(&self, wait_ns: u64, at_ns: u64) -> bool {
        let came_ns = self.whole.as_ref().map(|(_, came_ns)| *came_ns);
        came_ns.is_some_and(|came_ns| came_ns.saturating_add(wait_ns) <= at_ns)
    }

    /// Returns whether the exchange has come and waits to be emitted.
    pub(super) const fn waits(&self) -> bool {
        self.whole.is_some()
    }
}

/// An upstream exchange that is kept.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) entry: Entry,
    /// Whether its connection had been used before, if that is known.
    pub(super) reused: Option<bool>,
    pub(super) candidates: Candidates,
    pub(super) turn: Turn,
    pub(super) verdict: Verdict,
}

/// The downstream exchanges that an upstream exchange may belong to, by their serial numbers.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Those that were open when it began, up to a bound.
    pub(super) open: Vec<u64>,
    /// Those of them that have, or may have, the same method and path.
    pub(super) same: Vec<u64>,
    /// Whether there were more.
    pub(super) more: bool,
    /// Whether others were open that were not seen.
    pub(super) unseen: Unseen,
    /// Whether upstream requests may have been made for them that were not seen.
    pub(super) unseen_asked: bool,
    /// The only one with its request id of those that had ended a short time before.
    pub(super) ended: Option<One>,
}

/// Whether downstream exchanges were open that were not seen.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Unseen {
    /// None was.
    #[default]
    None,
    /// Some may have been.
    Possible,
    /// A response has shown that one was.
    Shown,
}

impl Candidates {
    /// Adds a downstream exchange: whether it may have the same method and path, and whether it has the same id. Those with
    /// the same id have room of their own.
    pub(super) fn add(&mut self, serial: u64, same: bool, same_id: bool) {
        let room = if same_id { 2 * MAX_CANDIDATES } else { MAX_CANDIDATES };
        self.more |= self.open.len() >= MAX_CANDIDATES;
        if self.open.len() >= room {
            return;
        }
        self.open.push(serial);
        if same {
            self.same.push(serial);
        }
    }

    /// Returns the only one that was open.
    pub(super) fn sole(&self) -> Option<u64> {
        only(&self.open).filter(|_| !self.more)
    }

    /// Returns the only one with the same method and path.
    pub(super) fn sole_same(&self) -> Option<u64> {
        only(&self.same).filter(|_| !self.more && self.unseen == Unseen::None)
    }
}

/// What the order of heads on the thread shows: whether the upstream request came right after a downstream one, and the
/// downstream response right after the upstream one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Turn {
    /// It shows nothing.
    #[default]
    None,
    /// The request came right after the one of this exchange, which is not answered yet.
    Asked(u64),
    /// So did the response.
    Answered(u64),
}

/// What an upstream exchange belongs to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It is not decided yet.
    #[default]
    Open,
    /// It belongs to this downstream exchange, unless a response shows a request that was not seen before it has waited.
    Awaited(u64, super::How),
    /// It belongs to this downstream exchange.
    Joined(u64, super::How),
    /// It may belong to any of those.
    Ambiguous(Vec<u64>),
}

/// Returns the only element.
fn only(serials: &[u64]) -> Option<u64> {
    match serials {
        [one] => Some(*one),
        _ => None,
    }
}
