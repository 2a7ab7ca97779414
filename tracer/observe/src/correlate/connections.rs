//! The tracked connections, bounded in number and in the memory that their decoders hold together.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
};

use super::{
    closed::{Closed, ClosedConnections},
    table::Table,
    tracked::Tracked,
};
use crate::{
    event::ConnKey,
    limits::{MAX_CLOSED, MAX_CONNECTIONS, MAX_ENDINGS, MAX_HELD_BYTES, MAX_PROCESSES},
};

/// The bounds of a correlator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) closed: usize,
    pub(super) held_bytes: usize,
    pub(super) processes: usize,
    pub(super) endings: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            closed: MAX_CLOSED,
            held_bytes: MAX_HELD_BYTES,
            processes: MAX_PROCESSES,
            endings: MAX_ENDINGS,
        }
    }
}

impl Bounds {
    /// Connections evicted at once: finding the idle ones scans all connections, so it must not happen for each new one.
    const fn evicted_at_once(self) -> usize {
        self.connections.div_ceil(16)
    }
}

/// Length up to which the queue of due times is never swept.
const SWEEP_ABOVE: usize = 1024;

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    bounds: Bounds,
    by_key: Table<Tracked>,
    /// Generation and object address of each connection of a process.
    by_process: HashMap<u32, BTreeSet<(u64, u64)>>,
    closed: ClosedConnections,
    held_bytes: usize,
    /// Due times, with process, object address and generation. Entries can be stale.
    due: BinaryHeap<Reverse<(u64, u32, u64, u64)>>,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            by_key: Table::default(),
            by_process: HashMap::new(),
            closed: ClosedConnections::new(bounds.closed),
            held_bytes: 0,
            due: BinaryHeap::new(),
        }
    }

    pub(super) fn find(&mut self, key: ConnKey) -> Option<&mut Tracked> {
        self.by_key.find(key)
    }

    /// Finds a connection that was closed or evicted.
    pub(super) fn find_closed(&mut self, key: ConnKey) -> Option<&mut Closed> {
        self.closed.find(key)
    }

    /// Adds a connection. One that was evicted continues from the positions it had reached.
    pub(super) fn insert(&mut self, key: ConnKey, mut tracked: Tracked) {
        tracked.positions = self.closed.positions(key);
        self.by_key.insert(key, tracked);
        let of_process = self.by_process.entry(key.tgid).or_default();
        of_process.insert((key.generation, key.ssl));
    }

    /// Stops tracking a connection, and remembers the positions it has reached.
    pub(super) fn close(&mut self, key: ConnKey) {
        if let Some(tracked) = self.by_key.remove(key) {
            self.held_bytes -= tracked.held_bytes;
            let closed = Closed {
                connection: tracked.connection,
                positions: tracked.positions,
            };
            self.closed.insert(key, closed);
        }
        if let Some(of_process) = self.by_process.get_mut(&key.tgid) {
            of_process.remove(&(key.generation, key.ssl));
            if of_process.is_empty() {
                self.by_process.remove(&key.tgid);
            }
        }
        self.sweep_due();
    }

    /// Removes the due times of closed connections before they outnumber the others: with a long `--hold` they would stay
    /// in the queue for as long.
    fn sweep_due(&mut self) {
        if self.due.len() > 2 * self.by_key.len() + SWEEP_ABOVE {
            let Self { by_key, due, .. } = self;
            due.retain(|Reverse((_, tgid, ssl, generation))| {
                let (tgid, ssl, generation) = (*tgid, *ssl, *generation);
                by_key.contains(ConnKey { tgid, ssl, generation })
            });
        }
    }

    /// Iterates over the connections, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tracked> {
        self.by_key.iter().map(|(_, tracked)| tracked)
    }

    /// Returns all keys, in the order in which the connections began.
    pub(super) fn keys(&self) -> Vec<ConnKey> {
        let mut keys: Vec<_> = self.by_key.iter().map(|(key, _)| key).collect();
        keys.sort_by_key(|key| (key.generation, key.tgid, key.ssl));
        keys
    }

    /// Returns the keys of one process, in the order in which the connections began.
    pub(super) fn of_process(&self, pid: u32) -> Vec<ConnKey> {
        let of_process = self.by_process.get(&pid).into_iter().flatten();
        let key = |(generation, ssl): &(u64, u64)| ConnKey {
            tgid: pid,
            ssl: *ssl,
            generation: *generation,
        };
        of_process.map(key).collect()
    }

    /// Returns whether a process has a connection.
    pub(super) fn has_process(&self, pid: u32) -> bool {
        self.by_process.contains_key(&pid)
    }

    /// Returns the connections to evict before one can be added: those idle longest, or none if there is room.
    pub(super) fn to_evict(&self) -> Vec<ConnKey> {
        if self.by_key.len() < self.bounds.connections {
            return Vec::new();
        }
        let mut idle: Vec<_> = self
            .by_key
            .iter()
            .map(|(key, tracked)| (tracked.last_ns, key))
            .collect();
        idle.sort_unstable_by_key(|(last_ns, key)| (*last_ns, key.generation));
        idle.truncate(self.bounds.evicted_at_once());
        idle.into_iter().map(|(_, key)| key).collect()
    }

    /// Updates the bytes that a connection holds, and returns whether all together hold too many.
    pub(super) fn update_held(&mut self, key: ConnKey) -> bool {
        if let Some(tracked) = self.by_key.find(key) {
            let held = tracked.decoder.held_bytes() + tracked.early.bytes();
            self.held_bytes = self.held_bytes - tracked.held_bytes + held;
            tracked.held_bytes = held;
        }
        self.held_bytes > self.bounds.held_bytes
    }

    /// Queues the next due time of a connection.
    pub(super) fn schedule(&mut self, key: ConnKey) {
        let Some(tracked) = self.by_key.find(key) else {
            return;
        };
        // A stale entry does no harm when it comes up, so an entry is added only for a new or an earlier time.
        if let Some(at) = tracked.next_due()
            && tracked.due_ns.is_none_or(|known| at < known)
        {
            self.due.push(Reverse((at, key.tgid, key.ssl, key.generation)));
            tracked.due_ns = Some(at);
        }
    }

    /// Removes and returns the next connection that is due.
    pub(super) fn next_due(&mut self, now_ns: u64) -> Option<ConnKey> {
        let Reverse((at, tgid, ssl, generation)) = *self.due.peek()?;
        if at > now_ns {
            return None;
        }
        self.due.pop();
        let key = ConnKey { tgid, ssl, generation };
        if let Some(tracked) = self.by_key.find(key) {
            tracked.due_ns = None;
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use http_decode::{Chunk, Direction, Settings, Timestamp};

    use super::*;
    use crate::correlate::tests::connection;

    #[test]
    fn due_times_of_closed_connections_do_not_pile_up() {
        let mut connections = Connections::new(Bounds::default());
        for ssl in 0..10 * SWEEP_ABOVE as u64 {
            let key = ConnKey {
                tgid: 7,
                ssl,
                generation: 1,
            };
            connections.insert(key, answered());
            connections.schedule(key);
            connections.close(key);
        }
        assert!(connections.due.len() <= SWEEP_ABOVE + 1, "{}", connections.due.len());
        assert!(connections.by_process.is_empty() && !connections.has_process(7));
    }

    /// Returns a connection on which a response has begun, which makes it due later.
    fn answered() -> Tracked {
        let mut tracked = Tracked::new(connection(), Settings::default(), 0);
        let chunk = |bytes| Chunk {
            position: 0,
            at: Timestamp(1),
            origin: 0,
            call_start: true,
            bytes,
        };
        tracked
            .decoder
            .push(Direction::Read, chunk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        tracked
            .decoder
            .push(Direction::Write, chunk(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
        assert!(tracked.decoder.next_tick().is_some());
        tracked
    }
}
