//! Messages to the user. All writes to stderr go through this module, which escapes names of processes and files: a name
//! must not start a line or contain a terminal escape sequence.

#[cfg(feature = "live")]
mod stderr_thread;
#[cfg(feature = "live")]
mod held;

mod status;

use std::{
    io::{Write as _, stderr},
    sync::atomic::{AtomicBool, Ordering},
};

use tracer_observe::output::Shown;

#[cfg(feature = "live")]
pub(crate) use held::{forget_latest, hold, latest, release};
pub(crate) use status::Progress;
#[cfg(feature = "live")]
pub(crate) use stderr_thread::{flush, start_thread};

/// Whether only errors are printed.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Prints only errors from now on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Prints a message, unless only errors are wanted.
pub(crate) fn say(message: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        complain(message);
    }
}

/// Prints an error. It is one line, except that a verifier's log keeps its lines.
pub(crate) fn complain(message: &str) {
    let line = format_line(message);
    #[cfg(feature = "live")]
    if held::keep(&line) {
        return;
    }
    write(&line);
}

/// Writes a line to stderr, or to the thread that does, in place of the status line, if one is shown.
fn write(line: &str) {
    status::replace_by(line, write_bytes);
}

fn write_bytes(line: &str) {
    #[cfg(feature = "live")]
    if stderr_thread::send(line) {
        return;
    }
    drop(stderr().write_all(line.as_bytes()));
}

/// Escapes control characters, and indents the lines of a verifier's log so that none looks like a message.
fn format_line(message: &str) -> String {
    let Some((message, log)) = message.split_once(LOG) else {
        return format!("tlscope: {}\n", Shown(message));
    };
    let log: Vec<_> = log.lines().map(|line| format!("    {}\n", Shown(line))).collect();
    format!("tlscope: {}{LOG}\n{}", Shown(message), log.concat())
}

/// The text that aya puts before a verifier's log.
const LOG: &str = "Verifier output: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_control_the_terminal_or_start_a_line() {
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
            assert_eq!(format_line(message), line);
        }
    }

    #[test]
    fn a_verifiers_log_keeps_its_lines_and_indents_them() {
        assert_eq!(
            format_line("refused. Verifier output: 0: R1=ctx()\n1: exit\ntlscope: ready"),
            "tlscope: refused. Verifier output: \n    0: R1=ctx()\n    1: exit\n    tlscope: ready\n"
        );
    }
}
