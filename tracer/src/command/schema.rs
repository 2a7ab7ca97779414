//! `tlscope schema`: prints the JSON Schema of the output of `-o json`.

use anyhow::Result;
use tracer_observe::output::SCHEMA;

use super::plain_output;
use crate::outcome::Outcome;

/// Prints the schema.
pub(super) fn run() -> Result<Outcome> {
    plain_output::print(SCHEMA.as_bytes())
}
