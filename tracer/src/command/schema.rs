//! `tlscope schema`: prints the JSON Schema of the output of `-o json`.

use std::io::{self, Write as _, stdout};

use anyhow::Result;
use tracer_observe::output::SCHEMA;

use crate::outcome::Outcome;

/// Prints the schema. A broken pipe is not a failure.
pub(super) fn run() -> Result<Outcome> {
    match stdout().write_all(SCHEMA.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Outcome::Done),
    }
}
