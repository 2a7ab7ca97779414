//! The messages that wait to be sent. They are bounded in bytes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A queue between the sink and the thread that sends.
#[derive(Debug)]
pub(super) struct Queue {
    bound: usize,
    state: Mutex<State>,
    /// There are messages, the queue is closed, or the thread has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Vec<u8>>,
    /// Their bytes, and those of messages that were taken and not sent.
    bytes: usize,
    taken: usize,
    /// Messages dropped since the last report.
    dropped: u64,
    /// Until when messages may still be sent, once no more come.
    closed: Option<Instant>,
    ended: bool,
}

impl Queue {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds a message; drops and counts it if there is no room.
    pub(super) fn push(&self, message: Vec<u8>) {
        let mut state = self.lock();
        if state.bytes.saturating_add(message.len()) > self.bound || state.ended {
            state.dropped += 1;
            return;
        }
        state.bytes += message.len();
        if state.messages.is_empty() {
            self.changed.notify_all();
        }
        state.messages.push_back(message);
    }

    /// Waits for messages and takes them, up to so many bytes but at least one. Returns false if no more come.
    pub(super) fn take(&self, into: &mut VecDeque<Vec<u8>>, at_once: usize) -> bool {
        let mut state = self.lock();
        while state.messages.is_empty() {
            if state.closed.is_some() {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut bytes = 0;
        while let Some(message) = state.messages.front()
            && (bytes == 0 || bytes + message.len() <= at_once)
        {
            bytes += message.len();
            into.extend(state.messages.pop_front());
            state.taken += 1;
        }
        true
    }

    /// Frees the room of messages that were sent.
    pub(super) fn sent(&self, messages: usize, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.taken = state.taken.saturating_sub(messages);
    }

    /// Frees the room of a message that cannot be sent, and counts it.
    pub(super) fn drop_taken(&self, bytes: usize) {
        self.sent(1, bytes);
        self.lock().dropped += 1;
    }

    /// Waits for a time; returns false if nothing may be sent any more.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.closed.is_some_and(|closed| now >= closed) {
                return false;
            }
            let until = state.closed.map_or(until, |closed| closed.min(until));
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return true;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns whether nothing may be sent any more.
    pub(super) fn is_over(&self) -> bool {
        self.lock().closed.is_some_and(|closed| Instant::now() >= closed)
    }

    /// Takes no more messages, and lets those that wait be sent until then.
    pub(super) fn close(&self, until: Instant) {
        self.lock().closed = Some(until);
        self.changed.notify_all();
    }

    /// Waits until then, or until nothing more is sent. Returns how many messages are not sent.
    pub(super) fn wait(&self, until: Instant) -> usize {
        let mut state = self.lock();
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.messages.len() + state.taken
    }

    /// Takes note that the thread has ended.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Returns how many messages were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_until_messages_are_sent() {
        let queue = Queue::new(10);
        for length in [4, 4, 4, 2] {
            queue.push(vec![b'x'; length]);
        }
        assert_eq!((queue.take_dropped(), queue.take_dropped()), (1, 0));
        let mut taken = VecDeque::new();
        assert!(queue.take(&mut taken, 8));
        assert_eq!(taken.len(), 2);
        queue.push(vec![b'x'; 1]);
        assert_eq!(queue.take_dropped(), 1);
        queue.sent(2, 8);
        queue.push(vec![b'x'; 8]);
        assert_eq!(queue.take_dropped(), 0);
    }

    #[test]
    fn a_closed_queue_gives_the_rest_and_says_what_was_not_sent() {
        let queue = Queue::new(100);
        queue.push(vec![b'x'; 4]);
        queue.push(vec![b'x'; 4]);
        let now = Instant::now();
        queue.close(now);
        assert_eq!(queue.wait(now), 2);
        assert!(queue.is_over() && !queue.pause(Duration::from_mins(1)));
        let mut taken = VecDeque::new();
        assert!(queue.take(&mut taken, 1) && queue.take(&mut taken, 1) && !queue.take(&mut taken, 1));
        queue.sent(2, 8);
        assert_eq!(queue.wait(now), 0);
    }
}
