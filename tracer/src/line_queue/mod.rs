//! A bounded queue of lines and a thread that writes them, so that a stalled reader of the output does not block tracing.
//!
//! Lines are copied into one buffer, which the thread takes as a whole. The thread is woken when the sender flushes, which
//! it does after each batch, or when there is enough to write: not for each line.
//!
//! When the queue is full because the reader takes no more, whole lines are dropped until half of it is written; the sender
//! counts them. While the reader takes more, it is the thread that is behind, on a busy machine: the sender waits for it. A
//! queue for a file always blocks, because a disk catches up.

mod destination;
mod queued;
#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracer_observe::output::{Lines, Written};

use self::{
    destination::{Destination, FILE_BYTES},
    queued::Queued,
};
use crate::log_file::LogFile;

/// Maximum time that a line waits for room while the reader takes more.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is looked whether the reader takes more, while a line waits.
const LOOK: Duration = Duration::from_millis(10);

/// What happens to a line when the queue is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WhenFull {
    /// It is dropped, if the reader takes no more.
    Drop,
    /// The sender blocks.
    Wait,
}

/// The sending end.
#[derive(Clone, Debug)]
pub(crate) struct LineQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What the lines are written to.
    to: Destination,
    state: Mutex<State>,
    /// The thread has something to do.
    wakeup: Condvar,
    /// Lines were written.
    written: Condvar,
    bound: usize,
    when_full: WhenFull,
}

#[derive(Debug, Default)]
struct State {
    /// Lines that the thread has not taken.
    queued: Queued,
    /// Size of these lines and of those that the thread has taken and not written.
    bytes: usize,
    /// Number of lines that the thread has taken and not written.
    taken: usize,
    thread: Thread,
    /// Whether somebody waits until lines are written.
    awaited: bool,
    /// Whether lines are dropped until half of the queue is written.
    full: bool,
    phase: Phase,
    /// Whether the file is to be opened anew before more is written.
    reopen: bool,
    /// The error of a write, until the sender takes it.
    failed: Option<io::Error>,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Thread {
    /// It writes, or was woken.
    #[default]
    Busy,
    /// It waits for lines.
    Idle,
}

/// The phase of the queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// Lines may follow.
    #[default]
    Open,
    /// No more lines follow.
    Closed,
    /// A write failed.
    Over,
}

impl LineQueue {
    /// Starts a thread that writes to a duplicate of `to`; `bound` is the size of the queue in bytes.
    pub(crate) fn start(name: &str, to: impl AsFd, bound: usize, when_full: WhenFull) -> io::Result<Self> {
        let to = to.as_fd().try_clone_to_owned()?;
        Self::start_to(name, Destination::Stream(to.into()), bound, when_full)
    }

    /// Starts a thread that writes to a file, and blocks the sender when the queue is full.
    pub(crate) fn start_log(name: &str, to: LogFile, bound: usize) -> io::Result<Self> {
        Self::start_to(name, Destination::log(to), bound, WhenFull::Wait)
    }

