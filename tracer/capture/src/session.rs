//! A capture as a whole: probes in place, rings that fill, and processes that are followed as they live.
//!
//! A thread follows processes, another one adds rings for CPUs that come online, and where descriptors have to be looked
//! up, a third does that. Whoever owns a [`Capture`] drains it, on its own thread.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::mpsc::Sender,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;
use tracer_observe::{
    batch::{Batch, Header, Totals},
    health::{Figures, Subject},
};

use crate::{
    attach::{Cpus, Kernel, Missing, Options, Probes, Rings, Switch},
    clock::{boot_unix_ns, now_ns},
    cpus,
    follow::Follower,
    follower_handle::FollowerHandle,
    losses::say_losses,
    message::Messages,
    rings::{Drained, Drainer},
    target::{self, Selection},
    thread::set_realtime,
};

/// How long the rings are left alone at the most.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// How long they are left alone at the least.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Probes that are in place and do not report yet.
pub struct Attached {
    follower: Follower,
    rings: Rings,
    cpus: Cpus,
    switch: Switch,
    messages: Messages,
}

impl Attached {
    /// Loads the programs and attaches to what the selection finds now. Says of each process what is traced, and what is
    /// not and why; fails if nothing can be traced, now or later.
    pub fn attach(kernel: &Kernel, options: Options, selection: Selection, messages: Messages) -> Result<Self> {
        let (probes, rings, cpus, switch) = Probes::load(kernel, options)?;
        let mut follower = Follower::new(probes, selection, rings.mappings.is_some(), messages);
        follower.begin()?;
        Ok(Self {
            follower,
            rings,
            cpus,
            switch,
            messages,
        })
    }

    /// What the first batch is preceded by. Sites come with the first batch, as those do that come later.
    pub fn header(&self) -> Header {
        Header {
            own_netns: target::own_netns(),
            boot_unix_ns: boot_unix_ns(),
            processes: self.follower.entries(),
            ..Header::default()
        }
    }

    /// Starts the threads; the probes still do not report.
    pub fn start(self) -> Result<Capture> {
        let Self {
            follower,
            rings,
            cpus,
            switch,
            messages,
        } = self;
        Ok(Capture {
            rings: Drainer::new(rings)?,
            _cpus: cpus::watch(cpus, messages)?,
            switch,
            following: FollowerHandle::start(follower, messages)?,
            messages,
            pause: LONGEST_PAUSE,
            drained_ns: now_ns(),
        })
    }
}

/// Rings that fill while processes are followed. Probes are removed when it is dropped, or by [`Self::detach`].
pub struct Capture {
    rings: Drainer,
    /// Has CPUs that come online given rings as long as it lives.
    _cpus: Sender<()>,
    switch: Switch,
    following: FollowerHandle,
    messages: Messages,
    /// How long the rings are left alone this time.
    pause: Duration,
    /// When they were last drained, on the clock of the records.
    drained_ns: u64,
}

/// What is known once processes are no longer followed.
pub struct Detaching {
    /// What was lost in all.
    pub totals: Totals,
    /// What the kernel does not offer.
    pub missing: Vec<Missing>,
    /// The thread that removes the probes: the kernel takes its time over them.
    pub thread: JoinHandle<()>,
}

impl Capture {
    /// Lets the probes report. The calling thread is the one that drains: it gets real-time priority if it may.
    pub fn start_reporting(&mut self) -> Result<()> {
        if !set_realtime() {
            self.messages
                .say("draining has no real-time priority (CAP_SYS_NICE): records may be lost beside a busy gateway");
        }
        Ok(self.switch.set(true)?)
    }

    /// Lets the probes report nothing more; what is in the rings can still be drained.
    pub fn stop_reporting(&mut self) -> Result<()> {
        Ok(self.switch.set(false)?)
    }

    /// Takes up to `bound` bytes of what was captured, and everything about processes and health. The second value is
    /// true if the bound left something in the rings.
    pub fn drain(&mut self, bound: usize) -> (Batch, bool) {
        let mut lives = Vec::new();
        let following = &self.following;
        let (mut batch, drained) = self.rings.drain(bound, |event| following.take(event, &mut lives));
        self.following.exchange(lives, &mut batch);
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
        (batch, drained.leftover)
    }

    /// How long to wait before the next drain, unless the descriptor is readable before.
    pub const fn pause(&self) -> Duration {
        self.pause
    }

    /// How many bytes of what was captured are not drained.
    pub fn left_over(&self) -> u64 {
        self.rings.left_over()
    }

    /// Returns whether there is nothing left to trace.
    pub fn all_ended(&self) -> bool {
        self.following.all_ended()
    }

    /// Has the following of processes come to its end; what it found until then still comes with the next drains.
    pub fn stop_following(&mut self) {
        self.following.conclude();
    }

    /// Returns whether the following has come to its end.
    pub fn is_over(&self) -> bool {
        self.following.is_over()
    }

    /// Says what was lost and begins to remove the probes; `None` while processes are still followed. What was lost at the
    /// end of connections comes with the next drain.
    pub fn detach(&mut self) -> Result<Option<Detaching>> {
        let Some(mut follower) = self.following.take_follower()? else {
            return Ok(None);
        };
        let missing = follower.probes().missing().to_vec();
        follower.report_final_positions()?;
        let totals = say_losses(follower.probes(), self.messages)?;
        let thread = thread::Builder::new().name("detach".to_owned());
        Ok(Some(Detaching {
            totals,
            missing,
            thread: thread.spawn(move || drop(follower))?,
        }))
    }
}

/// Readable as soon as there is something that has to be drained at once.
impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rings.as_fd()
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
