//! Connections that are over, or were given up, and how far they had come.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::Connection;
use crate::event::ConnKey;

/// Connections that are no longer tracked, and how far they had come.
#[derive(Debug, Default)]
pub(super) struct Departed {
    bound: usize,
    known: HashMap<ConnKey, (Arc<Connection>, [u64; 2])>,
    order: VecDeque<ConnKey>,
}

impl Departed {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            ..Self::default()
        }
    }

    /// Remembers a connection; the one that departed first is forgotten for it.
    pub(super) fn insert(&mut self, key: ConnKey, connection: Arc<Connection>, moved: [u64; 2]) {
        if self.known.insert(key, (connection, moved)).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.bound {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// How far a connection had come; nowhere if it is not known.
    pub(super) fn moved(&self, key: ConnKey) -> [u64; 2] {
        self.known.get(&key).map_or([0; 2], |(_, moved)| *moved)
    }

    /// A connection, and how far it had come.
    pub(super) fn find(&mut self, key: ConnKey) -> Option<&mut (Arc<Connection>, [u64; 2])> {
        self.known.get_mut(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::{LibraryName, Process},
        event::AddressSource,
    };

    #[test]
    fn departed_connections_are_remembered_within_a_bound_and_the_oldest_is_forgotten() {
        let connection = Arc::new(Connection {
            id: String::new(),
            process: Process {
                pid: 7,
                name: String::new(),
            },
            tls: LibraryName::new("openssl"),
            local: None,
            remote: None,
            source: AddressSource::Unseen,
            proxied: None,
            netns: None,
        });
        let key = |generation| ConnKey {
            tgid: 7,
            ssl: 1,
            generation,
        };
        let mut departed = Departed::new(3);
        for generation in 1..=5 {
            departed.insert(key(generation), Arc::clone(&connection), [generation; 2]);
        }
        assert_eq!(departed.moved(key(2)), [0; 2]);
        assert_eq!(
            [3, 5].map(|generation| departed.moved(key(generation))),
            [[3; 2], [5; 2]]
        );
        assert_eq!((departed.known.len(), departed.order.len()), (3, 3));
    }
}
