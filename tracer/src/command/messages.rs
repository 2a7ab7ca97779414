//! The one voice in which the program speaks to its user, on stderr.

use std::io::{Write as _, stderr};

/// Says one line.
pub fn say(message: &str) {
    // Nobody may be reading stderr; there is no one left to tell.
    drop(writeln!(stderr(), "tlscope: {message}"));
}
