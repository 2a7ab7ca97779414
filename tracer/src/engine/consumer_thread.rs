//! The thread that runs a consumer behind a bounded queue.
//!
//! Its summary is shared while it runs, so that the totals can be printed even if it does not finish in time.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow};
use tracer_capture::attach::SkipTable;
use tracer_observe::{
    batch::{Batch, Totals},
    pipeline::{Flow, Summary},
    redact::{Line, Redacted},
};

use super::batch_queue::{BatchReceiver, BatchSender, channel as batch_channel};
use crate::{audit::Ending, consumer::Consumer, line_queue::LineQueue};

/// The audit line of the end, of which the output is to have one: that of the start, and how the trace ended.
pub(super) type LastLine = (Redacted<Line<'static>>, Ending);

/// The handle on a running consumer.
pub(super) struct ConsumerThread {
    /// `None` once the last batch was sent.
    batches: Option<BatchSender>,
    totals: Option<Sender<(Totals, Option<LastLine>)>>,
    /// Bytes of queued batches.
    undecoded: Arc<AtomicUsize>,
    lines: Option<LineQueue>,
    summary: Arc<Mutex<Option<Summary>>>,
    thread: JoinHandle<Result<()>>,
}

impl ConsumerThread {
    /// Starts the thread. `lines` is the queue of the consumer's output, if it has one; `skips` is told what need not be
    /// captured.
    pub(super) fn start(consumer: Box<dyn Consumer>, lines: Option<LineQueue>, skips: SkipTable) -> Result<Self> {
        let (batches, batch_receiver) = batch_channel();
        let (sender, totals) = channel();
        let summary = Arc::default();
        let shared = Arc::clone(&summary);
        let thread = thread::Builder::new().name("decode".to_owned());
        Ok(Self {
            undecoded: batches.queued_bytes(),
            lines,
            batches: Some(batches),
            totals: Some(sender),
            summary,
            thread: thread.spawn(move || consume(consumer, skips, batch_receiver, &totals, &shared))?,
        })
    }

    /// Returns whether captured data should stay in the rings.
    pub(super) fn is_full(&self) -> bool {
        self.batches.as_ref().is_some_and(BatchSender::is_full)
    }

    /// Returns whether all records should stay in the rings.
    pub(super) fn is_overfull(&self) -> bool {
        self.batches.as_ref().is_some_and(BatchSender::is_overfull)
    }

    /// Queues a batch; returns [`Flow::Done`] if the consumer takes no more.
    pub(super) fn send(&self, batch: Batch) -> Flow {
        self.batches.as_ref().map_or(Flow::Done, |batches| batches.send(batch))
    }

    /// Asks the consumer to stop after the queued batches, and to write the audit line of the end, if there is to be one.
    pub(super) fn conclude(&mut self, totals: Totals, last: Option<LastLine>) {
        self.batches = None;
        if let Some(sender) = self.totals.take() {
            // A consumer that failed is gone; `end` returns its error.
            let _gone = sender.send((totals, last)).is_err();
        }
    }

    /// Returns whether the thread has stopped.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Returns the bytes of queued batches.
    pub(super) fn undecoded(&self) -> u64 {
        self.undecoded.load(Ordering::Relaxed).try_into().unwrap_or(u64::MAX)
    }

    /// Returns the number of lines that are not written.
    pub(super) fn unwritten(&self) -> u64 {
        let unwritten = self.lines.as_ref().map_or(0, LineQueue::unwritten);
        unwritten.try_into().unwrap_or(u64::MAX)
    }

    /// Returns the consumer's summary so far.
    pub(super) fn summary(&self) -> Option<Summary> {
        *self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the summary, or the error if the consumer failed. A thread that is still running is abandoned.
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
    mut skips: SkipTable,
    batches: BatchReceiver,
    totals: &Receiver<(Totals, Option<LastLine>)>,
    shared: &Mutex<Option<Summary>>,
) -> Result<()> {
    let publish = |summary| *shared.lock().unwrap_or_else(PoisonError::into_inner) = summary;
    while let Some(batch) = batches.receive() {
        let flow = consumer.batch(batch)?;
        skips.announce(consumer.skips());
        publish(consumer.summary());
        if flow == Flow::Done {
            break;
        }
    }
    // From here on, `send` returns `Flow::Done`.
    drop(batches);
    let (totals, last) = totals.recv().unwrap_or_default();
    consumer.conclude(totals)?;
    publish(consumer.summary());
    if let Some((start, ending)) = last {
        let exchanges = consumer.summary().map(|summary| summary.exchanges);
        let line = Ending { exchanges, ..ending }.line(&start);
        line.map_or(Ok(()), |line| consumer.audit(&line))?;
    }
    consumer.close()
}
