//! Which printed exchanges go on, so that their ends are printed too.

use std::collections::{HashSet, VecDeque};

/// The exchanges that were printed and go on, at most [`OPEN_LIMIT`].
#[derive(Debug, Default)]
pub(super) struct Open {
    ids: HashSet<String>,
    /// The ids in the order they came, some of them closed by now.
    order: VecDeque<String>,
    /// How many were forgotten at the limit.
    pub(super) forgotten: u64,
}

impl Open {
    /// Adds one; the oldest is forgotten at the limit.
    pub(super) fn insert(&mut self, id: &str) {
        if self.ids.insert(id.to_owned()) {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > OPEN_LIMIT {
            if self.order.pop_front().is_some_and(|oldest| self.ids.remove(&oldest)) {
                self.forgotten += 1;
            }
        }
    }

    /// Removes one, and returns whether it was there.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let was_open = self.ids.remove(id);
        while self.order.front().is_some_and(|oldest| !self.ids.contains(oldest)) {
            self.order.pop_front();
        }
        was_open
    }
}

/// More streams than a gateway has open at once; their ids take a few megabytes.
const OPEN_LIMIT: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_open_exchanges_are_bounded_and_the_forgotten_ones_counted() {
        let mut open = Open::default();
        (0..OPEN_LIMIT + 2).for_each(|id| open.insert(&id.to_string()));
        assert_eq!(
            (open.ids.len(), open.order.len(), open.forgotten),
            (OPEN_LIMIT, OPEN_LIMIT, 2)
        );
        assert!(!open.remove("0") && open.remove("2"));
        assert_eq!(open.order.len(), OPEN_LIMIT - 1);
    }
}
