//! Connections of which either the TLS object was freed or the socket was closed, and that wait for the other.
//!
//! The two happen in either order and can be far apart. A summary needs both, so it is held until the second arrives or the
//! wait times out. At the bound, the oldest does not wait any longer.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{Connection, ConnectionSummary};
use crate::{event::ConnKey, limits::ENDING_NS};

/// The connections that wait.
#[derive(Debug)]
pub(super) struct Endings {
    bound: usize,
    ended: HashMap<ConnKey, Ending>,
    /// Timeouts, in order. A connection whose wait has ended stays in the queue until its timeout.
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

/// A connection whose wait is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Due {
    pub(super) key: ConnKey,
    /// Whether it is over before the timeout, because too many connections wait.
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

    /// Adds a connection that has ended, and waits for the close of its socket.
    pub(super) fn await_socket(&mut self, key: ConnKey, ending: Ending, now_ns: u64) {
        self.ended.insert(key, ending);
        self.await_end(key, now_ns);
    }

    /// Waits for the end of a connection whose socket was closed.
    pub(super) fn await_end(&mut self, key: ConnKey, now_ns: u64) {
        self.due.push_back((now_ns.saturating_add(ENDING_NS), key));
    }

    /// Removes and returns a connection that has ended.
    pub(super) fn take(&mut self, key: ConnKey) -> Option<Ending> {
        self.ended.remove(&key)
    }

    /// Removes and returns the next connection whose wait is over. It may have been removed by [`take`](Self::take) before.
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
