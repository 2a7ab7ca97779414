//! The main loop of a trace.
//!
//! The main thread drains the rings and waits for signals. It must never block, so everything slow has a thread of its
//! own: the consumer, behind a bounded queue; following processes and looking up descriptors, in `tracer-capture`; writing
//! output and messages. When the queue is full, captured data stays in the rings and the kernel counts what does not fit.
//! Process events are still read, so that processes are followed, until the queue holds twice its bound.

use std::{os::fd::AsFd as _, time::Duration};

use anyhow::Result;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};
use tracer_capture::session::{Attached, Capture};
use tracer_observe::{
    audit::Ended,
    health::{Figures, Subject},
    pipeline::Flow,
};

use super::{consumer_thread::ConsumerThread, signals::Signals};
use crate::{
    limits::MAX_DRAIN_BYTES,
    messages::say,
    service::{self, Watchdog},
};

/// A capture and its consumer.
pub(super) struct Session {
    pub(super) capture: Capture,
    pub(super) consumer: ConsumerThread,
    duration: Option<Duration>,
    /// Health of batches that were not sent because the queue was full.
    unsent_health: Vec<(Subject, Figures)>,
}

/// Why draining stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// A signal, or the end of `--duration`.
    Requested(Ended),
    /// The consumer needs no more, or failed.
    Enough,
    /// Every traced process has exited.
    AllEnded,
}

impl Session {
    /// Starts the threads of the capture. The probes are not enabled yet.
    pub(super) fn start(attached: Attached, duration: Option<Duration>, consumer: ConsumerThread) -> Result<Self> {
        Ok(Self {
            consumer,
            capture: attached.start()?,
            duration,
            unsent_health: Vec::new(),
        })
    }

    /// Enables the probes and drains until the trace ends.
    pub(super) async fn drain_until_stopped(&mut self, signals: &mut Signals) -> Result<Stop> {
        self.capture.start_reporting()?;
        // Printed only now that signals are handled: a script that waits for this line may send one at once.
        say("ready");
        service::ready();
        let mut watchdog = Watchdog::start();
        let time_is_over = sleep(self.duration.unwrap_or(Duration::MAX));
        let wakeup = self.capture.as_fd().try_clone_to_owned()?;
        // SAFETY: the `AsyncFd` owns the descriptor and never replaces it, so it stays open and refers to the same file
        // until it is deregistered and closed on drop.
        let wakeup = unsafe { AsyncFd::register_with_interest(wakeup, Interest::READABLE) }?;
        tokio::pin!(time_is_over);
        loop {
            tokio::select! {
                () = sleep(self.capture.pause()) => {}
                ready = wakeup.readable() => ready?.clear_ready(),
                () = &mut time_is_over => return Ok(Stop::Requested(Ended::Duration)),
                ended = signals.any() => return Ok(Stop::Requested(ended)),
            }
            watchdog.feed();
            if self.drain() == Flow::Done {
                return Ok(Stop::Enough);
            }
            if self.capture.all_ended() {
                return Ok(Stop::AllEnded);
            }
        }
    }

    /// Drains the rings into the queue; without captured data if the queue is full.
    pub(super) fn drain(&mut self) -> Flow {
        if self.consumer.is_overfull() {
            return Flow::Continue;
        }
        let bound = if self.consumer.is_full() { 0 } else { MAX_DRAIN_BYTES };
        let (mut batch, _) = self.capture.drain(bound);
        // The queue is bounded in bytes: batches without records must not pile up in it.
        if bound == 0 && batch.is_empty() {
            self.unsent_health.append(&mut batch.health);
            // Fill levels would be outdated when they are sent. Counts of dropped records are kept; they come every other
            // second at most.
            self.unsent_health.retain(|(_, figures)| figures.dropped > 0);
            return Flow::Continue;
        }
        batch.health.append(&mut self.unsent_health);
        self.consumer.send(batch)
    }

    /// Drains the rest after the probes were disabled. Returns false if the queue is full and this must be called again.
    pub(super) fn drain_rest(&mut self) -> bool {
        while !self.consumer.is_full() {
            let (batch, leftover) = self.capture.drain(MAX_DRAIN_BYTES);
            let last = batch.is_empty() && !leftover;
            if self.consumer.send(batch) == Flow::Done || last {
                return true;
            }
        }
        false
    }
}
