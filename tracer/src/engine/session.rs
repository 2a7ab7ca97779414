//! Draining records until it is enough.
//!
//! One thread drains the rings on a timer and watches signals; another one, behind a bounded queue, consumes; a third
//! follows processes, and where descriptors have to be looked at, a fourth does that; what is printed is written by a
//! thread of its own, and what is said by another. When the queue is full the rings hold the records, and the kernel
//! counts what they lose; processes are followed all the same.

use std::{os::fd::AsFd as _, sync::mpsc::Sender, time::Duration};

use anyhow::Result;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ScheduleParams, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

use super::{
    Outcome,
    arguments::LiveArgs,
    cpus,
    follow::Follower,
    following::Following,
    say,
    work::{Consumer, Work},
};
use crate::{
    attach::{Cpus, Rings, Switch},
    health::{Figures, Subject},
    limits::MAX_DRAIN_BYTES,
    pipeline::Flow,
    source::{Batch, Drained, Drainer, now_ns},
};

/// How long the rings are left alone at the most.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// How long they are left alone at the least.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Rings that fill, and whom they tell of.
pub(super) struct Session {
    rings: Drainer,
    /// Has CPUs that come online given rings as long as it lives.
    _cpus: Sender<()>,
    switch: Switch,
    duration: Option<Duration>,
    /// How long the rings are left alone this time.
    pause: Duration,
    /// What was refused, and not handed over because the queue was full.
    unsent: Vec<(Subject, Figures)>,
    /// When they were last drained, on the clock of the records.
    drained_ns: u64,
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
    /// Takes over the rings.
    pub(super) fn new(rings: Rings, cpus: Cpus, switch: Switch, live: &LiveArgs) -> Result<Self> {
        Ok(Self {
            rings: Drainer::new(rings)?,
            _cpus: cpus::watch(cpus)?,
            switch,
            duration: live.duration,
            pause: LONGEST_PAUSE,
            unsent: Vec::new(),
            drained_ns: now_ns(),
        })
    }

    /// Lets the probes report, drains into the consumer until it is enough, detaches, and says the totals. A signal while
    /// it ends is the end.
    pub(super) async fn run(mut self, follower: Follower, consumer: Box<dyn Consumer>) -> Result<Outcome> {
        let work = Work::start(consumer)?;
        let mut following = Following::start(follower)?;
        if !hurry() {
            say("draining has no real-time priority (CAP_SYS_NICE): records may be lost beside a busy gateway");
        }
        let mut signals = Signals::new()?;
        self.switch.set(true)?;
        // Whoever reads this may send a signal at once.
        say("ready");
        let stop = self.drain_until_stopped(&work, &mut following, &mut signals).await?;
        tokio::select! {
            outcome = self.end(stop, work, following) => outcome,
            () = signals.any() => Ok(Outcome::Done),
        }
    }

    async fn drain_until_stopped(
        &mut self,
        work: &Work,
        following: &mut Following,
        signals: &mut Signals,
    ) -> Result<Stop> {
        let time_is_over = sleep(self.duration.unwrap_or(Duration::MAX));
        let urgent = self.rings.as_fd().try_clone_to_owned()?;
        // SAFETY: an owned descriptor stays open, and stays the same, until it is dropped.
        let urgent = unsafe { AsyncFd::register_with_interest(urgent, Interest::READABLE) }?;
        tokio::pin!(time_is_over);
        loop {
            tokio::select! {
                () = sleep(self.pause) => {}
                ready = urgent.readable() => ready?.clear_ready(),
                () = &mut time_is_over => return Ok(Stop::Asked),
                () = signals.any() => return Ok(Stop::Asked),
            }
            if self.hand_over(work, following) == Flow::Done {
                return Ok(Stop::Enough);
            }
            if following.all_ended() {
                return Ok(Stop::AllEnded);
            }
        }
    }

    /// Lets the probes report nothing more.
    pub(super) fn stop_reporting(&mut self) -> Result<()> {
        Ok(self.switch.set(false)?)
    }

