//! Draining records until it is enough.
//!
//! One thread drains the rings on a timer and watches signals; another one, behind a bounded queue, consumes; a third
//! follows processes, and where descriptors have to be looked up, a fourth does that; what is printed is written by a
//! thread of its own, and what is said by another. When the queue is full the rings hold the records, and the kernel
//! counts what they lose; processes are followed all the same.

use std::{os::fd::AsFd as _, time::Duration};

use anyhow::Result;
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tracer_capture::session::{Attached, Capture};
use tracer_observe::{
    health::{Figures, Subject},
    pipeline::Flow,
};

use super::work::Work;
use crate::{limits::MAX_DRAIN_BYTES, messages::say};

/// A capture, and the thread that consumes what it gives.
pub(super) struct Session {
    pub(super) capture: Capture,
    pub(super) work: Work,
    duration: Option<Duration>,
    /// What was refused, and not handed over because the queue was full.
    unsent: Vec<(Subject, Figures)>,
}

/// Why draining came to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// A signal, or the time is over.
    Asked,
    /// The consumer has enough, or failed.
    Enough,
    /// There is nothing left to trace.
    AllEnded,
}

impl Session {
    /// Starts the threads; the probes do not report yet.
    pub(super) fn start(attached: Attached, duration: Option<Duration>, work: Work) -> Result<Self> {
        Ok(Self {
            work,
            capture: attached.start()?,
            duration,
            unsent: Vec::new(),
        })
    }

    /// Lets the probes report, and drains into the consumer until it is enough.
    pub(super) async fn drain_until_stopped(&mut self, signals: &mut Signals) -> Result<Stop> {
        self.capture.start_reporting()?;
        // Whoever reads this may send a signal at once.
        say("ready");
        let time_is_over = sleep(self.duration.unwrap_or(Duration::MAX));
        let urgent = self.capture.as_fd().try_clone_to_owned()?;
        // SAFETY: an owned descriptor stays open, and stays the same, until it is dropped.
        let urgent = unsafe { AsyncFd::register_with_interest(urgent, Interest::READABLE) }?;
        tokio::pin!(time_is_over);
        loop {
            tokio::select! {
                () = sleep(self.capture.pause()) => {}
                ready = urgent.readable() => ready?.clear_ready(),
                () = &mut time_is_over => return Ok(Stop::Asked),
                () = signals.any() => return Ok(Stop::Asked),
            }
            if self.hand_over() == Flow::Done {
                return Ok(Stop::Enough);
            }
            if self.capture.all_ended() {
                return Ok(Stop::AllEnded);
            }
        }
    }

    /// Drains the rings into the queue; if that is full, what happened to processes alone.
    pub(super) fn hand_over(&mut self) -> Flow {
        if self.work.is_overfull() {
            return Flow::Continue;
        }
        let bound = if self.work.is_full() { 0 } else { MAX_DRAIN_BYTES };
        let (mut batch, _) = self.capture.drain(bound);
        // The queue counts bytes, and must not grow without them.
        if bound == 0 && batch.is_empty() {
            self.unsent.append(&mut batch.health);
            // What was refused is worth keeping, and comes every other second.
            self.unsent.retain(|(_, figures)| figures.dropped > 0);
            return Flow::Continue;
        }
        batch.health.append(&mut self.unsent);
        self.work.send(batch)
    }

    /// Drains what is left once nothing is added any more; returns whether that was all, or nobody takes it.
    pub(super) fn hand_over_rest(&mut self) -> bool {
        while !self.work.is_full() {
            let (batch, leftover) = self.capture.drain(MAX_DRAIN_BYTES);
            let last = batch.is_empty() && !leftover;
            if self.work.send(batch) == Flow::Done || last {
                return true;
            }
        }
        false
    }
}

/// The signals that mean: enough.
pub(super) struct Signals([Signal; 3]);

impl Signals {
    pub(super) fn new() -> Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self([
            of(SignalKind::interrupt())?,
            of(SignalKind::terminate())?,
            of(SignalKind::hangup())?,
        ]))
    }

    pub(super) async fn any(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
