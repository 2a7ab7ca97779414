//! nghttp, which sends frames that other clients do not send.

use std::process::Command;

use anyhow::Result;

use crate::{CommandOutput, run};

/// Runs nghttp with arguments. It does not verify the certificate, and discards the response.
pub fn request(args: &[&str]) -> Result<CommandOutput> {
    run::succeed(
        Command::new("nghttp")
            .args(["--null-out", "--no-verify-peer"])
            .args(args),
    )
}
