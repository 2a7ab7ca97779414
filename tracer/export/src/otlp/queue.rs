//! The bounded queue of records between the thread of the lines and that of the export.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout_at};
use tracer_observe::batch::Source;

use super::record::Record;
use crate::limits::{BATCH_DELAY, FINISH, MAX_BATCH_BYTES, MAX_BATCH_RECORDS, RECORD_BYTES, TAPE_PATIENCE};

/// A queue of records of one signal.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There are records, enough of them, or no more follow.
    changed: Notify,
    /// Records were delivered or given up.
    progress: Condvar,
    /// Maximum bytes of records.
    bound: usize,
    source: Source,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Record>,
    /// When the first of them was queued.
    since: Option<Instant>,
    /// Bytes of `records`.
    queued: usize,
    /// Bytes of the records that are being sent.
    taken: usize,
    /// Their number.
    taken_records: usize,
    /// When the end of the run stops to wait, once no more records follow.
    closed: Option<Instant>,
    /// Whether a full queue no longer holds up a tape, because nothing was delivered for too long.
    stalled: bool,
    /// Records that were dropped since they were counted.
    dropped: u64,
    /// Batches that were delivered, in whole or in part.
    delivered: u64,
}

impl State {
    fn is_full(&self) -> bool {
        self.records.len() >= MAX_BATCH_RECORDS || self.queued >= MAX_BATCH_BYTES
    }
}

