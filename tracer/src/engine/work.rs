//! The thread that consumes batches, behind a bounded queue.
//!
//! In: batches, and at the end the totals. Out: what the consumer makes of them, and how far it has come: when it does
//! not come to its end in time, that is what the totals say.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow};
use tracer_observe::{
    batch::{Batch, Totals},
    pipeline::{Flow, Summary},
};

use super::queue::{Queue, Queued, queue};
use crate::{consumer::Consumer, writer::Queue as Lines};

/// A consumer at work.
pub(super) struct Work {
    batches: Option<Queue>,
    totals: Option<Sender<Totals>>,
    /// Bytes of batches that wait.
    undecoded: Arc<AtomicUsize>,
    lines: Option<Lines>,
    progress: Arc<Mutex<Option<Summary>>>,
    thread: JoinHandle<Result<()>>,
}

impl Work {
    /// Starts the thread. `lines` is where the consumer's lines wait, if it does not write them itself.
    pub(super) fn start(consumer: Box<dyn Consumer>, lines: Option<Lines>) -> Result<Self> {
        let (batches, queued) = queue();
        let (sender, totals) = channel();
        let progress = Arc::default();
        let shared = Arc::clone(&progress);
        let thread = thread::Builder::new().name("decode".to_owned());
        Ok(Self {
            undecoded: batches.counter(),
            lines,
            batches: Some(batches),
            totals: Some(sender),
            progress,
            thread: thread.spawn(move || consume(consumer, queued, &totals, &shared))?,
        })
    }

    /// Returns whether so much waits that the rings had better hold what comes.
    pub(super) fn is_full(&self) -> bool {
        self.batches.as_ref().is_some_and(Queue::is_full)
    }

    /// Returns whether so much waits that nothing at all is to be handed over.
    pub(super) fn is_overfull(&self) -> bool {
        self.batches.as_ref().is_some_and(Queue::is_overfull)
    }

    /// Hands over a batch; [`Flow::Done`] when no more are taken.
    pub(super) fn send(&self, batch: Batch) -> Flow {
        self.batches.as_ref().map_or(Flow::Done, |batches| batches.send(batch))
    }

    /// Has it come to its end once all that was handed over is consumed.
    pub(super) fn conclude(&mut self, totals: Totals) {
        self.batches = None;
        if let Some(sender) = self.totals.take() {
            // One that failed no longer waits for it; its error comes with its end.
            let _gone = sender.send(totals).is_err();
        }
    }

    /// Returns whether it has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// How many bytes wait to be decoded.
    pub(super) fn undecoded(&self) -> u64 {
        self.undecoded.load(Ordering::Relaxed).try_into().unwrap_or(u64::MAX)
    }

    /// How many lines wait to be written.
    pub(super) fn unwritten(&self) -> u64 {
        let waiting = self.lines.as_ref().map_or(0, Lines::waiting);
        waiting.try_into().unwrap_or(u64::MAX)
    }

    /// What it has come to so far.
    pub(super) fn summary(&self) -> Option<Summary> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its end; why it failed, if it has. One that is still at work is given up.
    pub(super) fn end(self) -> Result<Option<Summary>> {
        let summary = self.summary();
        if self.thread.is_finished() {
            let ended = self.thread.join();
            ended.map_err(|_panic| anyhow!("the decoder stopped unexpectedly"))??;
        }
        Ok(summary)
    }
}

fn consume(
    mut consumer: Box<dyn Consumer>,
    queue: Queued,
    totals: &Receiver<Totals>,
    progress: &Mutex<Option<Summary>>,
) -> Result<()> {
    let tell = |summary| *progress.lock().unwrap_or_else(PoisonError::into_inner) = summary;
    while let Some(batch) = queue.receive() {
        let flow = consumer.batch(batch)?;
        tell(consumer.summary());
        if flow == Flow::Done {
            break;
        }
    }
    // Whoever drains finds out by this that nobody takes batches any more.
    drop(queue);
    consumer.conclude(totals.recv().unwrap_or_default())?;
    tell(consumer.summary());
    consumer.close()
}
