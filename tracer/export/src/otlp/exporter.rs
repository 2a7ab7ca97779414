//! The thread that sends records.

use std::{sync::Arc, thread, time::Instant};

use tokio::runtime::Builder;
use tracer_observe::batch::Source;

use super::{
    Error,
    options::{Target, Url},
    queue::Queue,
    record::Record,
    sender::Sender,
    signal::Signal,
    transport::Client,
    voice::Voice,
};
use crate::limits::{FINISH, FINISH_QUIETLY, MAX_QUEUED_BYTES};

/// Sends records of each signal that is asked for.
pub(super) struct Exporter {
    lanes: Vec<Lane>,
    say: fn(&str),
}

/// The way of the records of a signal.
struct Lane {
    signal: Signal,
    url: Url,
    queue: Arc<Queue>,
}

impl Exporter {
    /// Starts the thread.
    pub(super) fn start(targets: &[Target], source: Source, say: fn(&str)) -> Result<Self, Error> {
        let mut lanes = Vec::new();
        let mut senders = Vec::new();
        for target in targets {
            let client = Client::new(target)?;
            let url = client.url().clone();
            let queue = Arc::new(Queue::new(MAX_QUEUED_BYTES, source));
            let what = format!("{} to {url}", target.signal.records());
            senders.push(Sender {
                queue: Arc::clone(&queue),
                client,
                voice: Voice::new(say, what),
            });
            lanes.push(Lane {
                signal: target.signal,
                url,
                queue,
            });
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            let tasks: Vec<_> = senders.into_iter().map(|sender| runtime.spawn(sender.run())).collect();
            runtime.block_on(async {
                for task in tasks {
                    drop(task.await);
                }
            });
            // The look-up of a name may go on.
            runtime.shutdown_background();
        })?;
        Ok(Self { lanes, say })
    }

    /// Returns whether a signal is sent.
    pub(super) fn sends(&self, signal: Signal) -> bool {
        self.lanes.iter().any(|lane| lane.signal == signal)
    }

    /// Queues a record, or drops it.
    pub(super) fn push(&self, signal: Signal, record: Record) {
        if let Some(lane) = self.lanes.iter().find(|lane| lane.signal == signal) {
            lane.queue.push(record);
        }
    }

    /// Returns how many records were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.queue.take_dropped()).sum()
    }

    /// Waits until all records are delivered, for a bounded time. Tells how many are not.
    pub(super) fn finish(self) {
        let began = Instant::now();
        for lane in &self.lanes {
            lane.queue.close(began + FINISH);
        }
        for lane in &self.lanes {
            let Lane { signal, url, queue } = lane;
            let records = signal.records();
            let undelivered = queue.wait(Some(began + FINISH_QUIETLY));
            if undelivered > 0 {
                (self.say)(&format!("{records} still being sent to {url}: {undelivered}"));
            }
            let undelivered = u64::try_from(queue.wait(None)).unwrap_or(u64::MAX);
            let lost = undelivered.saturating_add(queue.take_dropped());
            if lost > 0 {
                (self.say)(&format!("{records} not sent to {url}: {lost}"));
            }
        }
    }
}
