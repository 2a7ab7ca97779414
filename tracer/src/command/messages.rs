//! The one voice in which the program speaks to its user, on stderr.

use std::io::{Write as _, stderr};

/// Says one message, on one line but for a verifier's log.
pub fn say(message: &str) {
    // Nobody may be reading stderr; there is no one left to tell.
    drop(writeln!(stderr(), "tlscope: {}", harmless(message)));
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
