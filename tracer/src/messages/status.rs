//! A line on a terminal that says how far something is that takes longer than a second. A message takes its place, and it is
//! gone when that something has ended.

use std::{
    env,
    io::{IsTerminal as _, stderr},
    sync::{
        Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::termios::tcgetwinsize;
use tracer_observe::output::Shown;

use super::{QUIET, write_bytes};

/// Whether the line is shown.
static IS_SHOWN: Mutex<bool> = Mutex::new(false);

/// Goes to the start of the line and clears it.
const CLEAR: &str = "\r\u{1b}[K";

/// What takes no longer is not shown.
const DELAY: Duration = Duration::from_secs(1);

/// Time between two updates.
const INTERVAL: Duration = Duration::from_millis(250);

/// Shows a status line until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Ends the thread when it is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to show what `text` returns, from a second on, if stderr is a terminal and the user wants messages.
    pub(crate) fn start(text: impl Fn(Duration) -> String + Send + 'static) -> Self {
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let none = Self {
            end: None,
            thread: None,
        };
        if is_dumb || !stderr().is_terminal() || QUIET.load(Ordering::Relaxed) {
            return none;
        }
        let (end, ended) = mpsc::channel();
        let show = move || {
            let began = Instant::now();
            let mut pause = DELAY;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                show(&text(began.elapsed()));
                pause = INTERVAL;
            }
            replace_by("", write_bytes);
        };
        // Without a thread there is no line, and nothing else is missing.
        match thread::Builder::new().name("status".to_owned()).spawn(show) {
            Ok(thread) => Self {
                end: Some(end),
                thread: Some(thread),
            },
            Err(_no_thread) => none,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has cleared the line, unless it panicked.
            drop(thread.join());
        }
    }
}

fn show(text: &str) {
    let columns = tcgetwinsize(stderr()).map_or(80, |size| usize::from(size.ws_col));
    let line = status_line(text, columns);
    *IS_SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = true;
    write_bytes(&line);
}

/// Returns the line, one column narrower than the terminal, so that it never wraps.
fn status_line(text: &str, columns: usize) -> String {
    let text = format!("tlscope: {}", Shown(text));
    let cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{CLEAR}{cut}")
}

/// Writes a line in place of the status line.
pub(super) fn replace_by(line: &str, write: impl FnOnce(&str)) {
    let was_shown = std::mem::take(&mut *IS_SHOWN.lock().unwrap_or_else(PoisonError::into_inner));
    if was_shown {
        write(&format!("{CLEAR}{line}"));
    } else if !line.is_empty() {
        write(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_the_terminal_and_controls_nothing() {
        assert_eq!(status_line("a\u{1b}b", 80), format!("{CLEAR}tlscope: a\\u{{1b}}b"));
        assert_eq!(status_line("replaying", 10), format!("{CLEAR}tlscope: "));
        assert_eq!(status_line("replaying", 0), CLEAR);
    }

    #[test]
    fn a_message_takes_the_place_of_the_line() {
        let written = |line: &str| {
            let mut written = None;
            replace_by(line, |text| written = Some(text.to_owned()));
            written
        };
        *IS_SHOWN.lock().unwrap() = true;
        assert_eq!(written("ready\n"), Some(format!("{CLEAR}ready\n")));
        assert_eq!(written("ready\n"), Some("ready\n".to_owned()));
        assert_eq!(written(""), None);
    }
}
