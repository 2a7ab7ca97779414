//! The one voice in which the program speaks to its user, on stderr.
//!
//! While something is traced, a thread of its own writes: nobody may be reading stderr, and nothing else may wait for
//! that. What does not find room is dropped, and counted.

use std::{
    io::{self, Write as _, stderr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::writer::{Queue, WhenFull};
use crate::{
    limits::MAX_MESSAGES_BYTES,
    output::{Lines as _, Written},
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

/// Says one message, on one line but for a verifier's log.
pub fn say(message: &str) {
    let line = spoken(message);
    match &mut *VOICE.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(voice) => voice.say(&line),
        None => drop(stderr().write_all(line.as_bytes())),
    }
}

fn spoken(message: &str) -> String {
    format!("tlscope: {}\n", harmless(message))
}

/// Has a thread write what is said from now on.
pub(super) fn begin() -> io::Result<()> {
    let queue = Queue::start("say", stderr(), MAX_MESSAGES_BYTES, WhenFull::Drop)?;
    *VOICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Voice { queue, dropped: 0 });
    Ok(())
}

/// Waits a moment until what was said is written.
pub(super) fn finish() {
    let voice = VOICE.lock().unwrap_or_else(PoisonError::into_inner);
    let queue = voice.as_ref().map(|voice| voice.queue.clone());
    drop(voice);
    if let Some(queue) = queue {
        queue.wait(LAST);
    }
}

/// Escapes control characters: the names of processes and files are theirs to choose, and stderr is often a terminal.
pub(super) fn harmless(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(
            harmless("attached to \u{1b}[31mx\r\u{9b}y"),
            "attached to \\u{1b}[31mx\\r\\u{9b}y"
        );
        assert_eq!(harmless("0: R1=ctx()\n1: exit"), "0: R1=ctx()\n1: exit");
    }
}
