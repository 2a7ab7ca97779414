//! Connections whose end was told in one half, and that wait for the other: a TLS library forgets its object, and the
//! kernel closes the socket, in either order and perhaps long apart.
//!
//! In: ended connections, and word of sockets that were closed first. Out: each again, when its time is over. Refuses to
//! hold more than a bound: beyond it the oldest comes out at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{Connection, ConnectionSummary};
use crate::{event::ConnKey, limits::ENDING_NS};

/// What waits.
#[derive(Debug)]
pub(super) struct Endings {
    bound: usize,
    ended: HashMap<ConnKey, Ending>,
    /// In the order in which waiting began; what came out since is still in it.
    due: VecDeque<(u64, ConnKey)>,
}

/// A connection that has ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) connection: Arc<Connection>,
    pub(super) summary: Box<ConnectionSummary>,
    /// When it ended.
    pub(super) at_ns: u64,
}

/// A connection that need not wait any longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Due {
    pub(super) key: ConnKey,
    /// Its time was not over, but too many waited.
    pub(super) early: bool,
}

impl Endings {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            ended: HashMap::new(),
            due: VecDeque::new(),
        }
    }

    /// Lets a connection that has ended wait for its socket.
    pub(super) fn await_socket(&mut self, key: ConnKey, ending: Ending, now_ns: u64) {
        self.ended.insert(key, ending);
        self.await_end(key, now_ns);
    }

    /// Remembers that a connection waits for its end, since its socket was closed.
    pub(super) fn await_end(&mut self, key: ConnKey, now_ns: u64) {
        self.due.push_back((now_ns.saturating_add(ENDING_NS), key));
    }

    /// Takes a connection that has ended.
    pub(super) fn take(&mut self, key: ConnKey) -> Option<Ending> {
        self.ended.remove(&key)
    }

    /// Says which connection need not wait any longer; it may have come out already.
    pub(super) fn next_due(&mut self, now_ns: u64) -> Option<Due> {
        let (due_ns, key) = *self.due.front()?;
        let early = due_ns > now_ns;
        if early && self.due.len() <= self.bound {
            return None;
        }
        self.due.pop_front();
        Some(Due { key, early })
    }
}
