//! The order of heads on each thread.
//!
//! An event loop that reads a request and asks upstream at once does so before it reads anything else, and passes on the head
//! of the response as soon as it has it. Where both are seen, nothing else can be meant.

use std::collections::HashMap;

use crate::limits::MAX_JOINING_THREADS;

/// The last head of each thread.
#[derive(Debug, Default)]
pub(super) struct Threads(HashMap<u32, Last>);

/// The last head of a thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Last {
    /// A request of a client.
    Asked(u64),
    /// A response of an upstream server.
    Answered(u64),
    /// Another one.
    Other,
}

impl Threads {
    /// Sets the last head of a thread, and returns the one before. Beyond the bound of threads, none are known.
    pub(super) fn replace(&mut self, thread: u32, last: Last) -> Last {
        if self.0.len() >= MAX_JOINING_THREADS && !self.0.contains_key(&thread) {
            self.0.clear();
        }
        self.0.insert(thread, last).unwrap_or(Last::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own_last_head_and_threads_are_bounded() {
        let mut threads = Threads::default();
        assert_eq!(threads.replace(1, Last::Asked(7)), Last::Other);
        assert_eq!(threads.replace(2, Last::Answered(8)), Last::Other);
        assert_eq!(threads.replace(1, Last::Other), Last::Asked(7));
        for thread in 0..3 * u32::try_from(MAX_JOINING_THREADS).unwrap() {
            threads.replace(thread, Last::Other);
            assert!(threads.0.len() <= MAX_JOINING_THREADS);
        }
    }
}
