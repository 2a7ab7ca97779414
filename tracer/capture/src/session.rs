//! The interface of this package: attaches probes, drains the rings, and detaches.
//!
//! One thread follows processes, and one adds rings for CPUs that come online. On kernels without BTF, a third one looks up
//! descriptors in `/proc`. The owner of a [`Capture`] drains it on a thread of its own, so that nothing delays the drain.

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
    attach::{Cpus, Kernel, Missing, Options, Probes, Rings, SkipTable, Switch},
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

/// Maximum time between two drains.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Minimum time between two drains.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Probes that are attached and not enabled yet.
pub struct Attached {
    follower: Follower,
    rings: Rings,
    cpus: Cpus,
    switch: Switch,
    messages: Messages,
}

impl Attached {
    /// Loads the programs and attaches to the processes that match the selection. Sends a message for each TLS library that
    /// is traced, and for each that is not, with the reason. Returns an error if nothing can be traced, now or later.
    pub fn attach(kernel: &Kernel, options: Options, selection: Selection, messages: Messages) -> Result<Self> {
        let (probes, rings, cpus, switch) = Probes::load(kernel, options)?;
        let mut follower = Follower::new(probes, options, selection, rings.mappings.is_some(), messages)?;
        follower.begin()?;
        Ok(Self {
            follower,
            rings,
            cpus,
            switch,
            messages,
        })
    }

    /// Returns the header of the stream of batches. It has no sites: the first batch has them.
    pub fn header(&self) -> Header {
        Header {
            own_netns: target::own_netns(),
            boot_unix_ns: boot_unix_ns(),
            processes: self.follower.entries(),
            ..Header::default()
        }
    }

    /// Returns the table that says which bytes need not be captured.
    pub fn skips(&mut self) -> Result<SkipTable> {
        Ok(self.follower.probes().skips()?)
    }

    /// Starts the threads. The probes are not enabled yet.
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

/// A running capture. Probes are detached by [`Self::detach`], or on drop.
pub struct Capture {
    rings: Drainer,
    /// Stops the thread that adds rings when it is dropped.
    _cpus: Sender<()>,
    switch: Switch,
    following: FollowerHandle,
    messages: Messages,
    /// Time until the next drain.
    pause: Duration,
    /// When the rings were drained last, on the clock of the records.
    drained_ns: u64,
}

/// A capture whose probes are being detached.
pub struct Detaching {
    /// Total losses.
    pub totals: Totals,
    /// Socket programs that this kernel refused.
    pub missing: Vec<Missing>,
    /// Processes that were traced, all together.
    pub processes: u64,
    /// The thread that detaches the probes, which takes the kernel some 0.1 s for each.
    pub thread: JoinHandle<()>,
}

impl Capture {
    /// Enables the probes. Must be called on the thread that drains, which gets real-time priority if this process may set
    /// it.
    pub fn start_reporting(&mut self) -> Result<()> {
        if !set_realtime() {
            self.messages
                .say("draining has no real-time priority (CAP_SYS_NICE): records may be lost beside a busy gateway");
        }
        Ok(self.switch.set(true)?)
    }

    /// Disables the probes. What is in the rings can still be drained.
    pub fn stop_reporting(&mut self) -> Result<()> {
        Ok(self.switch.set(false)?)
    }

    /// Drains up to `bound` bytes of captured data, and all events and health figures. The second value is true if captured
    /// data is left in the rings because of the bound.
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

    /// Returns how long to wait before the next drain, unless the descriptor is readable before.
    pub const fn pause(&self) -> Duration {
        self.pause
    }

    /// Returns the bytes of captured data in the rings.
    pub fn left_over(&self) -> u64 {
        self.rings.left_over()
    }

    /// Returns whether there is nothing left to trace.
    pub fn all_ended(&self) -> bool {
        self.following.all_ended()
    }

    /// Stops the follower. What it has found by then comes with the next drains.
    pub fn stop_following(&mut self) {
        self.following.conclude();
    }

    /// Returns whether the follower has stopped.
    pub fn is_over(&self) -> bool {
        self.following.is_over()
    }

    /// Sends messages about losses, and starts to detach the probes. Returns `None` while the follower still runs. The final
    /// positions of connections come with the next drain: they show what was lost at their ends.
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
            processes: follower.traced(),
            thread: thread.spawn(move || drop(follower))?,
        }))
    }
}

/// Readable when a record should be drained at once.
impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rings.as_fd()
    }
}

/// Returns the time in which the fullest ring would fill by a quarter, at the rate of the last interval. A busy CPU fills a
/// ring in little more than [`LONGEST_PAUSE`].
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
    fn the_fullest_ring_fills_by_a_quarter_during_a_pause() {
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
    fn a_leftover_is_drained_after_the_shortest_pause() {
        let fullest = (MIB, 8 * MIB);
        let leftover = true;
        let drained = Drained { fullest, leftover };
        assert_eq!(pause(Duration::from_millis(5), drained), SHORTEST_PAUSE);
    }
}
