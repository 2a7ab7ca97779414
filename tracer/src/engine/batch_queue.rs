//! The queue of batches from the draining to the decoding thread. It is bounded in bytes, and by its sender: when it is
//! full, the sender leaves records in the rings, where the kernel counts what does not fit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel as unbounded},
};

use tracer_observe::{batch::Batch, pipeline::Flow};

use crate::limits::MAX_QUEUED_BYTES;

/// The sending end.
#[derive(Debug)]
pub(super) struct BatchSender {
    batches: Sender<Batch>,
    bytes: Arc<AtomicUsize>,
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct BatchReceiver {
    batches: Receiver<Batch>,
    bytes: Arc<AtomicUsize>,
}

/// Creates both ends.
pub(super) fn channel() -> (BatchSender, BatchReceiver) {
    let (sender, receiver) = unbounded();
    let bytes = Arc::new(AtomicUsize::new(0));
    (
        BatchSender {
            batches: sender,
            bytes: Arc::clone(&bytes),
        },
        BatchReceiver {
            batches: receiver,
            bytes,
        },
    )
}

impl BatchSender {
    /// Returns whether captured data should stay in the rings.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > MAX_QUEUED_BYTES
    }

    /// Returns whether all records should stay in the rings, those of processes and ends of connections too.
    pub(super) fn is_overfull(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > 2 * MAX_QUEUED_BYTES
    }

    /// Returns the counter of queued bytes, which outlives the sender.
    pub(super) fn queued_bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.bytes)
    }

    /// Adds a batch; returns [`Flow::Done`] if the receiver is gone.
    pub(super) fn send(&self, batch: Batch) -> Flow {
        self.bytes.fetch_add(batch.len(), Ordering::Relaxed);
        if self.batches.send(batch).is_ok() {
            Flow::Continue
        } else {
            Flow::Done
        }
    }
}

impl BatchReceiver {
    /// Waits for a batch; returns `None` once the sender is gone and the queue is empty.
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
    fn the_queue_is_bounded_in_bytes_and_not_in_batches() {
        let (sender, receiver) = channel();
        for _ in 0..1000 {
            assert_eq!(sender.send(Batch::default()), Flow::Continue);
        }
        assert!(!sender.is_full());
        let mut large = Batch::default();
        large.push(&vec![0; MAX_QUEUED_BYTES + 1]);
        sender.send(large);
        assert!(sender.is_full() && !sender.is_overfull());
        let mut more = Batch::default();
        more.push(&vec![0; MAX_QUEUED_BYTES]);
        sender.send(more);
        assert!(sender.is_overfull());
        for _ in 0..=1001 {
            receiver.receive();
        }
        assert!(!sender.is_full());
    }

    #[test]
    fn each_end_notices_that_the_other_is_gone() {
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send(Batch::default()), Flow::Done);
        let (sender, receiver) = channel();
        drop(sender);
        assert_eq!(receiver.receive(), None);
    }
}
