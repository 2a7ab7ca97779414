//! The printed exchanges that have not ended, whose ends are to be printed too.

use std::collections::{HashSet, VecDeque};

/// The ids of the exchanges that were printed and have not ended, at most [`OPEN_LIMIT`].
#[derive(Debug, Default)]
pub(super) struct Open {
    ids: HashSet<String>,
    /// The ids in the order they were inserted. Some were removed since.
    order: VecDeque<String>,
    /// Number of ids that were dropped at the limit.
    pub(super) forgotten: u64,
}

impl Open {
    /// Inserts an id. At the limit, the oldest is dropped.
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

    /// Returns the number of ids.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Removes an id, and returns whether it was there.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let was_open = self.ids.remove(id);
        while self.order.front().is_some_and(|oldest| !self.ids.contains(oldest)) {
            self.order.pop_front();
        }
        was_open
    }
}

/// Maximum number of ids: more than the streams that a gateway has open at once, in a few megabytes.
const OPEN_LIMIT: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_dropped_ones_counted() {
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
