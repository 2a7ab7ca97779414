//! Messages of a session, written by a thread of their own: nobody may be reading stderr, and nothing else may wait for
//! that. What does not find room is dropped, and counted.

use std::{
    io::{self, stderr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tracer_observe::output::{Lines as _, Written};

use super::spoken;
use crate::{
    limits::MAX_MESSAGES_BYTES,
    writer::{Queue, WhenFull},
};

/// How long the last messages are waited for.
const LAST: Duration = Duration::from_millis(500);

static VOICE: Mutex<Option<Voice>> = Mutex::new(None);

/// Messages on their way to a thread.
struct Voice {
    queue: Queue,
    dropped: u64,
}

impl Voice {
    fn say(&mut self, line: &str) {
        if self.dropped > 0
            && self.write(&spoken(&format!(
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

    /// Returns whether there was room. Where nobody is reading any more, there is no one left to tell.
    fn write(&mut self, line: &str) -> bool {
        !matches!(self.queue.line(line.as_bytes()), Ok(Written::Dropped))
    }
}

/// Hands a line to the thread; returns whether there is one.
pub(super) fn take(line: &str) -> bool {
    match &mut *VOICE.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(voice) => {
            voice.say(line);
            true
        }
        None => false,
    }
}

/// Has a thread write what is said from now on.
pub(crate) fn begin() -> io::Result<()> {
    let queue = Queue::start("say", stderr(), MAX_MESSAGES_BYTES, WhenFull::Drop)?;
    *VOICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Voice { queue, dropped: 0 });
    Ok(())
}

/// Waits a moment until what was said is written.
pub(crate) fn finish() {
    let voice = VOICE.lock().unwrap_or_else(PoisonError::into_inner);
    let queue = voice.as_ref().map(|voice| voice.queue.clone());
    drop(voice);
    if let Some(queue) = queue {
        queue.wait(LAST);
    }
}
