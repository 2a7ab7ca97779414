//! Output that nobody has to wait for: lines on their way to a thread that writes them.
//!
//! In: whole lines. Out: the same, in order, on a descriptor. When so much waits that a reader must have stalled, lines
//! are dropped, whole, until half of that is read; whoever handed them over counts them. A file is waited for.

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

/// What a pipe takes as a whole or not at all (`PIPE_BUF`): a reader that comes back gets whole lines.
const PIPE_BYTES: usize = 4096;

/// Bytes written at once to anything else.
const FILE_BYTES: usize = 64 * 1024;

/// What happens to a line when too much waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WhenFull {
    /// It is dropped.
    Drop,
    /// It waits.
    Wait,
}

/// The end that lines are handed to.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Shared>);

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
    bytes: usize,
    /// Whether lines are dropped until half is read.
    full: bool,
    closed: bool,
    /// Lines that are being written.
    written: usize,
    failed: Option<io::Error>,
    over: bool,
}

impl Queue {
    /// Begins to write to a descriptor, with so many bytes waiting at the most.
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

    /// How many lines wait, or are being written.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.0.lock();
        state.lines.len() + state.written
    }

    /// Waits until all lines are written, for so long at the most.
    pub(crate) fn wait(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
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

impl Lines for Queue {
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
            // A line that alone is over the bound has its turn when nothing else waits.
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
            // Without its end a document is none; it is short, and there is one.
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
        self.over || (self.lines.is_empty() && self.written == 0)
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
            state.written = 0;
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

    /// Takes the next lines, as many as are written at once; returns whether there will ever be any.
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
            state.written += 1;
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
    fn a_reader_that_stalls_costs_whole_lines_and_each_is_counted() {
        let (reader, writer) = io::pipe().unwrap();
        let mut queue = Queue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
        drop(writer);
        let all = 10_000;
        let taken: Vec<usize> = (0..all)
            .filter(|number| queue.line(&numbered(*number)).unwrap() == Written::Yes)
            .collect();
        // The bound is no multiple of a line: where nothing was written yet, the last one did not fit.
        assert!(taken.len() < all && (taken.len() + 1) * 100 > BOUND, "{}", taken.len());
        assert!(queue.waiting() * 100 <= BOUND);
        // The reader comes back: what it gets is what was taken, in order, line by line.
        let mut lines = BufReader::new(reader).lines();
        let read = |line: String| line.trim_start_matches('0').parse().unwrap_or(0_usize);
        for number in &taken {
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
    fn a_file_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut queue = Queue::start("test", writer.as_fd(), BOUND, WhenFull::Wait).unwrap();
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
    fn a_reader_that_went_away_is_an_error_of_one_of_the_next_lines() {
        let (reader, writer) = io::pipe().unwrap();
        let mut queue = Queue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
        drop((reader, writer));
        let error = loop {
            if let Err(error) = queue.line(&numbered(1)) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
