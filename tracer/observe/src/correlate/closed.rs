//! Connections that were closed or evicted, and the positions they had reached.
//!
//! Records of a connection can arrive after it was closed, and an evicted one can move more data. The positions tell which
//! bytes were seen before, so that these are not reported as lost.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::Connection;
use crate::event::ConnKey;

/// A connection that is no longer tracked.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) connection: Arc<Connection>,
    /// Positions after the last byte that was read and written.
    pub(super) positions: [u64; 2],
}

/// Closed connections. At the bound, the one that was closed first is dropped.
#[derive(Debug)]
pub(super) struct ClosedConnections {
    bound: usize,
    by_key: HashMap<ConnKey, Closed>,
    order: VecDeque<ConnKey>,
}

impl ClosedConnections {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            by_key: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, key: ConnKey, closed: Closed) {
        if self.by_key.insert(key, closed).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.bound {
            if let Some(oldest) = self.order.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
    }

    /// Returns the positions of a connection; zeros if it is not known.
    pub(super) fn positions(&self, key: ConnKey) -> [u64; 2] {
        self.by_key.get(&key).map_or([0; 2], |closed| closed.positions)
    }

    pub(super) fn find(&mut self, key: ConnKey) -> Option<&mut Closed> {
        self.by_key.get_mut(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::tests::connection;

    #[test]
    fn at_the_bound_the_connection_closed_first_is_dropped() {
        let connection = Arc::new(connection());
        let key = |generation| ConnKey {
            tgid: 7,
            ssl: 1,
            generation,
        };
        let mut all = ClosedConnections::new(3);
        for generation in 1..=5 {
            let closed = Closed {
                connection: Arc::clone(&connection),
                positions: [generation; 2],
            };
            all.insert(key(generation), closed);
        }
        assert_eq!(all.positions(key(2)), [0; 2]);
        assert_eq!(
            [3, 5].map(|generation| all.positions(key(generation))),
            [[3; 2], [5; 2]]
        );
        assert_eq!((all.by_key.len(), all.order.len()), (3, 3));
    }
}
