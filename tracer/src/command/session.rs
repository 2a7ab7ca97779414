//! Draining records until it is enough.
//!
//! One thread drains the rings on a timer and watches signals; another one, behind a bounded queue, consumes; a third
//! follows processes; where descriptors have to be looked at, a fourth does that. When the queue is full the rings hold the records, and the kernel counts what they lose.

use std::{
    os::fd::AsFd as _,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
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
    follow::{Follower, Told},
    lives::Lives,
    looking::Looker,
    queue::{Queue, Queued, queue},
    say,
    totals::{say_losses, say_missing, say_totals},
};
use crate::{
    attach::{Cpus, Rings, Switch},
    limits::MAX_DRAIN_BYTES,
    pipeline::{Flow, Summary},
    source::{Batch, Drained, Drainer, Told as DrainEvent, Totals, now_ns},
};

/// How long the rings are left alone at the most.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// How long they are left alone at the least.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Takes batches, in a thread of its own.
pub(super) trait Consumer: Send + 'static {
    /// Takes one batch.
    fn batch(&mut self, batch: Batch) -> Result<Flow>;

    /// Ends; nothing more will come.
    fn finish(self: Box<Self>, totals: Totals) -> Result<Option<Summary>>;
}

/// Rings that fill, and whom they tell of.
pub(super) struct Session {
    rings: Drainer,
    /// Has CPUs that come online given rings as long as it lives.
    _cpus: Sender<()>,
    switch: Switch,
    duration: Option<Duration>,
    /// How long the rings are left alone this time.
    pause: Duration,
    /// When they were last drained, on the clock of the records.
    drained_ns: u64,
}

/// The thread that follows processes, and the ways to and from it.
struct Following {
    lives: Lives,
    told: Arc<Told>,
    thread: JoinHandle<Follower>,
    looker: Option<Looker>,
}

/// Why draining came to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stop {
    /// A signal, the time is over, or the consumer has enough.
    Asked,
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
            drained_ns: now_ns(),
        })
    }

    /// Lets the probes report, drains into the consumer until it is enough, detaches, and says the totals.
    pub(super) async fn run(mut self, follower: Follower, consumer: Box<dyn Consumer>) -> Result<Outcome> {
        let (batches, queue) = queue();
        let (last_word, last_words) = channel();
        let worker = thread::Builder::new().name("decode".to_owned());
        let worker = worker.spawn(move || consume(consumer, queue, &last_words))?;
        let mut following = Following::start(follower)?;
        if !hurry() {
            say("draining has no real-time priority (CAP_SYS_NICE): records may be lost beside a busy gateway");
        }
        let signals = Signals::new()?;
        self.switch.set(true)?;
        // Whoever reads this may send a signal at once.
        say("ready");
        let stop = self.drain_until_stopped(&batches, &mut following, signals).await?;
        self.switch.set(false)?;
        self.drain_rest(&batches, &mut following);
        drop(batches);
        let mut follower = following.stop()?;
        let totals = say_losses(follower.probes())?;
        // A worker that failed no longer waits for it; its error comes with the join.
        let _worker_gone = last_word.send(totals).is_err();
        let summary = worker
            .join()
            .map_err(|_panic| anyhow!("the decoder stopped unexpectedly"))??;
        say_missing(follower.probes().missing(), summary.as_ref());
        say_totals(summary.as_ref(), totals);
        // Only now, because the kernel takes its time to take probes away.
        drop(follower);
        let enough = summary.is_some_and(|summary| summary.enough == Flow::Done);
        if stop == Stop::AllEnded && !enough {
            say("every traced process has ended");
            return Ok(Outcome::Failed);
        }
        Ok(Outcome::Done)
    }

    async fn drain_until_stopped(
        &mut self,
        batches: &Queue,
        following: &mut Following,
        mut signals: Signals,
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
            if self.hand_over(batches, following) == Flow::Done {
                return Ok(Stop::Asked);
            }
            if following.told.all_ended() {
                return Ok(Stop::AllEnded);
            }
        }
    }

    /// Drains the rings into the queue, unless the queue is full.
    fn hand_over(&mut self, batches: &Queue, following: &mut Following) -> Flow {
        let bound = if batches.is_full() { 0 } else { MAX_DRAIN_BYTES };
        let (batch, _) = self.drain(following, bound);
        // The queue counts bytes, and must not grow without them.
        if bound == 0 && batch.is_empty() {
            return Flow::Continue;
        }
        batches.send(batch)
    }

    fn drain(&mut self, following: &mut Following, bound: usize) -> (Batch, Drained) {
        let mut lives = Vec::new();
        let (mut batch, drained) = self.rings.drain(bound, |told| match (told, &following.looker) {
            (DrainEvent::Life(life), _) => lives.push(life),
            (DrainEvent::Record(record), Some(looker)) => looker.ask(record),
            (DrainEvent::Record(_), None) => {}
        });
        for record in following.told.take_records() {
            batch.push(&record);
        }
        // Sites are announced before their probes are placed: those of all records above are there by now.
        batch.sites = following.told.take_sites();
        following.lives.tell(lives);
        let elapsed = Duration::from_nanos(batch.drained_ns.saturating_sub(self.drained_ns));
        self.drained_ns = batch.drained_ns;
        self.pause = pause(elapsed, drained);
        (batch, drained)
    }

    /// Drains what is left once nothing is added any more.
    fn drain_rest(&mut self, batches: &Queue, following: &mut Following) {
        loop {
            let (batch, drained) = self.drain(following, MAX_DRAIN_BYTES);
            let last = batch.is_empty() && !drained.leftover;
            if batches.send(batch) == Flow::Done || last {
                return;
            }
        }
    }
}

impl Following {
    fn start(mut follower: Follower) -> Result<Self> {
        let (lives, received) = Lives::channel();
        let told = follower.told();
        let looker = if follower.probes().watches_sockets() {
            None
        } else {
            Some(Looker::start(Arc::clone(&told))?)
        };
        let thread = thread::Builder::new().name("follow".to_owned());
        Ok(Self {
            lives,
            told,
            thread: thread.spawn(move || follower.run(&received))?,
            looker,
        })
    }

    fn stop(self) -> Result<Follower> {
        drop(self.lives);
        let refused = self.looker.map_or(Ok(0), Looker::stop)?;
        if refused > 0 {
            say(&format!("descriptors not looked at, too many at once: {refused}"));
        }
        self.thread
            .join()
            .map_err(|_panic| anyhow!("following stopped unexpectedly"))
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

/// The consumer's thread.
fn consume(mut consumer: Box<dyn Consumer>, queue: Queued, last_word: &Receiver<Totals>) -> Result<Option<Summary>> {
    while let Some(batch) = queue.receive() {
        if consumer.batch(batch)? == Flow::Done {
            break;
        }
    }
    // Whoever drains finds out by this that nobody takes batches any more.
    drop(queue);
    consumer.finish(last_word.recv().unwrap_or_default())
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
