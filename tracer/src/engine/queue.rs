//! Batches on their way from the thread that drains to the thread that decodes, bounded in bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use tracer_observe::{batch::Batch, pipeline::Flow};

use crate::limits::MAX_QUEUED_BYTES;

/// The end that drains.
#[derive(Debug)]
pub(super) struct Queue {
    batches: Sender<Batch>,
    bytes: Arc<AtomicUsize>,
}

/// The end that decodes.
#[derive(Debug)]
pub(super) struct Queued {
    batches: Receiver<Batch>,
    bytes: Arc<AtomicUsize>,
}

/// Makes both ends.
pub(super) fn queue() -> (Queue, Queued) {
    let (sender, receiver) = channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    (
        Queue {
            batches: sender,
            bytes: Arc::clone(&bytes),
        },
        Queued {
            batches: receiver,
            bytes,
        },
    )
}

impl Queue {
    /// Tells whether so much waits that the rings had better hold what comes.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > MAX_QUEUED_BYTES
    }

    /// Returns whether so much waits that nothing at all may be added: then the rings of processes and ends hold what comes,
    /// too.
    pub(super) fn is_overfull(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > 2 * MAX_QUEUED_BYTES
    }

    /// Counts the bytes that wait, now and later.
    pub(super) fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.bytes)
    }

    /// Adds a batch; [`Flow::Done`] when nobody takes batches any more.
    pub(super) fn send(&self, batch: Batch) -> Flow {
        self.bytes.fetch_add(batch.len(), Ordering::Relaxed);
        if self.batches.send(batch).is_ok() {
            Flow::Continue
        } else {
            Flow::Done
        }
    }
}

impl Queued {
    /// Waits for a batch; `None` once nothing more will come.
    pub(super) fn receive(&self) -> Option<Batch> {
        let batch = self.batches.recv().ok()?;
        self.bytes.fetch_sub(batch.len(), Ordering::Relaxed);
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_full_beyond_its_bytes_and_not_beyond_its_batches() {
        let (queue, queued) = queue();
        for _ in 0..1000 {
            assert_eq!(queue.send(Batch::default()), Flow::Continue);
        }
        assert!(!queue.is_full());
        let mut large = Batch::default();
        large.push(&vec![0; MAX_QUEUED_BYTES + 1]);
        queue.send(large);
        assert!(queue.is_full() && !queue.is_overfull());
        let mut more = Batch::default();
        more.push(&vec![0; MAX_QUEUED_BYTES]);
        queue.send(more);
        assert!(queue.is_overfull());
        for _ in 0..=1001 {
            queued.receive();
        }
        assert!(!queue.is_full());
    }

    #[test]
    fn each_end_finds_out_that_the_other_is_gone() {
        let (queue_end, queued) = queue();
        drop(queued);
        assert_eq!(queue_end.send(Batch::default()), Flow::Done);
        let (queue_end, queued) = queue();
        drop(queue_end);
        assert_eq!(queued.receive(), None);
    }
}
