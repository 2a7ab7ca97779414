//! Downstream exchanges that have ended and been emitted, by their request ids, for the requests that a gateway makes late: a
//! mirror whose connection takes long to open, or what is sent to a log behind the response.

use std::collections::{HashMap, VecDeque};

use super::digest::{Digest, Digests};
use crate::limits::MAX_ENDED;

/// Exchanges that ended a short time ago, up to a bound; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Ended {
    by_id: HashMap<Digest, VecDeque<One>>,
    /// The ids, in the order in which their exchanges came.
    order: VecDeque<(u64, Digest)>,
}

/// An exchange that has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct One {
    pub(super) serial: u64,
    /// Its id in lines of output.
    pub(super) id: String,
    pub(super) ended_ns: u64,
}

impl Ended {
    /// Adds an exchange, if it has a request id, and forgets those that ended before `since_ns`.
    pub(super) fn add(&mut self, digests: &Digests, one: &One, since_ns: u64) {
        for digest in digests.request_ids() {
            self.by_id.entry(digest).or_default().push_back(one.clone());
            self.order.push_back((one.ended_ns, digest));
        }
        while let Some((ended_ns, digest)) = self.order.front().copied()
            && (ended_ns < since_ns || self.order.len() > MAX_ENDED)
        {
            self.order.pop_front();
            self.forget_first(digest);
        }
    }

    /// Forgets the exchange with an id that came first.
    fn forget_first(&mut self, digest: Digest) {
        if let Some(same) = self.by_id.get_mut(&digest) {
            same.pop_front();
            if same.is_empty() {
                self.by_id.remove(&digest);
            }
        }
    }

    /// Returns the exchanges with one of these request ids that ended no earlier than `since_ns`.
    pub(super) fn with_id(&self, digests: &Digests, since_ns: u64) -> impl Iterator<Item = &One> {
        let same = digests.request_ids().filter_map(|digest| self.by_id.get(&digest));
        same.flatten().filter(move |one| one.ended_ns >= since_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(id: &str) -> Digests {
        Digests::of_text(id)
    }

    fn one(serial: u64) -> One {
        One {
            serial,
            id: serial.to_string(),
            ended_ns: serial,
        }
    }

    fn serials(ended: &Ended, id: &str, since_ns: u64) -> Vec<u64> {
        ended.with_id(&digests(id), since_ns).map(|one| one.serial).collect()
    }

    #[test]
    fn exchanges_are_forgotten_once_they_ended_too_long_ago() {
        let mut ended = Ended::default();
        ended.add(&digests("a"), &one(1), 0);
        ended.add(&digests("b"), &one(2), 0);
        ended.add(&digests("a"), &one(3), 0);
        assert_eq!(serials(&ended, "a", 0), [1, 3]);
        assert_eq!(serials(&ended, "a", 2), [3]);
        ended.add(&digests("c"), &one(4), 3);
        assert_eq!(serials(&ended, "a", 0), [3]);
        assert_eq!(serials(&ended, "b", 0), [0; 0]);
        assert_eq!(ended.by_id.len(), 2);
    }

    #[test]
    fn exchanges_without_an_id_are_not_kept_and_others_up_to_a_bound() {
        let mut ended = Ended::default();
        ended.add(&Digests::default(), &one(1), 0);
        assert_eq!((ended.order.len(), ended.by_id.len()), (0, 0));
        let count = u64::try_from(MAX_ENDED).unwrap() + 10;
        for serial in 0..count {
            ended.add(&digests(&format!("{}", serial / 2)), &one(serial), 0);
        }
        assert_eq!(ended.order.len(), MAX_ENDED);
        assert_eq!(ended.by_id.values().map(VecDeque::len).sum::<usize>(), MAX_ENDED);
        assert_eq!(serials(&ended, "0", 0), [0; 0]);
        assert_eq!(
            serials(&ended, &format!("{}", (count - 1) / 2), 0),
            [count - 2, count - 1]
        );
    }
}
