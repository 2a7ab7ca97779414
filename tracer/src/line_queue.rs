//! A bounded queue of lines and a thread that writes them, so that a stalled reader of the output does not block tracing.
//!
//! When the queue is full, whole lines are dropped until half of it is written; the sender counts them. A queue for a file
//! blocks instead, because a disk catches up.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracer_observe::output::{Lines, Written};

/// Maximum size of an atomic write to a pipe (`PIPE_BUF`). A process that exits during a write leaves whole lines.
const PIPE_BYTES: usize = 4096;

/// Maximum size of a write to anything else.
const FILE_BYTES: usize = 64 * 1024;

/// What happens to a line when the queue is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WhenFull {
    /// It is dropped.
    Drop,
    /// The sender blocks.
    Wait,
}

/// The sending end.
#[derive(Clone, Debug)]
pub(crate) struct LineQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bound: usize,
    when_full: WhenFull,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Box<[u8]>>,
    /// Size of the queued lines and of those that are being written.
    bytes: usize,
    /// Whether lines are dropped until half of the queue is written.
    full: bool,
    /// Whether no more lines follow.
    closed: bool,
    /// Number of lines that are being written.
    writing: usize,
    /// The error of a write, until the sender takes it.
    failed: Option<io::Error>,
    /// Whether a write failed.
    over: bool,
}

impl LineQueue {
    /// Starts a thread that writes to a duplicate of `to`; `bound` is the size of the queue in bytes.
    pub(crate) fn start(name: &str, to: impl AsFd, bound: usize, when_full: WhenFull) -> io::Result<Self> {
        let to = to.as_fd().try_clone_to_owned()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            bound,
            when_full,
        });
        let queue = Self(Arc::clone(&shared));
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || shared.write_to(to))?;
        Ok(queue)
    }

    /// Returns the number of lines that are not completely written.
    pub(crate) fn unwritten(&self) -> usize {
        let state = self.0.lock();
        state.lines.len() + state.writing
    }

    /// Waits until all lines are written or `timeout` has passed.
    pub(crate) fn wait(&self, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut state = self.0.lock();
        while !state.is_done() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Lines for LineQueue {
    fn line(&mut self, line: &[u8]) -> io::Result<Written> {
        let shared = &self.0;
        let mut state = shared.lock();
        loop {
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            if state.over {
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
                WhenFull::Drop => {
                    state.full = true;
                    return Ok(Written::Dropped);
                }
                WhenFull::Wait => state = shared.wait(state),
            }
        }
        state.bytes += line.len();
        state.lines.push_back(line.into());
        drop(state);
        shared.changed.notify_all();
        Ok(Written::Yes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.failed.take().map_or(Ok(()), Err)
    }

    fn finish(&mut self, last: &[u8]) -> io::Result<()> {
        let shared = &self.0;
        let mut state = shared.lock();
        if !last.is_empty() {
            // Not subject to the bound: the end of a document is short, and without it the document is invalid.
            state.bytes += last.len();
            state.lines.push_back(last.into());
        }
        state.closed = true;
        shared.changed.notify_all();
        while !state.is_done() {
            state = shared.wait(state);
        }
        state.failed.take().map_or(Ok(()), Err)
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.over || (self.lines.is_empty() && self.writing == 0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, to: OwnedFd) {
        let mut to = File::from(to);
        let at_once = to.metadata().map_or(PIPE_BYTES, |metadata| {
            let kind = metadata.file_type();
            if kind.is_fifo() || kind.is_socket() {
                PIPE_BYTES
            } else {
                FILE_BYTES
            }
        });
        let mut buffer = Vec::new();
        while self.take(&mut buffer, at_once) {
            let result = to.write_all(&buffer);
            let mut state = self.lock();
            state.bytes -= buffer.len();
            state.writing = 0;
            if let Err(error) = result {
                state.failed = Some(error);
                state.over = true;
                state.lines.clear();
                state.bytes = 0;
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits for lines and moves as many as fit into one write to `buffer`; returns false if no more follow.
    fn take(&self, buffer: &mut Vec<u8>, at_once: usize) -> bool {
        buffer.clear();
        let mut state = self.lock();
        while state.lines.is_empty() {
            if state.closed || state.over {
                return false;
            }
            state = self.wait(state);
        }
        while let Some(line) = state.lines.front()
            && (buffer.is_empty() || buffer.len() + line.len() <= at_once)
        {
            buffer.extend_from_slice(line);
            state.lines.pop_front();
            state.writing += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};

    use super::*;

    const BOUND: usize = 256 * 1024;

    fn numbered(number: usize) -> Vec<u8> {
        format!("{number:0>99}\n").into_bytes()
    }

    #[test]
    fn a_stalled_reader_loses_whole_lines_and_each_is_counted() {
        let (reader, writer) = io::pipe().unwrap();
        let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
        drop(writer);
        let all = 10_000;
        let accepted: Vec<usize> = (0..all)
            .filter(|number| queue.line(&numbered(*number)).unwrap() == Written::Yes)
            .collect();
        // The bound is not a multiple of the line length, so up to one line less than the bound is queued.
        assert!(
            accepted.len() < all && (accepted.len() + 1) * 100 > BOUND,
            "{}",
            accepted.len()
        );
        assert!(queue.unwritten() * 100 <= BOUND);
        // The reader resumes, and gets the accepted lines in order.
        let mut lines = BufReader::new(reader).lines();
        let read = |line: String| line.trim_start_matches('0').parse().unwrap_or(0_usize);
        for number in &accepted {
            assert_eq!(read(lines.next().unwrap().unwrap()), *number);
        }
        queue.wait(Duration::from_mins(1));
        assert_eq!(queue.line(&numbered(7)).unwrap(), Written::Yes);
        queue.finish(b"the end\n").unwrap();
        drop(queue);
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(rest.iter().map(String::len).collect::<Vec<_>>(), [99, 7]);
    }

    #[test]
    fn a_queue_for_a_file_blocks() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Wait).unwrap();
        drop(writer);
        let reading = thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes.len()
        });
        for number in 0..20_000 {
            assert_eq!(queue.line(&numbered(number)).unwrap(), Written::Yes);
        }
        queue.finish(b"").unwrap();
        drop(queue);
        assert_eq!(reading.join().unwrap(), 20_000 * 100);
    }

    #[test]
    fn a_closed_reader_is_an_error_of_one_of_the_next_lines() {
        let (reader, writer) = io::pipe().unwrap();
        let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
        drop((reader, writer));
        let error = loop {
            if let Err(error) = queue.line(&numbered(1)) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
