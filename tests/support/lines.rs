//! Reads the lines that a child process prints.
//!
//! A thread reads the pipe to its end, so that the child never blocks while the test does something else.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Result, bail};

use crate::{kernel, wait::DEADLINE};

/// The lines read from a pipe so far.
#[derive(Debug)]
pub struct Lines {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    closed: bool,
}

impl Lines {
    /// Starts a thread that reads `pipe` to its end.
    pub fn read(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let for_reader = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            // A tracer drops what its reader does not take, and a machine under load may leave a thread without a CPU.
            kernel::hurry();
            for_reader.fill(pipe);
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// Counts the lines read so far.
    pub fn count(&self) -> usize {
        self.shared.lock().lines.len()
    }

    /// Returns the lines read so far.
    pub fn snapshot(&self) -> Vec<String> {
        self.shared.lock().lines.clone()
    }

    /// Counts the matching lines read so far.
    pub fn count_matching(&self, mut matches: impl FnMut(&String) -> bool) -> usize {
        let state = self.shared.lock();
        state.lines.iter().filter(|line| matches(line)).count()
    }

    /// Returns whether any line read so far matches.
    pub fn any(&self, matches: impl FnMut(&String) -> bool) -> bool {
        self.shared.lock().lines.iter().any(matches)
    }

    /// Waits until `find` returns a value. Fails if the pipe ends first.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&[String]) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = find(&state.lines) {
                return Ok(found);
            }
            if state.closed {
                bail!("the output ended without: {what}");
            }
            let left = DEADLINE.saturating_sub(began.elapsed());
            if left.is_zero() {
                bail!("timed out after {DEADLINE:?}: {what}");
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the pipe and returns all lines.
    pub fn finish(mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // If the thread panicked, its message is on stderr, and the lines before that are kept.
            drop(reader.join());
        }
        std::mem::take(&mut self.shared.lock().lines)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what each read brings at once: with a lock and a wake-up for every line, a fast writer would find its reader
    /// too slow.
    fn fill(&self, pipe: impl Read) {
        let mut pipe = BufReader::with_capacity(1 << 16, pipe);
        let mut unfinished = Vec::new();
        while let Ok(bytes) = pipe.fill_buf()
            && !bytes.is_empty()
        {
            let length = bytes.len();
            unfinished.extend_from_slice(bytes);
            pipe.consume(length);
            self.add(&mut unfinished);
        }
        if !unfinished.is_empty() {
            unfinished.push(b'\n');
            self.add(&mut unfinished);
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Adds the complete lines of `bytes`, and leaves the rest there.
    fn add(&self, bytes: &mut Vec<u8>) {
        let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let rest = bytes.split_off(last + 1);
        bytes.pop();
        let lines: Vec<_> = bytes
            .split(|byte| *byte == b'\n')
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        *bytes = rest;
        self.lock().lines.extend(lines);
        self.changed.notify_all();
    }
}
