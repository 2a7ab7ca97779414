//! The rules: which downstream exchange an upstream exchange belongs to.

use std::collections::BTreeMap;

use super::{
    How,
    entry::{Asking, Entry, Turn, Unseen, Verdict},
};
use crate::limits::MAX_AWAITED;

/// What is known when an upstream exchange is judged.
pub(super) struct Evidence<'a> {
    pub(super) asking: &'a Asking,
    pub(super) downstream: &'a BTreeMap<u64, Entry>,
    pub(super) upstream: &'a BTreeMap<u64, Asking>,
    /// Whether exchanges move between threads, so that the order of heads on a thread shows nothing.
    pub(super) migrates: bool,
    /// Whether the exchange has come, and has waited for as long as another half may take.
    pub(super) has_waited: bool,
}

impl Evidence<'_> {
    /// Judges an upstream exchange. It stays open while what is still to come may decide.
    pub(super) fn judge(&self) -> Verdict {
        let asking = &self.asking.entry.digests;
        let same_request_id = |entry: &Entry| entry.digests.same_request_id(asking);
        let same_trace_id = |entry: &Entry| entry.digests.same_trace_id(asking);
        if let Some(verdict) = self.by_id(How::RequestId, same_request_id) {
            return verdict;
        }
        if let Some(verdict) = self.by_id(How::TraceId, same_trace_id) {
            return verdict;
        }
        if !self.asking.entry.seen || self.awaits_ids() || self.awaits_answer() {
            return Verdict::Open;
        }
        if let Some(serial) = self.by_ended() {
            return Verdict::Joined(serial, How::RequestId);
        }
        match (self.by_turn(), self.by_path()) {
            (Some(turn), Some(path)) if turn != path => Verdict::Ambiguous(vec![turn, path]),
            (Some(turn), _) => Verdict::Joined(turn, How::Causality),
            (None, Some(path)) => Verdict::Joined(path, How::Path),
            (None, None) => self.ambiguous(),
        }
    }

    /// Returns that it is ambiguous, with the candidates that are left.
    pub(super) fn ambiguous(&self) -> Verdict {
        let (candidates, asking) = (&self.asking.candidates, &self.asking.entry.digests);
        let has_id = |entry: &Entry| entry.digests.same_request_id(asking) || entry.digests.same_trace_id(asking);
        let same_id: Vec<u64> = self
            .open()
            .filter(|(_, entry)| has_id(entry))
            .map(|(serial, _)| serial)
            .collect();
        if !same_id.is_empty() {
            return Verdict::Ambiguous(same_id);
        }
        Verdict::Ambiguous(if candidates.same.is_empty() {
            candidates.open.clone()
        } else {
            candidates.same.clone()
        })
    }

    fn open(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let open = self.asking.candidates.open.iter();
        open.filter_map(|serial| self.downstream.get(serial).map(|entry| (*serial, entry)))
    }

    /// Finds the exchange with the same id. Two clients may use an id at the same time, so that another sign is needed.
    fn by_id(&self, how: How, is_same: impl Fn(&Entry) -> bool) -> Option<Verdict> {
        let matching: Vec<_> = self.open().filter(|(_, entry)| is_same(entry)).collect();
        let sole = match matching[..] {
            [] => return None,
            [sole] => Some(sole),
            _ => self.sole_with_target(&matching),
        };
        let is_made = |entry: &Entry| how == How::RequestId && entry.digests.same_made_id(&self.asking.entry.digests);
        let unseen = self.unseen();
        Some(match sole {
            Some((serial, _)) if unseen == Unseen::None => Verdict::Joined(serial, how),
            Some((serial, entry)) if is_made(entry) => Verdict::Joined(serial, how),
            Some((serial, _)) if unseen == Unseen::Possible => match self.among(how, &matching) {
                Verdict::Ambiguous(_) if self.upstream.len() <= MAX_AWAITED => Verdict::Awaited(serial, how),
                verdict @ (Verdict::Open | Verdict::Awaited(..) | Verdict::Joined(..) | Verdict::Ambiguous(_)) => {
                    verdict
                }
            },
            Some(_) | None => self.among(how, &matching),
        })
    }

    /// Returns whether a request may be meant that was not seen: a client may have tried again with the id of one that came
    /// before the trace, and that the gateway asks upstream late. The response to that one follows the upstream one.
    fn unseen(&self) -> Unseen {
        match self.asking.candidates.unseen {
            Unseen::Possible if self.has_waited => Unseen::None,
            unseen @ (Unseen::None | Unseen::Possible | Unseen::Shown) => unseen,
        }
    }

    /// Returns the only one of several exchanges that has the same method and path, if those of all are known.
    fn sole_with_target<'a>(&self, matching: &[(u64, &'a Entry)]) -> Option<(u64, &'a Entry)> {
        let target = self.asking.entry.target;
        let all_known = target.is_some() && matching.iter().all(|(_, entry)| entry.target.is_some());
        let mut same = matching.iter().filter(|(_, entry)| entry.target == target);
        let first = same.next().filter(|_| all_known)?;
        same.next().is_none().then_some(*first)
    }

    /// Decides among exchanges with the same id by the order of heads.
    fn among(&self, how: How, matching: &[(u64, &Entry)]) -> Verdict {
        let target = self.asking.entry.target;
        let is_one = |serial: u64| matching.iter().any(|(one, _)| *one == serial);
        match (self.asking.turn, self.by_turn_with_id()) {
            (Turn::Asked(serial), _) if is_one(serial) && self.awaits_answer() => Verdict::Open,
            (_, Some(serial)) if is_one(serial) => Verdict::Joined(serial, how),
            _ => {
                let may_be = |entry: &Entry| target.is_none() || entry.target.is_none() || entry.target == target;
                let left: Vec<u64> = matching
                    .iter()
                    .filter(|(_, entry)| may_be(entry))
                    .map(|(serial, _)| *serial)
                    .collect();
                let all = || matching.iter().map(|(serial, _)| *serial).collect();
                Verdict::Ambiguous(if left.is_empty() { all() } else { left })
            }
        }
    }

    /// Finds the exchange with the same request id that had ended, if no open one may have that id: a gateway makes some
    /// requests late, and a client may use an id for one request after the other.
    fn by_ended(&self) -> Option<u64> {
        let ended = self.asking.candidates.ended.as_ref()?;
        let candidates = &self.asking.candidates;
        let have_others = self.open().all(|(_, entry)| entry.digests.has_request_id());
        (have_others && !candidates.more && candidates.unseen == Unseen::None).then_some(ended.serial)
    }

    /// Returns whether the response of a candidate may still show the request id.
    fn awaits_ids(&self) -> bool {
        // A gateway may return an id of its own to a client that sent another one.
        self.asking.entry.digests.has_request_id() && self.open().any(|(_, entry)| !entry.seen)
    }

    /// Returns whether the head of a response may still show that the exchanges belong together.
    fn awaits_answer(&self) -> bool {
        match self.asking.turn {
            Turn::Asked(serial) => self.is_unanswered(serial),
            Turn::None => false,
            // Another upstream request may turn out to belong to the same one.
            Turn::Answered(serial) => self.upstream.values().any(|other| {
                let asked = matches!(other.turn, Turn::Asked(of) if of != serial && self.is_unanswered(of));
                asked && other.verdict == Verdict::Open && other.candidates.same.contains(&serial)
            }),
        }
    }

    fn is_unanswered(&self, serial: u64) -> bool {
        self.downstream.get(&serial).is_some_and(|entry| !entry.seen)
    }

    /// Finds the exchange by the order of heads in an event loop.
    ///
    /// A request for which a connection had to be opened first was not sent in the turn in which the gateway read the one
    /// before it, so it may be that of another client, unless no other was waiting. Nor is it sure if another upstream request
    /// may belong to the same one.
    fn by_turn(&self) -> Option<u64> {
        let candidates = &self.asking.candidates;
        let serial = self.answered_in_turn().filter(|_| candidates.unseen == Unseen::None)?;
        let is_sole = candidates.sole() == Some(serial);
        let is_reused = self.asking.reused == Some(true);
        let is_sure = match (is_sole, is_reused) {
            (true, true) => true,
            (true, false) => self.has_same_target(serial),
            (false, true) => candidates.same.contains(&serial),
            (false, false) => false,
        };
        is_sure.then_some(serial)
    }

    /// Finds the exchange by the order of heads, if an id is the same as well. While requests may be open that were not seen, the
    /// path has to be the same, too, and the connection may be one from before.
    fn by_turn_with_id(&self) -> Option<u64> {
        if self.asking.candidates.unseen == Unseen::None {
            return self.by_turn();
        }
        let serial = self.answered_in_turn()?;
        let is_sure = self.asking.reused != Some(false) && self.asking.candidates.same.contains(&serial);
        is_sure.then_some(serial)
    }

    /// Returns the exchange whose head came before the request, and whose response after the response, on a thread of an event
    /// loop, unless another upstream request may belong to it.
    fn answered_in_turn(&self) -> Option<u64> {
        let Turn::Answered(serial) = self.asking.turn else {
            return None;
        };
        let is_contested = self.downstream.get(&serial).is_none_or(|entry| entry.contested);
        (!is_contested && !self.migrates && !self.asking.candidates.unseen_asked).then_some(serial)
    }

    /// Finds the exchange by method and path, if no other has the same.
    fn by_path(&self) -> Option<u64> {
        let sole = self.asking.candidates.sole_same()?;
        self.has_same_target(sole).then_some(sole)
    }

    fn has_same_target(&self, serial: u64) -> bool {
        let target = self.asking.entry.target;
        target.is_some() && self.downstream.get(&serial).is_some_and(|entry| entry.target == target)
    }
}
