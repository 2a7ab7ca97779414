//! The one voice in which the program speaks to its user, on stderr.
//!
//! In: a message, in which there may be names of processes and files. Out: one line, but for a verifier's log. Refuses
//! to let such a name end a line or command the terminal: this is the one place where stderr is written to.
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
    output::{Lines as _, Shown, Written},
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

/// Spells out what would end the line, and sets off the lines of a verifier's log so that none looks like a message.
fn spoken(message: &str) -> String {
    let Some((message, log)) = message.split_once(LOG) else {
        return format!("tlscope: {}\n", Shown(message));
    };
    let log: Vec<_> = log.lines().map(|line| format!("    {}\n", Shown(line))).collect();
    format!("tlscope: {}{LOG}\n{}", Shown(message), log.concat())
}

/// What aya says before a verifier's log.
const LOG: &str = "Verifier output: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal_or_begin_a_line() {
        for (message, line) in [
            (
                "attached to \u{1b}[31mx\r\u{9b}y",
                "tlscope: attached to \\u{1b}[31mx\\r\\u{9b}y\n",
            ),
            (
                "\ntlscope: ready (7) is not traced",
                "tlscope: \\ntlscope: ready (7) is not traced\n",
            ),
            ("a\u{2028}b\u{202e}c\u{7f}", "tlscope: a\\u{2028}b\\u{202e}c\\u{7f}\n"),
        ] {
            assert_eq!(spoken(message), line);
        }
    }

    #[test]
    fn a_verifiers_log_keeps_its_lines_and_none_of_them_is_a_message() {
        assert_eq!(
            spoken("refused. Verifier output: 0: R1=ctx()\n1: exit\ntlscope: ready"),
            "tlscope: refused. Verifier output: \n    0: R1=ctx()\n    1: exit\n    tlscope: ready\n"
        );
    }
}
