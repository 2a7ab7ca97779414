//! Counted exchanges that have not ended, whose durations and ends are to be counted too.

use std::collections::{HashMap, VecDeque};

use crate::limits::MAX_STAT_OPEN;

/// Where exchanges that have not ended are counted, by the ids of these. At the bound, the oldest is forgotten.
#[derive(Debug)]
pub struct Open<Row> {
    rows: HashMap<String, Row>,
    /// The ids in the order they were inserted. Some were removed since.
    order: VecDeque<String>,
    /// Number of exchanges that were forgotten.
    pub forgotten: u64,
}

impl<Row> Default for Open<Row> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            order: VecDeque::new(),
            forgotten: 0,
        }
    }
}

impl<Row> Open<Row> {
    /// Returns the number of exchanges.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Inserts an exchange with its row.
    pub fn insert(&mut self, id: &str, row: Row) {
        if self.rows.insert(id.to_owned(), row).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > MAX_STAT_OPEN {
            if self
                .order
                .pop_front()
                .is_some_and(|oldest| self.rows.remove(&oldest).is_some())
            {
                self.forgotten += 1;
            }
        }
    }

    /// Removes an exchange.
    pub fn remove(&mut self, id: &str) -> Option<Row> {
        let removed = self.rows.remove(id);
        // Ids are removed nearly in order, so those at the front of the queue are mostly gone.
        while self.order.front().is_some_and(|oldest| !self.rows.contains_key(oldest)) {
            self.order.pop_front();
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_at_the_bound_and_counted() {
        let mut open = Open::default();
        for id in 0..=MAX_STAT_OPEN {
            open.insert(&id.to_string(), ());
        }
        assert_eq!((open.forgotten, open.count()), (1, MAX_STAT_OPEN));
        assert!(open.remove("0").is_none() && open.remove("1").is_some());
        assert!(open.remove("1").is_none() && open.order.front().map(String::as_str) == Some("2"));
    }
}
