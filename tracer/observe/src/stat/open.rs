//! Counted exchanges that have not ended, whose durations and ends are to be counted too.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::rows::Key;
use crate::limits::MAX_STAT_OPEN;

/// The rows of exchanges that have not ended by the ids of these. At the bound, the oldest is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Open {
    keys: HashMap<String, (Arc<Key>, Option<Arc<str>>)>,
    /// The ids in the order they were inserted. Some were removed since.
    order: VecDeque<String>,
    /// Number of exchanges that were forgotten.
    pub(crate) forgotten: u64,
}

impl Open {
    /// Inserts an exchange with its row and its upstream.
    pub(crate) fn insert(&mut self, id: &str, key: Arc<Key>, upstream: Option<Arc<str>>) {
        if self.keys.insert(id.to_owned(), (key, upstream)).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > MAX_STAT_OPEN {
            if self
                .order
                .pop_front()
                .is_some_and(|oldest| self.keys.remove(&oldest).is_some())
            {
                self.forgotten += 1;
            }
        }
    }

    /// Removes an exchange.
    pub(crate) fn remove(&mut self, id: &str) -> Option<(Arc<Key>, Option<Arc<str>>)> {
        let removed = self.keys.remove(id);
        // Ids are removed nearly in order, so those at the front of the queue are mostly gone.
        while self.order.front().is_some_and(|oldest| !self.keys.contains_key(oldest)) {
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
        let key = Arc::new(Key {
            side: "server",
            method: None,
            host: None,
            route: None,
            upstream: None,
            status: "2xx",
        });
        let mut open = Open::default();
        for id in 0..=MAX_STAT_OPEN {
            open.insert(&id.to_string(), Arc::clone(&key), None);
        }
        assert_eq!(open.forgotten, 1);
        assert!(open.remove("0").is_none() && open.remove("1").is_some());
        assert!(open.remove("1").is_none() && open.order.front().map(String::as_str) == Some("2"));
    }
}
