//! The one voice in which the program speaks to its user, on stderr.
//!
//! In: a message, in which there may be names of processes and files. Out: one line, but for a verifier's log. Refuses
//! to let such a name end a line or command the terminal: this is the one place where stderr is written to.
#[cfg(feature = "live")]
mod queued;

use std::io::{Write as _, stderr};

use tracer_observe::output::Shown;

#[cfg(feature = "live")]
pub(crate) use queued::{begin, finish};

/// Says one message, on one line but for a verifier's log.
pub(crate) fn say(message: &str) {
    let line = spoken(message);
    #[cfg(feature = "live")]
    if queued::take(&line) {
        return;
    }
    drop(stderr().write_all(line.as_bytes()));
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
