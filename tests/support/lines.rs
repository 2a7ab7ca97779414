//! The lines that a child process prints, as they come.
//!
//! In: a pipe. Out: its lines, and a wait for one of them. A thread reads the pipe to its end, so that the child is
//! never held up by a test that looks elsewhere.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Result, bail};

use crate::wait::DEADLINE;

/// Lines read so far from a pipe.
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
    /// Reads `pipe` to its end, in a thread.
    pub fn read(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let for_reader = Arc::clone(&shared);
        let reader = thread::spawn(move || for_reader.fill(pipe));
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// Counts the lines read so far.
    pub fn count(&self) -> usize {
        self.shared.lock().lines.len()
    }

    /// The lines read so far.
    pub fn so_far(&self) -> Vec<String> {
        self.shared.lock().lines.clone()
    }

    /// Counts the lines read so far that are of a kind.
    pub fn count_of(&self, mut is_of_kind: impl FnMut(&String) -> bool) -> usize {
        let state = self.shared.lock();
        state.lines.iter().filter(|line| is_of_kind(line)).count()
    }

    /// Tells whether a line that was read so far is of a kind.
    pub fn any(&self, is_of_kind: impl FnMut(&String) -> bool) -> bool {
        self.shared.lock().lines.iter().any(is_of_kind)
    }

    /// Waits until `find` finds something among the lines; a pipe that was closed without it is an error.
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
                bail!("waited {DEADLINE:?} in vain: {what}");
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the pipe and gives all lines.
    pub fn finish(mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has told its story on stderr; what it read is still there.
            drop(reader.join());
        }
        std::mem::take(&mut self.shared.lock().lines)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, pipe: impl Read) {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            self.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
            self.changed.notify_all();
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
