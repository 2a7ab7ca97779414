//! The rules: which downstream exchange an upstream exchange belongs to.

use std::collections::BTreeMap;

use super::{
    How,
    entry::{Asking, Entry, Turn, Verdict},
};

/// What is known when an upstream exchange is judged.
pub(super) struct Evidence<'a> {
    pub(super) asking: &'a Asking,
    pub(super) downstream: &'a BTreeMap<u64, Entry>,
    pub(super) upstream: &'a BTreeMap<u64, Asking>,
    /// Whether exchanges move between threads, so that the order of heads on a thread shows nothing.
    pub(super) migrates: bool,
}

impl Evidence<'_> {
    /// Judges an upstream exchange. It stays open while what is still to come may decide.
    pub(super) fn judge(&self) -> Verdict {
        let same_request_id = |entry: &Entry| entry.digests.same_request_id(&self.asking.entry.digests);
        let same_trace_id = |entry: &Entry| entry.digests.same_trace_id(&self.asking.entry.digests);
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
        let candidates = &self.asking.candidates;
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
        match matching[..] {
            [] => None,
            [(one, _)] => Some(Verdict::Joined(one, how)),
            _ => Some(self.among(how, &matching)),
        }
    }

    /// Decides among several exchanges with the same id.
    fn among(&self, how: How, matching: &[(u64, &Entry)]) -> Verdict {
        let target = self.asking.entry.target;
        let all_known = target.is_some() && matching.iter().all(|(_, entry)| entry.target.is_some());
        let mut same = matching.iter().filter(|(_, entry)| entry.target == target);
        if let (Some((one, _)), None) = (same.next(), same.next())
            && all_known
        {
            return Verdict::Joined(*one, how);
        }
        let is_one = |serial: u64| matching.iter().any(|(one, _)| *one == serial);
        match (self.asking.turn, self.by_turn()) {
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
        (have_others && !candidates.more && !candidates.unseen).then_some(ended.serial)
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
        let Turn::Answered(serial) = self.asking.turn else {
            return None;
        };
        let candidates = &self.asking.candidates;
        let is_sole = candidates.sole() == Some(serial);
        let is_reused = self.asking.reused == Some(true);
        let is_sure = match (is_sole, is_reused) {
            (true, true) => true,
            (true, false) => self.has_same_target(serial),
            (false, true) => candidates.same.contains(&serial),
            (false, false) => false,
        };
        let is_contested = self.downstream.get(&serial).is_none_or(|entry| entry.contested);
        (is_sure && !is_contested && !self.migrates && !candidates.unseen).then_some(serial)
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