    fn start_to(name: &str, to: Destination, bound: usize, when_full: WhenFull) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            to,
            state: Mutex::default(),
            wakeup: Condvar::new(),
            written: Condvar::new(),
            bound,
            when_full,
        });
        let queue = Self(Arc::clone(&shared));
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || shared.write_all())?;
        Ok(queue)
    }

    /// Returns the number of lines that are not completely written.
    pub(crate) fn unwritten(&self) -> usize {
        let state = self.0.lock();
        state.queued.lengths.len() + state.taken
    }

    /// Opens the file anew, before more is written. Returns whether there is a file that can be.
    pub(crate) fn reopen(&self) -> bool {
        if !self.0.to.reopens() {
            return false;
        }
        let mut state = self.0.lock();
        state.reopen = true;
        self.0.wake(&mut state);
        true
    }

    /// Waits until all lines are written or `timeout` has passed.
    pub(crate) fn wait(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut state = self.0.lock();
        self.0.wake(&mut state);
        while !state.is_done() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state.awaited = true;
            let waited = self.0.written.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Lines for LineQueue {
    fn line(&mut self, line: &[u8]) -> io::Result<Written> {
        let shared = &self.0;
        let mut state = shared.lock();
        let mut waiting_since = None;
        loop {
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            if state.phase == Phase::Over {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if state.full && state.bytes <= shared.bound / 2 {
                state.full = false;
            }
            // A line larger than the bound is accepted when the queue is empty.
            let fits = state.bytes == 0 || state.bytes.saturating_add(line.len()) <= shared.bound;
            if fits && !state.full {
                break;
            }
            match shared.when_full {
                WhenFull::Drop if !state.full && shared.takes_more() && is_recent(&mut waiting_since) => {
                    state = shared.wait_briefly(state);
                }
                WhenFull::Drop => {
                    state.full = true;
                    shared.wake(&mut state);
                    return Ok(Written::Dropped);
                }
                WhenFull::Wait => state = shared.wait(state),
            }
        }
        state.bytes += line.len();
        state.queued.push(line);
        if state.queued.bytes.len() >= FILE_BYTES {
            shared.wake(&mut state);
        }
        Ok(Written::Yes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.queued.lengths.is_empty() {
            self.0.wake(&mut state);
        }
        state.failed.take().map_or(Ok(()), Err)
    }

    fn finish(&mut self, last: &[u8]) -> io::Result<()> {
        let shared = &self.0;
        let mut state = shared.lock();
        if !last.is_empty() {
            // Not subject to the bound: the end of a document is short, and without it the document is invalid.
            state.bytes += last.len();
            state.queued.push(last);
        }
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
        }
        shared.wake(&mut state);
        while !state.is_done() {
            state = shared.wait(state);
        }
        state.failed.take().map_or(Ok(()), Err)
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.phase == Phase::Over || (self.queued.lengths.is_empty() && self.taken == 0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread if it waits for lines.
    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.thread) == Thread::Idle {
            self.wakeup.notify_one();
        }
    }

    /// Waits until the thread has written lines.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.wake(&mut state);
        state.awaited = true;
        self.written.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for a short time.
    fn wait_briefly<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.wake(&mut state);
        state.awaited = true;
        let waited = self.written.wait_timeout(state, LOOK);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Returns whether the reader takes more at this moment.
    fn takes_more(&self) -> bool {
        self.to.takes_more()
    }

    fn write_all(&self) {
        let at_once = self.to.at_once();
        let mut lines = Queued::default();
        while self.take(&mut lines) {
            if !self.write(&mut lines, at_once) {
                return;
            }
        }
    }

    /// Waits for lines and takes all of them; returns false if no more follow.
    fn take(&self, lines: &mut Queued) -> bool {
        lines.clear();
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.reopen) {
                drop(state);
                self.to.reopen();
                state = self.lock();
                continue;
            }
            if !state.queued.lengths.is_empty() {
                break;
            }
            if state.phase != Phase::Open {
                return false;
            }
            state.thread = Thread::Idle;
            state = match self.to.interval() {
                None => self.wakeup.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(interval) => {
                    let (waited, timeout) = self
                        .wakeup
                        .wait_timeout(state, interval)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        drop(waited);
                        self.to.tick();
                        self.lock()
                    } else {
                        waited
                    }
                }
            };
        }
        state.thread = Thread::Busy;
        std::mem::swap(&mut state.queued, lines);
        state.taken = lines.lengths.len();
        true
    }

    /// Writes lines, as many at a time as are not longer than `at_once` together, but at least one; returns false if a write
    /// failed.
    fn write(&self, lines: &mut Queued, at_once: usize) -> bool {
        let mut rest = lines.bytes.as_slice();
        let mut lengths = Vec::new();
        while let Some(mut length) = lines.lengths.pop_front() {
            lengths.clear();
            lengths.push(length);
            while let Some(next) = lines.lengths.front().filter(|next| length + **next <= at_once) {
                length += next;
                lengths.push(*next);
                lines.lengths.pop_front();
            }
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            let result = self.to.write(part, &lengths);
            let mut state = self.lock();
            state.bytes -= length;
            state.taken -= lengths.len();
            if let Err(error) = result {
                state.failed = Some(error);
                state.phase = Phase::Over;
                state.queued.clear();
                (state.bytes, state.taken) = (0, 0);
            }
            let over = state.phase == Phase::Over;
            if std::mem::take(&mut state.awaited) {
                self.written.notify_all();
            }
            drop(state);
            if over {
                return false;
            }
        }
        true
    }
}

/// Returns whether a line has waited for less than [`PATIENCE`]; it begins to wait now if it has not.
fn is_recent(since: &mut Option<Instant>) -> bool {
    since.get_or_insert_with(Instant::now).elapsed() < PATIENCE
}
