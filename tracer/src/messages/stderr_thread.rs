//! A thread that writes the messages of a live session, so that a stalled reader of stderr does not block tracing.
//! Messages that find its queue full are dropped and counted.

use std::{
    io::{self, stderr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tracer_observe::output::{Lines as _, Written};

use super::format_line;
use crate::{
    limits::MAX_MESSAGES_BYTES,
    line_queue::{LineQueue, WhenFull},
};

/// How long to wait at the end until the last messages are written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

static STDERR: Mutex<Option<Stderr>> = Mutex::new(None);

/// The queue of the thread.
struct Stderr {
    queue: LineQueue,
    dropped: u64,
}

impl Stderr {
    fn send(&mut self, line: &str) {
        if self.dropped > 0
            && self.write(&format_line(&format!(
                "messages dropped, nobody read them: {}",
                self.dropped
            )))
        {
            self.dropped = 0;
        }
        if !self.write(line) {
            self.dropped += 1;
        }
    }

    /// Returns whether there was room. If stderr is closed the line is ignored: there is nowhere to report that.
    fn write(&mut self, line: &str) -> bool {
        let written = self.queue.line(line.as_bytes());
        let _closed = self.queue.flush().is_err();
        !matches!(written, Ok(Written::Dropped))
    }
}

/// Sends a line to the thread; returns false if the thread was not started.
pub(super) fn send(line: &str) -> bool {
    match &mut *STDERR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(stderr) => {
            stderr.send(line);
            true
        }
        None => false,
    }
}

/// Starts the thread, which writes all later messages.
pub(crate) fn start_thread() -> io::Result<()> {
    let queue = LineQueue::start("stderr", stderr(), MAX_MESSAGES_BYTES, WhenFull::Drop)?;
    *STDERR.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stderr { queue, dropped: 0 });
    Ok(())
}

/// Waits until the messages are written, up to [`FLUSH_TIMEOUT`].
pub(crate) fn flush() {
    let stderr = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    let queue = stderr.as_ref().map(|stderr| stderr.queue.clone());
    drop(stderr);
    if let Some(queue) = queue {
        queue.wait(FLUSH_TIMEOUT);
    }
}
