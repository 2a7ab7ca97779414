//! Draining records until it is enough.
//!
//! One thread drains the rings on a timer and watches signals and processes; another one, behind a bounded queue,
//! consumes. When the queue is full the rings hold the records, and the kernel counts what they lose.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ScheduleParams, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tracer_ebpf::SiteCounters;

use super::{
    Outcome,
    arguments::LiveArgs,
    queue::{Queue, Queued, queue},
    say,
};
use crate::{
    attach::Attached,
    pipeline::{Flow, Summary},
    source::{Batch, Totals, drain, now_ns},
    target::find_ended,
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

/// Probes that report, and the processes they sit in.
pub(super) struct Session {
    attached: Attached,
    processes: BTreeMap<u32, OwnedFd>,
    duration: Option<Duration>,
    /// Bytes of one ring.
    ring_bytes: usize,
    /// How long the rings are left alone this time.
    pause: Duration,
    /// When they were last drained, on the clock of the records.
    drained_ns: u64,
    /// Processes that have ended since the last batch.
    ended: Vec<u32>,
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
    /// Takes over probes, and the descriptors that become readable when their processes end.
    pub(super) fn new(attached: Attached, processes: BTreeMap<u32, OwnedFd>, live: &LiveArgs) -> Self {
        Self {
            attached,
            processes,
            duration: live.duration,
            ring_bytes: usize::try_from(live.options().ring_bytes).unwrap_or(usize::MAX),
            pause: LONGEST_PAUSE,
            drained_ns: now_ns(),
            ended: Vec::new(),
        }
    }

    /// Drains into the consumer until it is enough, detaches, and says the totals.
    pub(super) async fn run(mut self, consumer: Box<dyn Consumer>) -> Result<Outcome> {
        let (batches, queue) = queue();
        let (last_word, last_words) = channel();
        let worker = thread::Builder::new().name("decode".to_owned());
        let worker = worker.spawn(move || consume(consumer, queue, &last_words))?;
        hurry();
        let signals = Signals::new()?;
        // Whoever reads this may send a signal at once.
        say("ready");
        let stop = self.drain_until_stopped(&batches, signals).await?;
        self.attached.disable(self.processes.keys().copied())?;
        self.drain_rest(&batches);
        drop(batches);
        let totals = self.totals()?;
        // A worker that failed no longer waits for it; its error comes with the join.
        let _worker_gone = last_word.send(totals).is_err();
        let summary = worker
            .join()
            .map_err(|_panic| anyhow!("the decoder stopped unexpectedly"))??;
        say_totals(summary, totals);
        // Only now, because the kernel takes its time to take probes away.
        drop(self);
        let enough = summary.is_some_and(|summary| summary.enough == Flow::Done);
        if stop == Stop::AllEnded && !enough {
            say("every traced process has ended");
            return Ok(Outcome::Failed);
        }
        Ok(Outcome::Done)
    }

    async fn drain_until_stopped(&mut self, batches: &Queue, mut signals: Signals) -> Result<Stop> {
        let time_is_over = sleep(self.duration.unwrap_or(Duration::MAX));
        tokio::pin!(time_is_over);
        loop {
            tokio::select! {
                () = sleep(self.pause) => {
                    self.forget_ended()?;
                    if self.hand_over(batches) == Flow::Done {
                        return Ok(Stop::Asked);
                    }
                    if self.processes.is_empty() {
                        return Ok(Stop::AllEnded);
                    }
                }
                () = &mut time_is_over => return Ok(Stop::Asked),
                () = signals.any() => return Ok(Stop::Asked),
            }
        }
    }

    /// Notices which processes have ended, and forgets them; their last records are in the rings by then.
    fn forget_ended(&mut self) -> Result<()> {
        for pid in find_ended(self.processes.iter().map(|(pid, pidfd)| (*pid, pidfd)))? {
            self.processes.remove(&pid);
            self.ended.push(pid);
            self.attached.forget(pid)?;
        }
        Ok(())
    }

    /// Drains the rings into the queue, unless the queue is full.
    fn hand_over(&mut self, batches: &Queue) -> Flow {
        if batches.is_full() {
            Flow::Continue
        } else {
            batches.send(self.drain())
        }
    }

    fn drain(&mut self) -> Batch {
        let mut batch = drain(self.attached.rings());
        batch.ended = std::mem::take(&mut self.ended);
        let elapsed = Duration::from_nanos(batch.drained_ns.saturating_sub(self.drained_ns));
        self.drained_ns = batch.drained_ns;
        self.pause = pause(elapsed, batch.len(), self.ring_bytes);
        batch
    }

    /// Drains what is left once nothing is added any more.
    fn drain_rest(&mut self, batches: &Queue) {
        loop {
            let batch = self.drain();
            let last = batch.is_empty();
            if batches.send(batch) == Flow::Done || last {
                return;
            }
        }
    }

    /// Adds up what the kernel counted as lost, and says where.
    fn totals(&self) -> Result<Totals> {
        let mut totals = Totals::default();
        for (site, counters) in self.attached.sites().iter().zip(self.attached.losses()?) {
            for (what, records, bytes) in losses(&counters) {
                totals.lost_records += records;
                totals.lost_bytes += bytes;
                if records > 0 {
                    let path = site.path.display();
                    say(&format!(
                        "lost at {} of {path}: {records} records, {bytes} bytes: {what}",
                        site.function
                    ));
                }
            }
            if counters.over_limit_bytes > 0 {
                let bytes = counters.over_limit_bytes;
                say(&format!(
                    "left out at {}: {bytes} bytes over the limit per call (--call-bytes)",
                    site.function
                ));
            }
        }
        Ok(totals)
    }
}

/// How long to leave the rings alone, so that at the pace of the last time a single one would fill by a quarter: a busy
/// CPU writes 8 MiB full in less than the longest pause.
fn pause(elapsed: Duration, bytes: usize, ring_bytes: usize) -> Duration {
    let quarter = u128::try_from(ring_bytes / 4).unwrap_or(u128::MAX);
    let bytes = u128::try_from(bytes.max(1)).unwrap_or(u128::MAX);
    let nanos = elapsed.as_nanos().saturating_mul(quarter) / bytes;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

/// Every cause of loss of a site: why, records, bytes.
const fn losses(counters: &SiteCounters) -> [(&'static str, u64, u64); 5] {
    let SiteCounters {
        ring_full_records,
        ring_full_bytes,
        fault_records,
        fault_bytes,
        over_limit_bytes: _,
        connection_table_full,
        call_table_full,
        count_unreadable,
    } = *counters;
    [
        ("the ring was full", ring_full_records, ring_full_bytes),
        ("the page was not present", fault_records, fault_bytes),
        ("too many connections", connection_table_full, 0),
        ("too many calls in flight", call_table_full, 0),
        ("the count could not be read", count_unreadable, 0),
    ]
}

/// Lets this thread, and not the decoder's, run before others: it is asleep but for the moment of draining, and beside
/// a gateway that takes every CPU a moment too late is one in which a ring overflows.
fn hurry() {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let lowest = ThreadPriority::from_posix(ScheduleParams { sched_priority: 1 });
    if set_thread_priority_and_policy(thread_native_id(), lowest, policy).is_err() {
        say("draining has no real-time priority (CAP_SYS_NICE): records may be lost beside a busy gateway");
    }
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

/// Says what could not be used, then the one line of totals.
pub(super) fn say_totals(summary: Option<Summary>, totals: Totals) {
    let Totals {
        lost_records,
        lost_bytes,
    } = totals;
    let Summary {
        exchanges,
        half,
        counters,
        enough: _,
    } = summary.unwrap_or_default();
    for line in counters.lines() {
        say(&line);
    }
    say(&format!(
        "exchanges={exchanges} half={half} lost_records={lost_records} lost_bytes={lost_bytes}"
    ));
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

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_pause_lets_a_ring_fill_by_a_quarter_and_no_more() {
        let of = |bytes| pause(Duration::from_millis(5), bytes, 8 * MIB);
        assert_eq!(of(0), LONGEST_PAUSE);
        assert_eq!(of(MIB), LONGEST_PAUSE);
        assert_eq!(of(2 * MIB), Duration::from_millis(5));
        assert_eq!(of(4 * MIB), Duration::from_micros(2500));
        assert_eq!(of(64 * MIB), SHORTEST_PAUSE);
    }
}