    /// Drains the rings into the queue; if that is full, what happened to processes alone.
    pub(super) fn hand_over(&mut self, work: &Work, following: &mut Following) -> Flow {
        if work.is_overfull() {
            return Flow::Continue;
        }
        let bound = if work.is_full() { 0 } else { MAX_DRAIN_BYTES };
        let (mut batch, _) = self.drain(following, bound);
        // The queue counts bytes, and must not grow without them.
        if bound == 0 && batch.is_empty() {
            self.unsent.append(&mut batch.health);
            // What was refused is worth keeping, and comes every other second.
            self.unsent.retain(|(_, figures)| figures.dropped > 0);
            return Flow::Continue;
        }
        batch.health.append(&mut self.unsent);
        work.send(batch)
    }

    /// Drains what is left once nothing is added any more; returns whether that was all, or nobody takes it.
    pub(super) fn hand_over_rest(&mut self, work: &Work, following: &mut Following) -> bool {
        while !work.is_full() {
            let (batch, drained) = self.drain(following, MAX_DRAIN_BYTES);
            let last = batch.is_empty() && !drained.leftover;
            if work.send(batch) == Flow::Done || last {
                return true;
            }
        }
        false
    }

    /// How many bytes the rings still hold.
    pub(super) fn left_over(&self) -> u64 {
        self.rings.left_over()
    }

    fn drain(&mut self, following: &mut Following, bound: usize) -> (Batch, Drained) {
        let mut lives = Vec::new();
        let (mut batch, drained) = self.rings.drain(bound, |event| following.take(event, &mut lives));
        following.exchange(lives, &mut batch);
        let (used, capacity) = drained.fullest;
        let figures = Figures {
            used: Some(used),
            capacity: Some(capacity),
            dropped: 0,
        };
        batch.health.push((Subject::Ring, figures));
        let elapsed = Duration::from_nanos(batch.drained_ns.saturating_sub(self.drained_ns));
        self.drained_ns = batch.drained_ns;
        self.pause = pause(elapsed, drained);
        (batch, drained)
    }
}

/// How long to leave the rings alone, so that at the pace of the last time the fullest of them would fill by a quarter: a
/// busy CPU writes a ring full in little more than the longest pause.
fn pause(elapsed: Duration, drained: Drained) -> Duration {
    let Drained {
        fullest: (filled, capacity),
        leftover,
    } = drained;
    if leftover {
        return SHORTEST_PAUSE;
    }
    let nanos = elapsed.as_nanos().saturating_mul(u128::from(capacity / 4)) / u128::from(filled.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// Lets this thread, and not the decoder's, run before others: it is asleep but for the moment of draining, and beside
/// a gateway that takes every CPU a moment too late is one in which a ring overflows. Tells whether it may.
pub(super) fn hurry() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let lowest = ThreadPriority::from_posix(ScheduleParams { sched_priority: 1 });
    set_thread_priority_and_policy(thread_native_id(), lowest, policy).is_ok()
}

/// The signals that mean: enough.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self([
            of(SignalKind::interrupt())?,
            of(SignalKind::terminate())?,
            of(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_pause_lets_the_fullest_ring_fill_by_a_quarter_and_no_more() {
        let of = |filled| {
            let fullest = (filled, 8 * MIB);
            let leftover = false;
            pause(Duration::from_millis(5), Drained { fullest, leftover })
        };
        assert_eq!(of(0), LONGEST_PAUSE);
        assert_eq!(of(MIB), LONGEST_PAUSE);
        assert_eq!(of(2 * MIB), Duration::from_millis(5));
        assert_eq!(of(4 * MIB), Duration::from_micros(2500));
        assert_eq!(of(64 * MIB), SHORTEST_PAUSE);
    }

    #[test]
    fn what_was_left_over_is_read_as_soon_as_may_be() {
        let fullest = (MIB, 8 * MIB);
        let leftover = true;
        let drained = Drained { fullest, leftover };
        assert_eq!(pause(Duration::from_millis(5), drained), SHORTEST_PAUSE);
    }
}
