//! The connections that are being decoded, bounded in number and in what they hold together.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
};

use super::tracked::Tracked;
use crate::{
    event::ConnKey,
    limits::{MAX_CONNECTIONS, MAX_ENDINGS, MAX_HELD_BYTES, MAX_PROCESSES},
};

/// How many of what there may be at once, and what decoders may hold together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) held_bytes: usize,
    pub(super) processes: usize,
    pub(super) endings: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            held_bytes: MAX_HELD_BYTES,
            processes: MAX_PROCESSES,
            endings: MAX_ENDINGS,
        }
    }
}

impl Bounds {
    /// Connections given up at once when there are too many: looking for the oldest takes a walk over all.
    const fn room(self) -> usize {
        self.connections.div_ceil(16)
    }
}

/// Entries of the queue of times that are never worth a sweep.
const SWEEP_ABOVE: usize = 1024;

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    bounds: Bounds,
    by_key: HashMap<ConnKey, Tracked>,
    /// Generation and `SSL` address of each connection of a process.
    by_process: HashMap<u32, BTreeSet<(u64, u64)>>,
    held: usize,
    due: BinaryHeap<Reverse<(u64, u32, u64, u64)>>,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    pub(super) fn find(&mut self, key: ConnKey) -> Option<&mut Tracked> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn insert(&mut self, key: ConnKey, tracked: Tracked) {
        self.by_key.insert(key, tracked);
        let of_process = self.by_process.entry(key.tgid).or_default();
        of_process.insert((key.generation, key.ssl));
    }

    pub(super) fn remove(&mut self, key: ConnKey) {
        if let Some(tracked) = self.by_key.remove(&key) {
            self.held -= tracked.held;
        }
        if let Some(of_process) = self.by_process.get_mut(&key.tgid) {
            of_process.remove(&(key.generation, key.ssl));
            if of_process.is_empty() {
                self.by_process.remove(&key.tgid);
            }
        }
        self.forget_stale();
    }

    /// Times of connections that are gone stay in the queue until they come; with a long hold that is long, so the queue
    /// is swept before they are the most of it.
    fn forget_stale(&mut self) {
        if self.due.len() > 2 * self.by_key.len() + SWEEP_ABOVE {
            let Self { by_key, due, .. } = self;
            due.retain(|Reverse((_, tgid, ssl, generation))| {
                let (tgid, ssl, generation) = (*tgid, *ssl, *generation);
                by_key.contains_key(&ConnKey { tgid, ssl, generation })
            });
        }
    }

    /// All keys, in the order their connections began.
    pub(super) fn keys(&self) -> Vec<ConnKey> {
        let mut keys: Vec<_> = self.by_key.keys().copied().collect();
        keys.sort_by_key(|key| (key.generation, key.tgid, key.ssl));
        keys
    }

    /// The keys of one process, in the order their connections began.
    pub(super) fn of_process(&self, pid: u32) -> Vec<ConnKey> {
        let of_process = self.by_process.get(&pid).into_iter().flatten();
        let key = |(generation, ssl): &(u64, u64)| ConnKey {
            tgid: pid,
            ssl: *ssl,
            generation: *generation,
        };
        of_process.map(key).collect()
    }

    /// Tells whether a process has a connection.
    pub(super) fn has_process(&self, pid: u32) -> bool {
        self.by_process.contains_key(&pid)
    }

    /// The connections that were silent longest, when there is no room for one more.
    pub(super) fn to_make_room(&self) -> Vec<ConnKey> {
        if self.by_key.len() < self.bounds.connections {
            return Vec::new();
        }
        let mut silent: Vec<_> = self
            .by_key
            .iter()
            .map(|(key, tracked)| (tracked.last_ns, *key))
            .collect();
        silent.sort_unstable_by_key(|(last_ns, key)| (*last_ns, key.generation));
        silent.truncate(self.bounds.room());
        silent.into_iter().map(|(_, key)| key).collect()
    }

    /// Takes note of what a connection's decoder holds; tells whether all together hold too much.
    pub(super) fn note_held(&mut self, key: ConnKey) -> bool {
        if let Some(tracked) = self.by_key.get_mut(&key) {
            let held = tracked.decoder.held_bytes() + tracked.early.bytes();
            self.held = self.held - tracked.held + held;
            tracked.held = held;
        }
        self.held > self.bounds.held_bytes
    }

    /// Remembers when a connection wants to be looked at again.
    pub(super) fn schedule(&mut self, key: ConnKey) {
        let Some(tracked) = self.by_key.get_mut(&key) else {
            return;
        };
        // An entry that is no longer true is passed over when its time comes, so only a new or earlier one is added.
        if let Some(at) = tracked.next_due()
            && tracked.due_ns.is_none_or(|known| at < known)
        {
            self.due.push(Reverse((at, key.tgid, key.ssl, key.generation)));
            tracked.due_ns = Some(at);
        }
    }

    /// Takes a connection whose time has come.
    pub(super) fn next_due(&mut self, now_ns: u64) -> Option<ConnKey> {
        let Reverse((at, tgid, ssl, generation)) = *self.due.peek()?;
        if at > now_ns {
            return None;
        }
        self.due.pop();
        let key = ConnKey { tgid, ssl, generation };
        if let Some(tracked) = self.by_key.get_mut(&key) {
            tracked.due_ns = None;
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use http_decode::{Chunk, Direction, Settings, Timestamp};

    use super::*;
    use crate::{
        correlate::{Connection, LibraryName, Process},
        event::AddressSource,
    };

    #[test]
    fn times_of_connections_that_are_gone_do_not_pile_up() {
        let mut connections = Connections::default();
        for ssl in 0..10 * SWEEP_ABOVE as u64 {
            let key = ConnKey {
                tgid: 7,
                ssl,
                generation: 1,
            };
            connections.insert(key, answered());
            connections.schedule(key);
            connections.remove(key);
        }
        assert!(connections.due.len() <= SWEEP_ABOVE + 1, "{}", connections.due.len());
        assert!(connections.by_process.is_empty() && !connections.has_process(7));
    }

    /// A connection on which a response has begun, so that it wants to be looked at again.
    fn answered() -> Tracked {
        let connection = Connection {
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
        };
        let mut tracked = Tracked::new(connection, Settings::default(), 0);
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