impl Queue {
    /// Creates a queue of at most `bound` bytes.
    pub(super) fn new(bound: usize, source: Source) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            progress: Condvar::new(),
            bound,
            source,
        }
    }

    /// Adds a record, or drops it if there is no room. Of a tape, it waits for room while records are delivered.
    pub(super) fn push(&self, record: Record) {
        let bytes = size(&record);
        let mut state = self.lock();
        while state.queued.saturating_add(state.taken).saturating_add(bytes) > self.bound {
            if self.source == Source::Live || state.stalled {
                state.dropped += 1;
                return;
            }
            let delivered = state.delivered;
            let waited = self.progress.wait_timeout(state, TAPE_PATIENCE);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.stalled = timeout.timed_out() && state.delivered == delivered;
        }
        let was_full = state.is_full();
        state.queued += bytes;
        state.records.push_back(record);
        let is_first = state.since.is_none();
        state.since.get_or_insert_with(Instant::now);
        if is_first || (!was_full && state.is_full()) {
            self.changed.notify_one();
        }
    }

    /// Waits for records, and takes as many as fit into a request; `None` if no more follow.
    pub(super) async fn batch(&self) -> Option<Vec<Record>> {
        loop {
            let due = {
                let mut state = self.lock();
                match state.since {
                    None if state.closed.is_some() => return None,
                    None => None,
                    Some(_) if state.is_full() || state.closed.is_some() => return Some(take(&mut state)),
                    Some(since) => Some(since + BATCH_DELAY),
                }
            };
            let changed = self.changed.notified();
            match due {
                None => changed.await,
                Some(due) => {
                    if timeout_at(due.into(), changed).await.is_err() {
                        let mut state = self.lock();
                        if state.since.is_some() {
                            return Some(take(&mut state));
                        }
                    }
                }
            }
        }
    }

    /// Takes note that the records that were taken were delivered, all but `dropped` of them.
    pub(super) fn delivered(&self, dropped: u64) {
        let mut state = self.lock();
        let all = u64::try_from(state.taken_records).unwrap_or(u64::MAX);
        if dropped < all {
            state.delivered += 1;
            state.stalled = false;
            if self.source == Source::Tape {
                // The end of a tape waits for a collector that is slow, but takes records.
                state.closed = state.closed.map(|_| Instant::now() + FINISH);
            }
        }
        (state.taken, state.taken_records) = (0, 0);
        state.dropped += dropped;
        self.progress.notify_all();
    }

    /// Returns how many records were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Lets no more records follow. What is not delivered at `until` is dropped.
    pub(super) fn close(&self, until: Instant) {
        self.lock().closed = Some(until);
        self.changed.notify_one();
    }

    /// Returns until when records are delivered, once no more follow.
    pub(super) fn closed(&self) -> Option<Instant> {
        self.lock().closed
    }

    /// Waits until no more records follow, or `time` has passed.
    pub(super) async fn wait_for_close(&self, time: Duration) {
        let until = Instant::now() + time;
        while self.closed().is_none() {
            if timeout_at(until.into(), self.changed.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Waits until all records are delivered or dropped, and returns how many are not at `until`, or when the queue that was
    /// closed stops to wait.
    pub(super) fn wait(&self, until: Option<Instant>) -> usize {
        let mut state = self.lock();
        loop {
            let undelivered = state.records.len() + state.taken_records;
            let until = until.or(state.closed);
            let left = until.map_or(FINISH, |until| until.saturating_duration_since(Instant::now()));
            if undelivered == 0 || left.is_zero() {
                return undelivered;
            }
            let waited = self.progress.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the records of a request.
fn take(state: &mut State) -> Vec<Record> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(record) = state.records.front() {
        let more = bytes + size(record);
        if batch.len() >= MAX_BATCH_RECORDS || (!batch.is_empty() && more > MAX_BATCH_BYTES) {
            break;
        }
        bytes = more;
        batch.extend(state.records.pop_front());
    }
    state.queued -= bytes;
    (state.taken, state.taken_records) = (bytes, batch.len());
    state.since = (!state.records.is_empty()).then(Instant::now);
    batch
}

/// Returns what a record takes in memory.
fn size(record: &Record) -> usize {
    record.bytes.capacity() + RECORD_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn record(bytes: usize) -> Record {
        Record {
            resource: Arc::default(),
            bytes: vec![0; bytes],
        }
    }

    fn batch(queue: &Queue) -> Option<usize> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(queue.batch()).map(|batch| batch.len())
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_also_while_records_are_sent() {
        let queue = Queue::new(2 * (RECORD_BYTES + 10), Source::Live);
        (0..3).for_each(|_| queue.push(record(10)));
        assert_eq!(
            (
                queue.take_dropped(),
                queue.take_dropped(),
                queue.wait(Some(Instant::now()))
            ),
            (1, 0, 2)
        );
        assert_eq!(batch(&queue), Some(2));
        queue.push(record(10));
        assert_eq!((queue.take_dropped(), queue.wait(Some(Instant::now()))), (1, 2));
        queue.delivered(2);
        queue.push(record(10));
        assert_eq!((queue.take_dropped(), queue.wait(Some(Instant::now()))), (2, 1));
    }

    #[test]
    fn a_batch_is_bounded_by_records_and_bytes() {
        let queue = Queue::new(usize::MAX, Source::Live);
        (0..=MAX_BATCH_RECORDS).for_each(|_| queue.push(record(10)));
        assert_eq!(batch(&queue), Some(MAX_BATCH_RECORDS));
        queue.delivered(0);
        queue.push(record(MAX_BATCH_BYTES));
        queue.push(record(10));
        queue.close(Instant::now());
        assert_eq!(
            (batch(&queue), batch(&queue), batch(&queue), batch(&queue)),
            (Some(1), Some(1), Some(1), None)
        );
    }

    #[test]
    fn few_records_wait_for_others_but_not_for_long() {
        let queue = Queue::new(usize::MAX, Source::Live);
        queue.push(record(10));
        assert_eq!(batch(&queue), Some(1));
    }

    #[test]
    fn a_tape_waits_for_room() {
        let queue = Queue::new(RECORD_BYTES + 10, Source::Tape);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| (0..5).for_each(|_| queue.push(record(10))));
            for _ in 0..5 {
                assert_eq!(batch(&queue), Some(1));
                queue.delivered(0);
            }
            sender.join().unwrap();
        });
        assert_eq!((queue.take_dropped(), queue.wait(Some(Instant::now()))), (0, 0));
    }

    #[test]
    fn the_end_waits_for_what_is_sent() {
        let queue = Queue::new(usize::MAX, Source::Live);
        queue.push(record(10));
        assert_eq!(queue.wait(Some(Instant::now())), 1);
        assert_eq!(batch(&queue), Some(1));
        assert_eq!(queue.wait(Some(Instant::now())), 1);
        queue.delivered(0);
        assert_eq!(queue.wait(Some(Instant::now() + Duration::from_mins(1))), 0);
    }
}
