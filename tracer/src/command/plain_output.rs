//! Text that a command prints as a whole.

use std::io::{self, Write as _, stdout};

use anyhow::Result;

use crate::outcome::Outcome;

/// Prints a text. A broken pipe is not a failure.
pub(super) fn print(text: &[u8]) -> Result<Outcome> {
    match stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Outcome::Done),
    }
}
