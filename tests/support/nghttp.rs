//! nghttp: one connection, and frames that other clients do not send.

use std::process::Command;

use anyhow::Result;

use crate::{Ran, run};

/// Asks for something with words of nghttp's own; the certificate is not checked, what it gets is thrown away.
pub fn ask(words: &[&str]) -> Result<Ran> {
    run::succeed(
        Command::new("nghttp")
            .args(["--null-out", "--no-verify-peer"])
            .args(words),
    )
}
